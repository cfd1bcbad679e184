"""What the network sees and says of one target in one frame: crops, fused layers, proposals, the choice (eq. 10)."""

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from lib.errors import SpecError
from lib.ir_tracking.anchors import anchor_grid, anchor_sizes
from lib.ir_tracking.background import suppress_background
from lib.ir_tracking.crops import context_side, crops_of, input_planes, search_side
from lib.ir_tracking.network import FUSION_POOLS, SiameseNetwork
from lib.ir_tracking.network_settings import NetworkSettings
from lib.ir_tracking.select import change_penalty, class_scores, cosine_window, decode
from lib.ir_tracking.settings import FilterSettings
from lib.ir_tracking.tracker_settings import TrackerSettings
from lib.show.tables import Table, table

TRUNK_LAYERS = ("conv3", "conv4", "conv5")


@dataclass(frozen=True, eq=False)
class Look:
    """What the network sees and says of one target in one frame; lengths in pixels of the search crop.

    template, search: (3, s, s), the crops. zoom: crop pixels a frame pixel. truth: (4,) cx, cy, w, h around the crop's
    centre, or None. anchors: (4, m, n, n). scores, penalties, window, ranks: (m, n, n), of each proposal; boxes:
    (4, m, n, n), cx, cy, w, h. before: (2,), the target's width and height at the start.
    """

    template: Tensor
    search: Tensor
    zoom: float
    truth: Tensor | None
    before: Tensor
    anchors: Tensor
    boxes: Tensor
    scores: Tensor
    penalties: Tensor
    window: Tensor
    ranks: Tensor

    @property
    def chosen(self) -> int:
        """Number of the proposal of highest rank in the flat order anchor, row, column."""
        return int(self.ranks.argmax())


@torch.no_grad()
def look_at(
    network: SiameseNetwork,
    start: tuple[Tensor, Tensor],
    frame: Tensor,
    expected: Tensor,
    *,
    spread_px: float | None,
    truth: Tensor | None = None,
    settings: TrackerSettings | None = None,
) -> Look:
    """Region selection (eqs 8 to 10) for one target in one frame, step by step, as the tracker does it.

    start: frame (1, H, W) and box (4,) of the template. frame: (1, H, W). expected: (2,), where the window is centred.
    spread_px: deviation of the motion model's window; None: SiamRPN's cosine window. truth: (4,), to compare with.
    Raises SpecError for a network without region selection.
    """
    settings = settings or TrackerSettings()
    wanted = network.settings
    if wanted.head == "correlation":
        raise SpecError("the walkthrough looks at region selection: give weights of a network that has it")
    first, box = start
    sides = box[2:].clamp(min=settings.min_box_px)
    side = context_side(*sides.tolist(), floor_px=wanted.context_floor_px)
    crops = []
    for plane, centre, width, out_px in (
        (first, box[:2] + box[2:] / 2, side, wanted.template_px),
        (frame, expected, search_side(side, wanted), wanted.search_px),
    ):
        window = torch.tensor([[*centre.tolist(), width]], dtype=torch.float64)
        crops.append(crops_of(_planes(plane, wanted, settings.filter), window, out_px, wanted))
    zoom = wanted.search_px / search_side(side, wanted)
    maps = network.search(network.template(crops[0]), crops[1])
    anchors = anchor_grid(wanted, wanted.map_size(wanted.search_px)).to(crops[1])
    boxes, shape = decode(maps, anchors), anchors.shape[1:]
    penalties = change_penalty(boxes, zoom * sides[None], strength=settings.penalty_strength)
    if spread_px is None:
        distance_window = cosine_window(shape[-1], shape[0], like=boxes)
    else:
        distance_window = torch.exp(-boxes[0, :2].square().sum(0) / (2 * (zoom * spread_px) ** 2))
    scores, share = class_scores(maps)[0], settings.window_influence
    ranks = penalties[0] * scores * (1 - share) + distance_window * share  # eq. 10
    if truth is not None:
        centre = truth[:2] + truth[2:] / 2 - expected.to(truth)
        truth = zoom * torch.cat([centre, truth[2:]])
    parts = (part.view(shape) for part in (scores, penalties[0], distance_window, ranks))
    return Look(crops[0][0], crops[1][0], zoom, truth, zoom * sides, anchors, boxes[0].view(4, *shape), *parts)


def look_again(look: Look, *, influence: float, strength: float) -> Look:
    """The same proposals ranked with another influence of the window and another strength of the penalty."""
    penalties = change_penalty(look.boxes.reshape(1, 4, -1), look.before[None], strength=strength).view_as(look.scores)
    return replace(look, penalties=penalties, ranks=penalties * look.scores * (1 - influence) + look.window * influence)


def _planes(frame: Tensor, wanted: NetworkSettings, settings: FilterSettings) -> Tensor:
    frame = frame.float()
    stages = suppress_background(frame, settings=settings)
    return input_planes(frame, stages.suppressed, stages.filtered, inputs=wanted.inputs, scaling=wanted.scaling)


