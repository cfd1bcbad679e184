"""Figures of the walkthrough: each takes what the method's functions gave and returns the figure."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lib.ir_tracking.look import Look, best_proposals, energy, look_again, similarity
from lib.ir_tracking.peaks import peaks
from lib.ir_tracking.scan_parts import FINE_PER_PITCH, VIEW_PITCHES, point_radiance, point_samples
from lib.ir_tracking.settings import FilterSettings
from lib.ir_tracking.tracker_settings import TrackerSettings
from lib.ir_tracking.walkthrough import Follow, crop_around, filter_stages, spans
from lib.show.canvas import LINES, MARKERS, PALETTE, ShownFigure, drawing, pixels
from lib.show.figures import PAGE_WIDTH_IN, TITLE_HEIGHT_IN
from lib.show.panel import Slider, jpeg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from lib.ir_tracking.scan_settings import ScanSettings

TRUTH_LOOK: dict[str, Any] = {"edgecolor": PALETTE[4], "linestyle": LINES[2], "linewidth": 1.8}
OURS_LOOK: dict[str, Any] = {"edgecolor": PALETTE[5], "linestyle": "-", "linewidth": 1.4}
UNSEEN_LOOK: dict[str, Any] = {"edgecolor": PALETTE[2], "linestyle": LINES[1], "linewidth": 1.4}
BOX_MARGIN_PX = 2.0  # between a small target and the line around it
LOW, HIGH = 0.001, 0.999  # quantiles of a plane that are drawn black and white
BRIGHTEST_SAMPLE = 0.65  # of a point's energy: white where scanners are compared
PANEL_ZOOM = 6
PLANE_NAMES = ("frame", "U", "M")  # the network's three inputs
STAGES_REACH_PX, FILM_REACH_PX, SEARCH_REACH_PX = 24, 20, 36


def scan_figure(settings: "ScanSettings", oversamplings: Sequence[tuple[int, int]]) -> ShownFigure:
    """Figure 1: a point behind the optics with the detectors' footprints, and its samples by each scanner."""
    from matplotlib.patches import Rectangle

    place = (0.5 / oversamplings[0][0], 0.5 / oversamplings[0][1])  # the worst for the first scanner
    with drawing(
        PAGE_WIDTH_IN, PAGE_WIDTH_IN / (len(oversamplings) + 1) + TITLE_HEIGHT_IN, photographic=True
    ) as figure:
        axes = figure.subplots(1, len(oversamplings) + 1)
        _plane(axes[0], point_radiance(settings, place=place), "scene, detectors of two columns")
        for column in (0, 1):
            for row in range(VIEW_PITCHES):
                corner = ((2 + 2 * column) * FINE_PER_PITCH - 0.5, (row + 0.5 * column) * FINE_PER_PITCH - 0.5)
                look: dict[str, Any] = {"edgecolor": PALETTE[5 - column], "fill": False, "linewidth": 0.9}
                axes[0].add_patch(Rectangle(corner, FINE_PER_PITCH, FINE_PER_PITCH, **look))
        for one, cell in zip(oversamplings, axes[1:], strict=True):
            samples = point_samples(one, settings, place=place)
            title = f"{one[0]} x {one[1]}: highest {100 * float(samples.max()):.0f} %"
            _plane(cell, samples, title, limits=(0, BRIGHTEST_SAMPLE))
            cell.set_aspect(one[0] / one[1])  # a sample as wide and high as it is in the scene
    return figure


def formation_figure(parts: Mapping[str, Tensor]) -> ShownFigure:
    """What adds up to a frame, each part with grey levels of its own, and the sum."""
    planes = {**parts, "sum: the stored frame": torch.stack(list(parts.values())).sum(0)}
    return _planes(planes, columns=3)


def frame_figure(frame: Tensor, box: Tensor, *, reach_px: int = FILM_REACH_PX) -> ShownFigure:
    """A frame (H, W) with its target's box, and the place around it enlarged, without the box and with it."""
    part, inside = crop_around(frame, box, reach_px=reach_px)
    height, width = frame.shape
    with drawing(PAGE_WIDTH_IN, 3.6, photographic=True) as figure:
        whole, near, again = figure.subplots(1, 3, width_ratios=(width / height, 1, 1))
        _plane(whole, frame, "the whole frame")
        _draw_box(whole, box, TRUTH_LOOK, margin_px=4)
        _plane(near, part, "around the target")
        _plane(again, part, "its true box")
        _draw_box(again, inside, TRUTH_LOOK, margin_px=0)
    return figure


