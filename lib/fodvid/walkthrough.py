"""What the walkthrough looks at: one frame's patches, similarities, graph and cut, and what refinement hands over."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from statistics import fmean

import torch
import torch.nn.functional as F
from torch import Tensor

from lib.data.simulate.object_clip import SCENES
from lib.errors import SpecError
from lib.features import PatchFeatures
from lib.flow import FlowName, warp
from lib.fodvid.affinity import patch_affinity
from lib.fodvid.cut import Cut, choose_side, grow_seed
from lib.fodvid.discover import Discoverer, Motion, resize_height, to_size
from lib.fodvid.evaluate import Refinement, Seen, cut_masks
from lib.fodvid.refine import IMAGE_HEIGHT_PX
from lib.fodvid.scenes import Scene, own_scene, sample_scene, simulated_scene
from lib.fodvid.segment import segment_frame
from lib.fodvid.settings import STAND_INS, Backbone, Settings, for_backbone
from lib.fodvid.train import SegmenterSettings, Step
from lib.metrics.davis import jaccard
from lib.metrics.measure import Measure
from lib.show.panel import Slider
from lib.show.scores import Finding
from lib.show.tables import Table, table
from lib.solvers.spectral import TwoValued

REGION_J = Measure(
    "J",
    "%",
    "higher",
    100.0,
    "intersection over union with the true mask, mean over the frames but the first and the last; simulated clip",
)
# mean J in per cent that the cut reaches at least: a bollard nearer than the motorcycle is often taken for the object
LOWEST_J = {"astronaut": 70.0, "horse": 50.0, "motorcycle": 20.0}
NUM_HELD_BACK = 3  # frames that the refinement's training does not see
ISOLATED = 1  # neighbours of a patch that is joined to itself alone
SMOOTHING_STEPS = 8  # over which the curve of the loss is averaged: a batch holds few frames
BLOCK_NAMES = {"trunk": "trunk, 3x3", "blocks": "seven SPADE blocks", "head": "head, 3x3"}


def settings_for(backbone: Backbone, *, weights: str = "", flow: FlowName = "dis", flow_weights: str = "") -> Settings:
    """The constants that go with a backbone, with this flow; "" stands for weights that are found by themselves."""
    return for_backbone(backbone).but(weights=weights or "auto", flow=flow, flow_weights=flow_weights or "auto")


def training_for(
    settings: Settings, *, size: tuple[int, int], epochs: int, seed: int, device: str
) -> SegmenterSettings:
    """How the network is trained: the paper's way on DINO's features, a small and quick one on those that stand in.

    size: (H, W) of the frames, which the small training keeps up to a height of 240 pixels.
    """
    if not settings.is_stand_in:
        return SegmenterSettings(epochs=epochs, seed=seed, device=device)
    shrink = min(1.0, IMAGE_HEIGHT_PX / size[0])
    size = (round(size[0] * shrink), round(size[1] * shrink))
    small = replace(
        SegmenterSettings.small(), size=size, upsampling=2, batch_size=2, learning_rate=3e-3, final_rate=0.1
    )
    return replace(small, epochs=epochs, seed=seed, device=device)


def notice(settings: Settings) -> str:
    """One sentence on what the scores of these settings rest on."""
    if settings.backbone in STAND_INS:
        return (
            f"Stand-in: {settings.backbone} (ImageNet) instead of DINO, {settings.flow} flow; "
            "no score here is comparable with the paper's."
        )
    return f"{settings.backbone} features, {settings.flow} flow; the clip is not the paper's data."


def scene_from(clip: str, video: str, *, seed: int, num_frames: int, height_px: int) -> Scene:
    """The user's video, or a clip by name: a simulated one, whose truth is known, or a real sample."""
    if video:
        return own_scene(video, num_frames=num_frames, height_px=height_px)
    if clip in SCENES:
        return simulated_scene(clip, seed=seed, num_frames=num_frames, height_px=height_px)
    return sample_scene(clip, num_frames=num_frames, height_px=height_px)


def split(scene: Scene, num_last: int) -> tuple[Scene, Scene]:
    """The scene without its last frames, and those frames. Raises SpecError where fewer than three would be left."""
    count = scene.num_frames - num_last
    if count < 3:
        raise SpecError(f"{scene.name} must have {num_last + 3} frames or more: got {scene.num_frames}")
    truths = scene.truths
    first = replace(
        scene,
        num_frames=count,
        frames=lambda: islice(scene.frames(), count),
        truths=None if truths is None else lambda: islice(truths(), count),
    )
    last = replace(
        scene,
        num_frames=num_last,
        frames=lambda: islice(scene.frames(), count, None),
        truths=None if truths is None else lambda: islice(truths(), count, None),
    )
    return first, last