@torch.no_grad()
def fused_layers(network: SiameseNetwork, crop: Tensor) -> dict[str, Tensor]:
    """Eqs 5 to 7 for one crop (3, s, s): conv3 to conv5 pooled to one size and normalised, then fused: (c, n, n) each.

    Raises SpecError for a network without fusion.
    """
    if network.fusion is None:
        raise SpecError("this network has no fusion of layers: give weights of one that has it")
    layers = network.trunk(crop[None])
    pooled = [F.max_pool2d(layer, pool, 1) for layer, pool in zip(layers, FUSION_POOLS, strict=True)]
    normed = [norm(layer)[0] for norm, layer in zip(network.fusion.norms, pooled, strict=True)]
    return {**dict(zip(TRUNK_LAYERS, normed, strict=True)), "fused": network.fusion(layers)[0]}


def energy(features: Tensor) -> Tensor:
    """How strongly each cell of features (c, n, n) differs from the channels' means: (n, n), 0..1."""
    away = (features - features.mean(dim=(1, 2), keepdim=True)).square().mean(0).sqrt()
    return away / away.max().clamp_min(1e-12)


def similarity(template: Tensor, search: Tensor) -> Tensor:
    """Cosine (n, n), -1..1, of each cell of the search's features (c, n, n) with the template's middle cell.

    Both less the mean of the search's cells: what they have in common says nothing.
    """
    middle = template.shape[-1] // 2
    common = search.mean(dim=(1, 2))
    return F.cosine_similarity(search - common[:, None, None], (template[:, middle, middle] - common)[:, None, None], 0)


def layer_table(settings: NetworkSettings, paper: NetworkSettings) -> Table:
    """Sides and widths of the fused layers in this network and in the published one, for template and search."""
    rows: list[list[object]] = []
    for idx, (name, pool) in enumerate(zip(TRUNK_LAYERS, FUSION_POOLS, strict=True)):
        cells: list[object] = [name, f"{pool} x {pool}"]
        for one in (settings, paper):
            template, search = (one.trunk_size(px) + 2 * (2 - idx) for px in (one.template_px, one.search_px))
            cells += [one.channels[idx + 2], f"{template} / {search}"]
        rows.append(cells)
    last: list[object] = ["fused", "1 x 1 conv"]
    for one in (settings, paper):
        last += [one.fused_width, " / ".join(str(one.trunk_size(px)) for px in (one.template_px, one.search_px))]
    columns = ["layer", "max-pool", "ours: channels", "side", "published: channels", "side "]
    return table([*rows, last], columns)


def adaptation_table(side_px: float, ours: NetworkSettings, *, tracker: TrackerSettings) -> Table:
    """What a target of that side is to SiamRPN read literally, and to ours."""
    rows: list[list[object]] = []
    literal = NetworkSettings.paper()
    for name, one, least in (
        ("SiamRPN, literally", literal, TrackerSettings.paper().min_box_px),
        ("ours", ours, tracker.min_box_px),
    ):
        window = context_side(side_px, side_px, floor_px=one.context_floor_px)
        zoom = one.template_px / window
        square = [size for size in anchor_sizes(one.stride, (1,), one.scales).tolist()]
        anchors = ", ".join(f"{size[0] / zoom:.1f}" for size in square)
        rows.append([name, window, zoom, search_side(window, one) / 2, anchors, least])
    columns = ["", "window (px)", "magnified", "search to each side (px)", "square anchors (px)", "least box (px)"]
    digits = dict.fromkeys(columns, 1)
    return table(rows, columns, digits=digits, caption=f"a target of {side_px:g} x {side_px:g} px in the frame")


def proposal_table(look: Look, *, number: int = 6) -> Table:
    """The proposals of highest score, one a cell and its neighbours, with what eq. 10 makes of them."""
    rows: list[list[object]] = []
    for idx in best_proposals(look, number=number):
        anchor, row, column = (int(part) for part in torch.unravel_index(torch.tensor(idx), look.scores.shape))
        here = (anchor, row, column)
        x, y, w, h = (look.boxes[:, *here] / look.zoom).tolist()
        rows.append(
            [
                f"{x:+.1f}, {y:+.1f}",
                f"{w:.1f} x {h:.1f}",
                *(float(part[here]) for part in (look.scores, look.penalties, look.window, look.ranks)),
                "chosen" if idx == look.chosen else "",
            ]
        )
    columns = ["from the expected place (px)", "size (px)", "score", "penalty", "window", "rank", " "]
    return table(rows, columns, digits=2)


def best_proposals(look: Look, *, number: int, apart_px: float = 3.0) -> list[int]:
    """Numbers of the proposals of highest score whose centres are apart by that many frame pixels; the chosen first."""
    flat = look.boxes[:2].reshape(2, -1).T / look.zoom
    order = [look.chosen, *look.scores.flatten().argsort(descending=True).tolist()]
    kept: list[int] = []
    for idx in order:
        if all(float((flat[idx] - flat[other]).norm()) > apart_px for other in kept):
            kept.append(idx)
        if len(kept) == number:
            break
    return kept


def is_near(look: Look, *, within_px: float = 3.0) -> bool:
    """Whether the choice lies within so many frame pixels of the truth; raises SpecError without one."""
    if look.truth is None:
        raise SpecError("give the true box to look_at to compare the choice with it")
    off = look.boxes[:2].reshape(2, -1)[:, look.chosen] - look.truth[:2].to(look.boxes)
    return float(off.norm()) / look.zoom <= within_px