def openings_figure(frame: Tensor, openings: Mapping[str, Tensor], box: Tensor) -> ShownFigure:
    """The frame and its openings by each line around a target, above what each opening takes away."""
    shown = {"I": frame} | {f"I ∘ {name}": opening for name, opening in openings.items()}
    near = {name: crop_around(plane, box, reach_px=STAGES_REACH_PX)[0] for name, plane in shown.items()}
    limits = _limits(near["I"])
    columns = len(near)
    with drawing(PAGE_WIDTH_IN, 2 * (PAGE_WIDTH_IN / columns + TITLE_HEIGHT_IN), photographic=True) as figure:
        cells = figure.subplots(2, columns)
        top = float((near["I"] - torch.stack(list(near.values())[1:]).amin(0)).max())
        for idx, (name, part) in enumerate(near.items()):
            _plane(cells[0, idx], part, name, limits=limits)
            if idx:
                _plane(cells[1, idx], near["I"] - part, f"I - {name}", limits=(0, top))
        cells[1, 0].set_visible(False)
    return figure


def stages_figure(stages: Mapping[str, Tensor], box: Tensor) -> ShownFigure:
    """Figure 2: frame, background, suppressed and filtered frame around a target, and the two last in whole."""
    near = {name: crop_around(plane, box, reach_px=STAGES_REACH_PX)[0] for name, plane in stages.items()}
    limits, top = _limits(near["I"]), float(near["U = I - E"].max())
    with drawing(PAGE_WIDTH_IN, PAGE_WIDTH_IN / len(near) + TITLE_HEIGHT_IN, photographic=True) as figure:
        cells = figure.subplots(1, len(near))
        for cell, (name, part), bounds in zip(
            cells, near.items(), (limits, limits, (0.0, top), (0.0, top)), strict=True
        ):
            _plane(cell, part, name, limits=bounds)
    return figure