@dataclass(frozen=True, eq=False)
class Look:
    """One frame with all that its cut rests on: frame (3, H, W); truth (H, W) bool or None; features of its patches;
    flow_features (N, D); motion; and the discoverer."""

    frame: Tensor
    truth: Tensor | None
    features: PatchFeatures
    flow_features: Tensor
    motion: Motion
    discoverer: Discoverer

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of patches."""
        return self.features.grid

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the frame, pixels."""
        return self.frame.shape[-2], self.frame.shape[-1]


def look_at(seen: Seen, idx: int) -> Look:
    """One frame of a scene that was seen."""
    frame, motion = seen.frame(idx), Motion(seen.motions[idx].flow.float(), seen.motions[idx].moves)
    features = PatchFeatures(seen.features[idx].tokens.float(), seen.features[idx].grid)
    flow_features = seen.discoverer.flow_features(motion, frame, features.grid)
    truth = seen.truths[idx] if seen.truths else None
    return Look(frame, truth, features, flow_features, motion, seen.discoverer)


def raw_flow(seen: Seen, idx: int) -> Tensor:
    """Flow (1, 2, h, w) from a frame to the next as estimated, the camera's part included."""
    estimator = seen.discoverer.estimator
    if estimator is None or idx + 1 >= len(seen.frames):
        raise SpecError(f"flow goes from a frame to the next: frame {idx} of {len(seen.frames)} has none")
    height_px = seen.discoverer.settings.flow_height_px
    return estimator(*(resize_height(seen.frame(number)[None], height_px) for number in (idx, idx + 1)))


def principal_colours(features: PatchFeatures) -> Tensor:
    """The three directions in which the patches' features differ most, as red, green and blue: (3, rows, columns).

    Each from its 2nd to its 98th percentile. Like colours mean like features; the colours themselves mean nothing.
    """
    tokens = features.tokens[0].float()
    centred = tokens - tokens.mean(0)
    _, directions = torch.linalg.eigh(centred.T @ centred)
    directions = directions[:, -3:].flip(1)
    # an eigenvector's sign is anybody's choice; this one makes the picture the same everywhere
    signs = directions.gather(0, directions.abs().argmax(0, keepdim=True)).sign()
    scores = centred @ (directions * signs)
    low, high = scores.quantile(0.02, dim=0), scores.quantile(0.98, dim=0)
    return ((scores - low) / (high - low).clamp_min(1e-9)).clamp(0, 1).T.unflatten(1, features.grid)


def similarity_to(look: Look, patch: tuple[int, int], *, alpha: float) -> Tensor:
    """S of every patch to one, (rows, columns), -1..1: alpha of appearance, the rest of flow.

    patch: row and column, counted from 0. Raises SpecError for a patch outside the grid or alpha outside 0..1.
    """
    rows, columns = look.grid
    if not (0 <= patch[0] < rows and 0 <= patch[1] < columns):
        raise SpecError(f"the patch must be within {rows} rows and {columns} columns, counted from 0: got {patch}")
    if not 0 <= alpha <= 1:
        raise SpecError(f"alpha must be within 0 (flow alone) and 1 (appearance alone): got {alpha}")
    number = patch[0] * columns + patch[1]
    total = look.frame.new_zeros(rows * columns)
    for features, share in ((look.features.tokens[0], alpha), (look.flow_features, 1 - alpha)):
        unit = F.normalize(features.float(), dim=1)
        total = total + share * (unit @ unit[number]).to(total)
    return total.unflatten(0, (rows, columns))


def patch_at(look: Look, row: float, column: float) -> tuple[int, int]:
    """The patch at shares 0..1 of the height and width."""
    rows, columns = look.grid
    return min(int(row * rows), rows - 1), min(int(column * columns), columns - 1)


