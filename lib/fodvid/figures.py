"""Figures of the walkthrough: each takes what the method's functions gave and returns the figure."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lib.flow import flow_to_rgb, resize_flow
from lib.fodvid.cut import Cut
from lib.fodvid.discover import to_size
from lib.fodvid.evaluate import Seen
from lib.fodvid.motion import flow_picture
from lib.fodvid.train import Step
from lib.fodvid.walkthrough import Handover, Look, loss_lines, principal_colours, similarity_to
from lib.show.canvas import LINES, MARKERS, PALETTE, ShownFigure, drawing, pixels
from lib.show.figures import PAGE_WIDTH_IN, image_grid
from lib.show.overlay import draw_mask
from lib.show.panel import jpeg

GRID_STRENGTH = 0.35  # of the white lines between patches
MATRIX_PX = 160  # side at which a matrix is drawn; of more patches some are left out
HEAT_STRENGTH, GREY_STRENGTH = 0.85, 0.7
COLD, WARM = (0.05, 0.10, 0.55), (1.0, 0.86, 0.15)  # of similarity -1 and 1; apart in grey too
MARK_PX = 2


def video_figure(seen: Seen, frame_idxs: Sequence[int]) -> ShownFigure:
    """Frames of a scene, with the true mask drawn in where it is known."""
    pictures = [
        draw_mask(seen.frame(idx), seen.truths[idx], strength=0.25) if seen.truths else seen.frame(idx)
        for idx in frame_idxs
    ]
    return image_grid(pictures, [f"frame {idx}" for idx in frame_idxs], columns=len(frame_idxs))


def patch_figure(look: Look) -> ShownFigure:
    """A frame under the grid of its patches, and the features of the patches as colours."""
    drawn = look.frame.clone()
    rows, columns = look.grid
    for axis, count in ((1, rows), (2, columns)):
        lines = torch.arange(1, count, device=drawn.device) * drawn.shape[axis] // count
        drawn.index_copy_(axis, lines, drawn.index_select(axis, lines).lerp(drawn.new_ones(()), GRID_STRENGTH))
    return image_grid(
        [drawn, principal_colours(look.features)],
        [f"{rows} x {columns} patches", "their features as colours"],
        columns=2,
    )


def similarity_figure(look: Look, patches: Mapping[str, tuple[int, int]], *, alpha: float) -> ShownFigure:
    """For each named patch a row: where it is, and how similar all others are by appearance, by flow, and by both."""
    pictures, titles = [], []
    for name, patch in patches.items():
        for share, label in ((1.0, "appearance"), (0.0, "flow"), (alpha, f"both, alpha {alpha:g}")):
            pictures.append(heated(look, patch, alpha=share))
            titles.append(f"{name}: {label}")
    return image_grid(pictures, titles, columns=3)


def heated(look: Look, patch: tuple[int, int], *, alpha: float) -> Tensor:
    """A frame (3, H, W) tinted by the similarity to one patch, which is framed: yellow 1, grey 0, blue -1."""
    plane = similarity_to(look, patch, alpha=alpha).to(look.frame)
    grown = F.interpolate(plane[None, None], size=look.size, mode="nearest-exact")[0]
    cold, warm = (look.frame.new_tensor(colour).view(3, 1, 1) for colour in (COLD, WARM))
    grey = GREY_STRENGTH * look.frame.mean(0, keepdim=True).expand(3, -1, -1)
    picture = torch.lerp(grey, torch.where(grown > 0, warm, cold), HEAT_STRENGTH * grown.abs().clamp(max=1))
    (top, bottom), (left, right) = (
        (index * length // count, (index + 1) * length // count)
        for index, length, count in zip(patch, look.size, look.grid, strict=True)
    )
    inner = picture[:, top:bottom, left:right].clone()
    outer = slice(max(top - MARK_PX, 0), bottom + MARK_PX), slice(max(left - MARK_PX, 0), right + MARK_PX)
    picture[:, *outer] = look.frame.new_tensor((0.9, 0.1, 0.1)).view(3, 1, 1)
    picture[:, top:bottom, left:right] = inner
    return picture


def clicked(look: Look, values: Mapping[str, float]) -> bytes:
    """The picture behind the sliders row, column and alpha, as the bytes of a JPEG file, with nothing around it."""
    patch = int(values["row"]), int(values["column"])
    return jpeg(heated(look, patch, alpha=float(values["alpha"])))


def flow_figure(look: Look, raw: Tensor) -> ShownFigure:
    """Frame, flow as it was estimated, and what of it the graph sees."""
    as_estimated = flow_to_rgb(resize_flow(raw, look.size))[0]
    moved = flow_picture(look.motion.flow, look.size, still_px=look.discoverer.settings.still_px)[0]
    title = "without the camera's part" if look.discoverer.settings.remove_camera else "as the graph sees it"
    return image_grid([look.frame, as_estimated, moved], ["frame t", "flow to frame t + 1", title])


def affinity_figure(similarity: Tensor, edges: Tensor, cut: Cut) -> ShownFigure:
    """S (N, N), the graph of what reaches tau, and the same graph with the patches sorted by the eigenvector."""
    order = cut.eigenvector.flatten().argsort(stable=True).cpu()
    thin = torch.arange(0, len(edges), max(1, len(edges) // MATRIX_PX))
    sorted_thin = order[thin]
    matrices = [
        (similarity.cpu()[thin][:, thin] + 1) / 2,
        1 - edges.cpu()[thin][:, thin].float(),
        1 - edges.cpu()[sorted_thin][:, sorted_thin].float(),
    ]
    return image_grid(matrices, ["S, black -1, white 1", "W, black where joined", "W, patches sorted by x"])


def eigenvector_figure(cut: Cut) -> ShownFigure:
    """The second eigenvector on the grid of patches, and the histogram of its entries with their mean."""
    entries = cut.eigenvector.cpu().double()
    unit = entries / entries.abs().max()
    with drawing(PAGE_WIDTH_IN, 2.9) as figure:
        plane, counts = figure.subplots(1, 2, width_ratios=(1.35, 1))
        shown = plane.imshow(pixels(unit), cmap="cividis", vmin=-1, vmax=1, interpolation="nearest")
        plane.set_title("entries of x on the grid of patches")
        plane.set_xticks([])
        plane.set_yticks([])
        plane.grid(False)
        row, column = cut.seed
        plane.plot(column, row, marker="s", markersize=9, markerfacecolor="none", color="#c4451f", markeredgewidth=1.8)
        figure.colorbar(shown, ax=plane, label="x over its largest", shrink=0.85).outline.set_visible(False)
        counts.hist(unit.flatten().numpy(), bins=40, color=PALETTE[0])
        counts.axvline(float(unit.mean()), color=PALETTE[2], linestyle=LINES[1], label="mean(x)")
        counts.set_xlabel("x over its largest")
        counts.set_ylabel("patches")
        counts.set_yscale("log")
        counts.legend()
    return figure


def masks_figure(frame: Tensor, masks: Mapping[str, Tensor], *, columns: int = 2) -> ShownFigure:
    """One frame (3, H, W) with each of these masks (H, W) bool drawn in."""
    return image_grid([draw_mask(frame, mask.cpu()) for mask in masks.values()], list(masks), columns=columns)


def overview_figure(look: Look, cut: Cut) -> ShownFigure:
    """The way from a frame and its flow to a mask: what figure 1 of a paper on graph cuts shows."""
    settings = look.discoverer.settings
    moved = flow_picture(look.motion.flow, look.size, still_px=settings.still_px)[0]
    vector = cut.eigenvector.to(look.frame)
    # light where the object is
    height = (vector / vector.abs().max() + 1) / 2
    grown = F.interpolate(height[None, None], size=look.size, mode="nearest-exact")[0]
    masked = draw_mask(look.frame, to_size(cut.mask, look.size))
    return image_grid(
        [look.frame, moved, principal_colours(look.features), grown, masked],
        ["frame", "flow picture", "features", "eigenvector", "coarse mask"],
        columns=5,
    )


def film(seen: Seen, masks: Mapping[str, Sequence[Tensor]], frame_idxs: Sequence[int]) -> ShownFigure:
    """A row for each frame, a column for each result, the truth last where it is known."""
    shown = dict(masks) | ({"truth": seen.truths} if seen.truths else {})
    pictures = [draw_mask(seen.frame(idx), found[idx].cpu()) for idx in frame_idxs for found in shown.values()]
    titles = [f"{name}, frame {idx}" for idx in frame_idxs for name in shown]
    return image_grid(pictures, titles, columns=len(shown))


def frames_figure(frames: Sequence[Tensor], masks: Sequence[Tensor], titles: Sequence[str]) -> ShownFigure:
    """Frames (3, H, W) with a mask each."""
    pictures = [draw_mask(frame, mask.cpu()) for frame, mask in zip(frames, masks, strict=True)]
    return image_grid(pictures, titles, columns=min(4, len(pictures)))


def handover_figure(found: Handover) -> ShownFigure:
    """A prediction, the flow that brings it to its neighbour, the warped prediction and the mask that it answers to."""
    size = (found.f1.shape[-2], found.f1.shape[-1])
    coloured = flow_to_rgb(resize_flow(found.flow, size))[0]
    wrong_by = (found.wrong_way - found.warped).abs()
    return image_grid(
        [
            found.predicted,
            coloured,
            found.warped,
            draw_mask(found.f1, found.predicted.cpu() > 0.5),
            draw_mask(found.f2, found.mask.cpu()),
            wrong_by,
        ],
        [
            "prediction for f1",
            "flow from f2 to f1",
            "prediction, warped to f2",
            "f1 with its prediction",
            "f2 with its coarse mask",
            "error of the wrong direction",
        ],
    )


def loss_figure(steps: Sequence[Step]) -> ShownFigure:
    """Algorithm 1's loss over the steps of a training, and its two halves."""
    with drawing(7.0, 3.0) as figure:
        axes = figure.add_subplot()
        for idx, (name, (numbers, values)) in enumerate(loss_lines(steps).items()):
            look: dict[str, Any] = {"color": PALETTE[idx], "linestyle": LINES[idx], "marker": MARKERS[idx]}
            axes.plot(numbers, values, label=name, markersize=4, markevery=max(1, len(numbers) // 10), **look)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("optimiser step")
        axes.set_ylabel("cross-entropy (nats)")
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), handlelength=3.2)
    return figure