def opening_sizes_figure(frame: Tensor, box: Tensor, *, sizes: Sequence[int], settings: FilterSettings) -> ShownFigure:
    """M of eq. 4 around a target for several sides of the square s."""
    planes = {}
    for side in sizes:
        stages = filter_stages(frame, FilterSettings(settings.line_length_px, settings.directions, side))
        planes[f"s = {side} x {side}"] = crop_around(stages["M"], box, reach_px=STAGES_REACH_PX // 2)[0]
    top = max(float(plane.max()) for plane in planes.values())
    return _planes(planes, columns=len(planes), limits=(0, top))


def filter_sliders(settings: FilterSettings) -> list[Slider]:
    """Length of the lines and side of the square."""
    return [
        Slider("length", "line, px", 3, 31, settings.line_length_px, step=2),
        Slider("opening", "square, px", 1, 5, settings.opening_px),
    ]


def filtered(frame: Tensor, box: Tensor, values: Mapping[str, float]) -> bytes:
    """I, U and M side by side around a target for the sliders' values, as the bytes of a JPEG file."""
    stages = filter_stages(frame, FilterSettings(int(values["length"]), opening_px=int(values["opening"])))
    near = {name: crop_around(plane, box, reach_px=STAGES_REACH_PX)[0] for name, plane in stages.items()}
    top = max(float(near["U = I - E"].max()), 1e-9)
    low, high = _limits(near["I"])
    shown = [(near["I"] - low) / (high - low), near["U = I - E"] / top, near["M"] / top]
    rows = F.interpolate(torch.cat(shown, dim=1)[None, None].float(), scale_factor=PANEL_ZOOM, mode="nearest")[0]
    return jpeg(rows.clamp(0, 1).expand(3, -1, -1).cpu())


def crops_figure(look: Look) -> ShownFigure:
    """The three planes of the template above those of the search crop, with the true box."""
    with drawing(PAGE_WIDTH_IN * 0.8, PAGE_WIDTH_IN * 0.8 * 2 / 3 + 2 * TITLE_HEIGHT_IN, photographic=True) as figure:
        cells = figure.subplots(2, 3)
        for row, (crop, what) in enumerate(((look.template, "template"), (look.search, "search"))):
            for column, plane in enumerate(crop):
                side = plane.shape[-1]
                _plane(cells[row, column], plane, f"{what}, {PLANE_NAMES[column]}, {side} px")
                if row and look.truth is not None:
                    _draw_centred(cells[row, column], look.truth, side, TRUTH_LOOK)
    return figure


def features_figure(look: Look, template: Mapping[str, Tensor], search: Mapping[str, Tensor]) -> ShownFigure:
    """How strongly each layer answers in the search crop, cell by cell, above how like the template's middle it is."""
    columns = 1 + len(search)
    with drawing(PAGE_WIDTH_IN, 2 * (PAGE_WIDTH_IN / columns + TITLE_HEIGHT_IN), photographic=True) as figure:
        cells = figure.subplots(2, columns)
        for row, plane in enumerate((look.search[0], look.search[-1])):
            _plane(cells[row, 0], plane, f"search, {PLANE_NAMES[2 * row]}")
        for column, (name, features) in enumerate(search.items(), 1):
            _plane(cells[0, column], energy(features), f"{name}: how strong", limits=(0, 1))
            _plane(cells[1, column], similarity(template[name], features), "like the template", limits=(-1, 1))
    return figure


def anchors_figure(look: Look) -> ShownFigure:
    """The search crop with the cells of the maps and one cell's anchors, and with the proposals of highest score."""
    side = look.search.shape[-1]
    with drawing(PAGE_WIDTH_IN * 0.8, PAGE_WIDTH_IN * 0.4 + TITLE_HEIGHT_IN, photographic=True) as figure:
        grid, proposals = figure.subplots(1, 2)
        middle = look.anchors.shape[-1] // 2
        _plane(grid, look.search[0], "cells, and the anchors of one")
        x, y = (look.anchors[axis, 0].flatten().cpu() + side / 2 - 0.5 for axis in (0, 1))
        grid.plot(x, y, linestyle="none", marker=".", markersize=1.5, color=PALETTE[6])
        for anchor in look.anchors[:, :, middle, middle].T:
            _draw_centred(grid, anchor, side, OURS_LOOK)
        _plane(proposals, look.search[0], "proposals, the truth dotted")
        flat = look.boxes.reshape(4, -1)
        for idx in best_proposals(look, number=5):
            _draw_centred(proposals, flat[:, idx], side, OURS_LOOK if idx == look.chosen else UNSEEN_LOOK)
        if look.truth is not None:
            _draw_centred(proposals, look.truth, side, TRUTH_LOOK)
    return figure


def regions_figure(look: Look) -> ShownFigure:
    """Figure 5: score, penalty, window and rank of the best anchor in each cell, and where the choice fell."""
    best = look.scores.argmax(dim=0, keepdim=True)
    planes = {
        "score": look.scores,
        "penalty": look.penalties,
        "window": look.window,
        "rank": look.ranks,
    }
    with drawing(PAGE_WIDTH_IN, PAGE_WIDTH_IN / 5 + TITLE_HEIGHT_IN, photographic=True) as figure:
        cells = figure.subplots(1, 5)
        for cell, (name, plane) in zip(cells, planes.items(), strict=False):
            shown = plane.amax(dim=0) if name == "rank" else plane.gather(0, best)[0]
            _plane(cell, shown, name, limits=(0, 1))
            row, column = divmod(look.chosen % shown.numel(), shown.shape[1])
            cell.plot(column, row, marker="s", markersize=7, markerfacecolor="none", color=PALETTE[2])
        _choice(cells[-1], look, "the choice")
    return figure


def choice_sliders(influence: float, strength: float) -> list[Slider]:
    """Influence of the window and strength of the penalty."""
    return [
        Slider("influence", "window", 0.0, 1.0, influence, step=0.05),
        Slider("strength", "penalty k", 0.0, 2.0, strength, step=0.02),
    ]


def chosen(look: Look, values: Mapping[str, float]) -> bytes:
    """The search crop beside the ranks, with the choice framed, for the sliders' values: bytes of a JPEG file."""
    again = look_again(look, influence=float(values["influence"]), strength=float(values["strength"]))
    side = look.search.shape[-1]
    picture = _stretched(look.search[0]).expand(3, -1, -1).clone()
    cx, cy, w, h = (again.boxes.reshape(4, -1)[:, again.chosen]).tolist()
    left, right, top, bottom = (
        min(max(round(edge + side / 2), 0), side - 1) for edge in (cx - w / 2, cx + w / 2, cy - h / 2, cy + h / 2)
    )
    yellow = picture.new_tensor((0.91, 0.69, 0.0)).view(3, 1, 1)
    for row in (top, bottom):
        picture[:, row : row + 1, left : right + 1] = yellow
    for column in (left, right):
        picture[:, top : bottom + 1, column : column + 1] = yellow
    ranks = F.interpolate(again.ranks.amax(0)[None, None], size=(side, side), mode="nearest")[0].expand(3, -1, -1)
    both = torch.cat([picture, ranks.to(picture).clamp(0, 1)], dim=2)
    return jpeg(F.interpolate(both[None], scale_factor=3.0, mode="nearest")[0])


def film(frames: Tensor, followed: Follow, numbers: Sequence[int], *, reach_px: int = FILM_REACH_PX) -> ShownFigure:
    """Frames (T, 1, H, W) around the first target's true place, with true boxes dotted and the tracker's."""
    columns = min(len(numbers), 5)
    rows = -(-len(numbers) // columns)
    with drawing(PAGE_WIDTH_IN, rows * (PAGE_WIDTH_IN / columns + TITLE_HEIGHT_IN), photographic=True) as figure:
        for place, number in enumerate(numbers, 1):
            axes = figure.add_subplot(rows, columns, place)
            centre = followed.truths[number, 0]
            if not bool(centre.isfinite().all()):
                centre = followed.boxes[number, 0]
            part, moved = crop_around(frames[number, 0].cpu(), centre, reach_px=reach_px)
            _plane(axes, part, f"frame {number}")
            shift = moved[:2] - centre[:2]
            for target in range(followed.boxes.shape[1]):
                is_seen = bool(followed.seen[number, target])
                for boxes, look in (
                    (followed.truths, TRUTH_LOOK),
                    (followed.boxes, OURS_LOOK if is_seen else UNSEEN_LOOK),
                ):
                    box = boxes[number, target].clone()
                    box[:2] += shift
                    _draw_box(axes, box, look, margin_px=BOX_MARGIN_PX + (1.0 if look is TRUTH_LOOK else 0))
            axes.set_xlim(-0.5, part.shape[1] - 0.5)
            axes.set_ylim(part.shape[0] - 0.5, -0.5)
    return figure


def search_figure(
    frame: Tensor, followed: Follow, number: int, look: Look, *, settings: TrackerSettings
) -> ShownFigure:
    """Where a lost target is looked for in a frame (H, W): the spots of M within reach, and the network's scores.

    look: region selection around the expected place. The circle is as wide as the tracker believes in a return.
    """
    from matplotlib.patches import Circle

    expected = followed.expected[number, 0]
    reach = settings.found_spreads * float(followed.spreads[number, 0])
    filtered = filter_stages(frame, settings.filter)["M"]
    spots = peaks(filtered, number=settings.num_candidates).cpu()
    near, moved = crop_around(frame, torch.tensor([*expected.tolist(), 0.0, 0.0]), reach_px=SEARCH_REACH_PX)
    shift = moved[:2] - expected
    with drawing(PAGE_WIDTH_IN, PAGE_WIDTH_IN / 3 + TITLE_HEIGHT_IN, photographic=True) as figure:
        cells = figure.subplots(1, 3)
        _plane(cells[0], near, f"frame {number}, the truth dotted")
        box = followed.truths[number, 0].clone()
        box[:2] += shift
        _draw_box(cells[0], box, TRUTH_LOOK, margin_px=BOX_MARGIN_PX)
        part = crop_around(filtered, torch.tensor([*expected.tolist(), 0.0, 0.0]), reach_px=SEARCH_REACH_PX)[0]
        _plane(cells[1], part, "M, its strongest spots", limits=(0.0, max(float(part.max()), 1e-9)))
        x, y = ((spots[:, axis] + float(shift[axis]) - 0.5).tolist() for axis in (0, 1))
        cells[1].plot(x, y, linestyle="none", marker="o", markersize=9, markerfacecolor="none", color=PALETTE[2])
        for cell in cells[:2]:
            place = tuple((moved[:2] - 0.5).tolist())
            cell.add_patch(Circle((place[0], place[1]), reach, fill=False, edgecolor=PALETTE[5], linestyle=LINES[1]))
            cell.set_xlim(-0.5, near.shape[1] - 0.5)
            cell.set_ylim(near.shape[0] - 0.5, -0.5)
        _plane(cells[2], look.scores.amax(dim=0), "the network's scores in its window", limits=(0, 1))
    return figure


def course_figure(followed: Follow, *, scr: Tensor | None = None) -> ShownFigure:
    """Over the frames: centre error with the window's deviation, and score; grey where the target is not visible.

    scr: (T,) wanted SCR of the first target, drawn beside the score.
    """
    numbers = range(len(followed.errors))
    with drawing(PAGE_WIDTH_IN * 0.85, 4.2) as figure:
        error, score = figure.subplots(2, 1, sharex=True)
        for axes in (error, score):
            for first, last in spans(~followed.visible[:, 0]):
                axes.axvspan(first - 0.5, last + 0.5, color="0.9", linewidth=0)
        for target in range(followed.errors.shape[1]):
            name = f"target {target + 1}" if followed.errors.shape[1] > 1 else "centre error"
            style: dict[str, Any] = {"color": PALETTE[target], "linestyle": LINES[target], "label": name}
            error.plot(numbers, followed.errors[:, target], **style)
            score.plot(
                numbers, followed.scores[:, target], **style | {"label": f"score, {name}" if target else "score"}
            )
            away = (~followed.seen[:, target]).nonzero()[:, 0].tolist()
            error.plot(
                away, followed.errors[away, target], linestyle="none", marker=MARKERS[target], markersize=4,
                markerfacecolor="none", color=PALETTE[2], label=None if target else "carried on unseen",
            )  # fmt: skip
        error.plot(
            numbers, followed.spreads[:, 0], color="0.5", linestyle=LINES[4], linewidth=1, label="window, 1 dev."
        )
        error.set_ylabel("px")
        error.set_ylim(bottom=0)
        if scr is not None:
            score.plot(numbers, (scr / scr.max()).cpu(), color=PALETTE[1], linestyle=LINES[2], label="true strength")
        score.set_ylim(0, 1.05)
        score.set_xlabel("frame")
        for axes in (error, score):
            axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), handlelength=3.2)
    return figure