def object_patch(look: Look) -> tuple[int, int]:
    """The patch in the middle of the true object, or of what moves fastest where there is no truth."""
    weight = look.truth.float() if look.truth is not None else look.motion.flow.norm(dim=1)[0]
    sized = F.interpolate(weight[None, None], size=look.grid, mode="area")[0, 0]
    inside = (sized >= 0.9 * sized.max()).float()
    row, column = (axis.float() for axis in torch.meshgrid(*map(torch.arange, look.grid), indexing="ij"))
    inside = inside.cpu()
    middle_row, middle_column = ((axis * inside).sum() / inside.sum() for axis in (row, column))
    distance = (row - middle_row).square() + (column - middle_column).square()
    number = int(torch.where(inside > 0, distance, torch.inf).argmin())
    return number // look.grid[1], number % look.grid[1]


def three_patches(look: Look) -> dict[str, tuple[int, int]]:
    """A patch on the object, one at the upper right and one at the lower left, by name."""
    return {
        "object": object_patch(look),
        "upper right": patch_at(look, 0.2, 0.85),
        "lower left": patch_at(look, 0.85, 0.1),
    }


def click_sliders(look: Look, *, alpha: float) -> list[Slider]:
    """Row and column of a patch, and alpha; they start on the object."""
    rows, columns = look.grid
    row, column = object_patch(look)
    return [
        Slider("row", "row", 0, rows - 1, row),
        Slider("column", "column", 0, columns - 1, column),
        Slider("alpha", "alpha", 0.0, 1.0, alpha, step=0.1),
    ]


def graph_of(look: Look, settings: Settings) -> TwoValued:
    """The graph of a frame's patches under these settings."""
    flow_features = look.flow_features.to(look.features.tokens) if settings.alpha < 1 else None
    return patch_affinity(
        look.features.tokens[0], flow_features, alpha=settings.alpha, tau=settings.tau, epsilon=settings.epsilon
    )


def graph_table(graph: TwoValued, cut: Cut) -> Table:
    """Size of a graph, how densely it is joined, and its second eigenvalue."""
    neighbours = graph.num_neighbours.double()
    share = 100 * float(graph.edges.double().mean())
    rows = [
        ["patches N", str(len(graph))],
        ["pairs that are joined (%)", f"{share:.0f}"],
        ["neighbours of a patch, median", f"{float(neighbours.median()):.0f}"],
        ["patches without a neighbour", str(int((neighbours <= ISOLATED).sum()))],
        ["second eigenvalue", f"{cut.eigenvalue:.3f}"],
    ]
    return table(rows, ["the graph", ""])


def cut_stages(cut: Cut, settings: Settings, size: tuple[int, int]) -> dict[str, Tensor]:
    """The masks (H, W) bool on the way from the eigenvector to the object, by what was done last."""
    members, oriented = choose_side(cut.eigenvector, corner_rule=settings.corner_rule)
    seeded, _ = grow_seed(members, oriented, component=True)
    above = cut.eigenvector > cut.eigenvector.mean()
    return {
        "x > mean(x)": to_size(above, size),
        "the object's side": to_size(members, size),
        "the seed's component": to_size(seeded, size),
    }


def masks_by_alpha(seen: Seen, alphas: Sequence[float]) -> dict[str, list[Tensor]]:
    """The cut's masks of every frame for each share of appearance, other settings as they are."""
    settings = seen.discoverer.settings
    return {f"alpha {alpha:g}": cut_masks(seen, settings.but(alpha=float(alpha))) for alpha in alphas}


def frames_j(masks: Sequence[Tensor], truths: Sequence[Tensor]) -> list[float]:
    """J of each frame in per cent, 0..100."""
    return [100 * jaccard(mask.cpu(), truth) for mask, truth in zip(masks, truths, strict=True)]


def mean_j(masks: Sequence[Tensor], truths: Sequence[Tensor]) -> float:
    """Mean J in per cent of all frames but the first and the last, REGION_J."""
    return fmean(frames_j(masks, truths)[1:-1])


def measure_for(settings: Settings) -> Measure:
    """REGION_J with a protocol that says what features and flow stand in."""
    return replace(REGION_J, protocol=f"{REGION_J.protocol}; {notice(settings)}")


def result_table(results: Mapping[str, Sequence[Tensor]], truths: Sequence[Tensor], *, caption: str = "") -> Table:
    """Mean J of each result, its worst frame, and how many frames lie above one half; without truth, sizes."""
    rows: list[list[object]] = []
    for name, masks in results.items():
        if not truths:
            rows.append([name, 100 * fmean(float(mask.float().mean()) for mask in masks)])
            continue
        every = frames_j(masks, truths)
        rows.append([name, mean_j(masks, truths), min(every), f"{sum(value > 50 for value in every)} of {len(every)}"])
    columns = ["", "mean J (%)", "worst frame (%)", "frames above 50 %"] if truths else ["", "share of the picture (%)"]
    return table(rows, columns, digits=0, caption=caption)