def _choice(axes: "Axes", look: Look, title: str) -> None:
    side = look.search.shape[-1]
    _plane(axes, look.search[0], title)
    _draw_centred(axes, look.boxes.reshape(4, -1)[:, look.chosen], side, OURS_LOOK)
    if look.truth is not None:
        _draw_centred(axes, look.truth, side, TRUTH_LOOK)


def _planes(planes: Mapping[str, Tensor], *, columns: int, limits: tuple[float, float] | None = None) -> ShownFigure:
    """Planes (H, W) in a grid, each with grey levels of its own unless limits are given."""
    columns = min(columns, len(planes))
    rows = -(-len(planes) // columns)
    ratio = max(plane.shape[0] / plane.shape[1] for plane in planes.values())
    height = rows * (PAGE_WIDTH_IN / columns * ratio + TITLE_HEIGHT_IN)
    with drawing(PAGE_WIDTH_IN, height, photographic=True) as figure:
        for place, (name, plane) in enumerate(planes.items(), 1):
            _plane(figure.add_subplot(rows, columns, place), plane, name, limits=limits)
    return figure


def _plane(axes: "Axes", plane: Tensor, title: str, *, limits: tuple[float, float] | None = None) -> None:
    """A plane (H, W) as a grey picture without ticks; black and white at its quantiles unless limits are given."""
    low, high = limits or _limits(plane)
    axes.imshow(pixels(plane), cmap="gray", vmin=low, vmax=high, interpolation="nearest")
    axes.set_title(title)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)


def _limits(plane: Tensor) -> tuple[float, float]:
    ordered = plane.detach().float().flatten().sort().values
    low, high = (float(ordered[round(share * (len(ordered) - 1))]) for share in (LOW, HIGH))
    return low, max(high, low + 1e-9)


def _stretched(plane: Tensor) -> Tensor:
    low, high = _limits(plane)
    return ((plane.detach().float().cpu() - low) / (high - low)).clamp(0, 1)


def _draw_box(axes: "Axes", box: Tensor, look: Mapping[str, Any], *, margin_px: float) -> None:
    """A box x, y, w, h of frame pixels, of which pixel i covers i to i + 1, with a margin around it."""
    from matplotlib.patches import Rectangle

    if not bool(box.isfinite().all()):
        return
    x, y, w, h = box.tolist()
    corner = (x - 0.5 - margin_px, y - 0.5 - margin_px)
    axes.add_patch(Rectangle(corner, w + 2 * margin_px, h + 2 * margin_px, fill=False, **look))


def _draw_centred(axes: "Axes", box: Tensor, side: int, look: Mapping[str, Any]) -> None:
    """A box cx, cy, w, h around the centre of a crop of that side."""
    cx, cy, w, h = box.tolist()
    _draw_box(axes, torch.tensor([cx - w / 2 + side / 2, cy - h / 2 + side / 2, w, h]), look, margin_px=0)