def j_lines(
    results: Mapping[str, Sequence[Tensor]], truths: Sequence[Tensor]
) -> dict[str, tuple[list[float], list[float]]]:
    """J of each result over the frames, per cent; without truth the share of the picture that the mask covers."""
    lines = {}
    for name, masks in results.items():
        values = frames_j(masks, truths) if truths else [100 * float(mask.float().mean()) for mask in masks]
        lines[name] = ([float(idx) for idx in range(len(values))], values)
    return lines


def worst_frame(masks: Sequence[Tensor], truths: Sequence[Tensor]) -> int:
    """The frame with the lowest J; without truth the one whose mask's size is furthest from the median's."""
    if truths:
        values = frames_j(masks, truths)
        return values.index(min(values))
    sizes = torch.tensor([float(mask.float().mean()) for mask in masks])
    return int((sizes - sizes.median()).abs().argmax())


def findings(results: Mapping[str, Sequence[Tensor]], truths: Sequence[Tensor], settings: Settings) -> list[Finding]:
    """Mean J of each result for a record; none without truth."""
    measure = measure_for(settings)
    return [Finding(name, measure, mean_j(masks, truths)) for name, masks in results.items() if truths]


@dataclass(frozen=True, eq=False)
class Handover:
    """What Algorithm 1 compares for two frames: frames f1, f2 (3, H, W); predicted, the probability (H, W) for f1; flow
    (1, 2, H, W) from f2 to f1; warped, the prediction on f2's grid; wrong_way, the same by the flow from f1 to f2;
    mask, the coarse one of f2."""

    f1: Tensor
    f2: Tensor
    predicted: Tensor
    flow: Tensor
    warped: Tensor
    wrong_way: Tensor
    mask: Tensor


def hand_over(seen: Seen, refinement: Refinement, masks: Sequence[Tensor], idx: int, offset: int) -> Handover:
    """One warped sample of the training: the prediction for frame `idx`, brought to frame `idx` + `offset`."""
    other = idx + offset
    if not 0 <= other < len(seen.frames):
        raise SpecError(f"frame {idx} has no neighbour at offset {offset}: the clip has {len(seen.frames)} frames")
    f1, f2 = seen.frame(idx), seen.frame(other)
    found = segment_frame(
        refinement.trained.network, f1, seen.features[idx].as_map()[0].float(), size=refinement.trained.settings.size
    )
    estimator = seen.discoverer.estimator
    if estimator is None:
        raise SpecError("a prediction is handed over by flow: give settings with alpha below 1")
    back, there = estimator(f2[None], f1[None]), estimator(f1[None], f2[None])
    prediction = found.probability[None, None].to(back)
    warped, wrong = (warp(prediction, flow)[0, 0] for flow in (back, there))
    return Handover(f1, f2, found.probability, back, warped, wrong, masks[other])


def loss_lines(steps: Sequence[Step]) -> dict[str, tuple[list[float], list[float]]]:
    """Algorithm 1's loss and its two halves, each a mean over some steps: name -> (step numbers, cross-entropy)."""
    chunks = [steps[at : at + SMOOTHING_STEPS] for at in range(0, len(steps), SMOOTHING_STEPS)]
    numbers = [fmean(step.number for step in chunk) for chunk in chunks]
    lines = {"sum": (numbers, [fmean(step.total for step in chunk) for chunk in chunks])}
    for name, label in (("same", "own mask"), ("warped", "warped, neighbour's mask")):
        lines[label] = (numbers, [fmean(step.loss_by_name[name] for step in chunk) for chunk in chunks])
    return lines


def network_table(refinement: Refinement) -> Table:
    """Parts of the decoder and the numbers that each learns."""
    decoder = refinement.trained.network.decoder
    rows: list[list[object]] = []
    for name, label in BLOCK_NAMES.items():
        part = getattr(decoder, name)
        rows.append([label, f"{sum(value.numel() for value in part.parameters()):,}".replace(",", " ")])
    return table(rows, ["part of the decoder", "weights"])
