"""What the walkthrough measures and sets side by side: halves of a frame, brightness targets, alignment, water."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from lib.errors import ShapeError
from lib.flow import FlowEstimator
from lib.metrics import Measure
from lib.show.scores import Finding
from lib.show.tables import Table, table
from lib.zero_tig.baselines import brighten_to_mean, gamma_to_mean
from lib.zero_tig.downsample import pair_downsample
from lib.zero_tig.evaluate import MEASURES, scores_of
from lib.zero_tig.losses import NAMES, Brightness
from lib.zero_tig.methods import Recipe, reflectances, train_on_case
from lib.zero_tig.model import Enhancement
from lib.zero_tig.scenes import Case, Pictures
from lib.zero_tig.settings import Settings
from lib.zero_tig.temporal import SMALLEST_FLOW_SIDE, Alignment, equalise
from lib.zero_tig.train import Step

GREY_LEVELS = 255.0
IN_VIEW = 0.999  # share of a warped pixel that came from inside the frame before
# what a loss is there for, as section 6 of the fact sheet sorts them; one line each in the figure
LOSS_GROUPS: dict[str, tuple[str, ...]] = {
    "brightness (over, pix)": ("over", "pix"),
    "smooth light (smooth)": ("smooth",),
    "noise, first (res1, cons1)": ("res1", "cons1"),
    "noise, second (res2, cons2)": ("res2", "cons2"),
    "flat areas (inter, var)": ("inter", "var"),
    "light kept (ill)": ("ill",),
    "colour (color)": ("color",),
}

ALIGNMENT = Measure(
    "alignment error",
    "grey levels",
    "lower",
    0.0,
    "mean |difference| of the true previous frame, warped by this flow, to the true current one; pixels in view",
)


def halves_correlation(noisy: Tensor, clean: Tensor) -> dict[str, float]:
    """How alike the two half-size pictures of the pair down-sampler are: in what is seen, and in the noise on it.

    noisy, clean: (3, H, W), the frame and the same without noise. Near 1 and near 0: so one half can teach the other.
    """
    seen = pair_downsample(clean[None])
    noise = [half - wanted for half, wanted in zip(pair_downsample(noisy[None]), seen, strict=True)]
    return {"picture": _correlation(*seen), "noise": _correlation(noise[0], noise[1])}


def _correlation(first: Tensor, second: Tensor) -> float:
    return float(torch.corrcoef(torch.stack([first.flatten(), second.flatten()]).double())[0, 1])


def target_lines(means: Sequence[float], *, target: float = 0.5) -> dict[str, tuple[list[float], list[float]]]:
    """Eq. 7 as curves: L against the illumination that it asks for, one line for each mean brightness of a frame."""
    dark = torch.linspace(0, 0.5, 101)
    lines = {}
    for mean in means:
        level = brightness_of(mean, target=target)
        wanted = (level.beta * (level.alpha * dark) ** level.alpha).clamp(1e-9, 1).flatten()
        lines[f"mean {mean:g}, alpha {float(level.alpha):.1f}"] = (dark.tolist(), wanted.tolist())
    return lines


def brightness_of(mean: float, *, target: float = 0.5) -> Brightness:
    """alpha and beta of eq. 7 for a frame of this mean brightness, each a tensor of one number."""
    alpha = torch.tensor(target / mean).clamp(1, 25)
    return Brightness(alpha, 0.7**-alpha / alpha)


def loss_lines(steps: Sequence[Step]) -> dict[str, tuple[list[float], list[float]]]:
    """The weighted losses of each step by LOSS_GROUPS: group -> (step numbers, values)."""
    numbers = [float(step.number) for step in steps]
    return {
        group: (numbers, [sum(step.loss_by_name[name] for name in names) for step in steps])
        for group, names in LOSS_GROUPS.items()
    }


def loss_table(steps: Sequence[Step]) -> Table:
    """Each weighted loss at the first and at the last step, and its share of the last total."""
    first, last = steps[0], steps[-1]
    rows = [
        [name, first.loss_by_name[name], last.loss_by_name[name], 100 * last.loss_by_name[name] / last.total]
        for name in NAMES
    ]
    rows.append(["total", first.total, last.total, 100.0])
    columns = ["loss, weighted", f"step {first.number}", f"step {last.number}", "share (%)"]
    return table(rows, columns, digits={columns[1]: 0, columns[2]: 0, "share (%)": 0})


class NoMotion(nn.Module):
    """The flow of a world that stands still: what feedback without optical flow would assume."""

    multiple = 1
    smallest_px = 1

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Zeros (B, 2, H, W)."""
        return first.new_zeros(len(first), 2, *first.shape[-2:])


def aligned_by(
    settings: Settings,
    previous: Tensor,
    current: Tensor,
    *,
    moves: bool = True,
    smallest_side: int = SMALLEST_FLOW_SIDE,
) -> "Past":
    """The previous result on the current frame's grid.

    previous: R(t-1), current: L(t), both (1, 3, H, W). moves: False assumes that nothing moves. smallest_side: pixels
    that the flow factor leaves on the short side.
    """
    estimator = None if moves else FlowEstimator("none", NoMotion())
    alignment = Alignment(settings, estimator=estimator, smallest_side=smallest_side)
    with torch.no_grad():
        flow = alignment.flow(previous, current)
        return Past(flow, alignment.warp(previous, flow), alignment)


@dataclass(frozen=True)
class Past:
    """A flow (1, 2, h, w) between two frames, and what it makes of the previous picture, (1, 3, H, W)."""

    flow: Tensor
    warped: Tensor
    alignment: Alignment


def alignment_error(
    case: Case,
    found: Sequence[Enhancement],
    settings: Settings,
    *,
    moves: bool = True,
    smallest_side: int = SMALLEST_FLOW_SIDE,
) -> float:
    """ALIGNMENT of the flow that these settings give between R(t-1) and L(t), mean over the frames of a case.

    found: the frames of the case taken apart. moves, smallest_side: as in `aligned_by`.
    Raises ShapeError for a case without truth or with one frame.
    """
    if case.truth is None or len(found) < 2:
        raise ShapeError(f"the case {case.name} must have a truth and at least two frames")
    errors = []
    for idx in range(1, len(found)):
        before_it, it = found[idx - 1].reflectance, found[idx].denoised
        past = aligned_by(settings, before_it, it, moves=moves, smallest_side=smallest_side)
        before, now = case.truth[idx - 1 : idx], case.truth[idx : idx + 1]
        warped = past.alignment.warp(torch.cat([before, torch.ones_like(before)], dim=1), past.flow)
        errors.append(float((warped[:, :3] - now).abs()[warped[:, 3:] > IN_VIEW].mean()))
    return GREY_LEVELS * sum(errors) / len(errors)


def alignment_findings(case: Case, found: Sequence[Enhancement], settings: Settings) -> list[Finding]:
    """The alignment error without motion, with the flow of L as it is, of L equalised (eqs 2 and 3), and of both.

    The last equalises R(t-1) as well, which the paper doesn't: two pictures in the same tones.
    """
    plain, equalised = (replace(settings, equalise=flag) for flag in (False, True))
    both = [replace(one, reflectance=equalise(one.reflectance)) for one in found]
    return [
        Finding("nothing moves", ALIGNMENT, alignment_error(case, found, plain, moves=False)),
        Finding("flow of L as it is", ALIGNMENT, alignment_error(case, found, plain)),
        Finding("flow of L equalised", ALIGNMENT, alignment_error(case, found, equalised)),
        Finding("flow of both equalised", ALIGNMENT, alignment_error(case, both, equalised)),
    ]


def finding_table(found: Sequence[Finding], *, title: str, digits: int = 2) -> Table:
    """Findings of one measure as a table with one row each."""
    measure = found[0].measure
    unit = "" if measure.unit == "1" else f" ({measure.unit})"
    return table([[one.row, one.value] for one in found], [title, f"{measure.name}{unit}"], digits=digits)


def score_findings(results: Mapping[str, Tensor], case: Case, names: Sequence[str]) -> list[Finding]:
    """The named measures of each result (T, 3, H, W) of a case."""
    found = []
    for row, video in results.items():
        found += [Finding(row, MEASURES[name], value) for name, value in scores_of(video, case, names).items()]
    return found


def channel_table(videos: Mapping[str, Tensor]) -> Table:
    """Mean red, green and blue of each video (T, 3, H, W) in grey levels, as Figure 2 of the paper compares them."""
    rows = [[name, *(GREY_LEVELS * video.mean((0, 2, 3))).tolist()] for name, video in videos.items()]
    return table(rows, ["mean (grey levels)", "red", "green", "blue"], digits=0)


def channel_counts(video: Tensor, *, bins: int = 64) -> dict[str, tuple[list[float], list[float]]]:
    """Histogram of each channel of a video (T, 3, H, W): name -> (grey level, share of the pixels in per cent)."""
    levels = [(idx + 0.5) * GREY_LEVELS / bins for idx in range(bins)]
    found = {}
    for name, plane in zip(("red", "green", "blue"), video.movedim(1, 0), strict=True):
        counts = torch.histc(plane.float().cpu(), bins, 0, 1)
        found[name] = (levels, (100 * counts / counts.sum()).tolist())
    return found


def enhance_pictures(
    pictures: Pictures,
    *,
    underwater: bool,
    weights: str = "",
    steps: int | None = None,
    device: torch.device | str = "cpu",
    seed: int = 0,
) -> dict[str, dict[str, Tensor]]:
    """Each picture by gamma to mean 0.5 and by Zero-IG, trained on that picture alone: method -> picture -> (3, H, W).

    The recipe is `Settings.single_picture`. weights: a file, "" for the shipped ones. steps: optimiser steps on a
    picture, None for the recipe's; 0 takes the weights as they are. seed: of new networks only.
    """
    recipe = Recipe.single_picture(underwater=underwater, weights=weights, steps=steps)
    shown: dict[str, dict[str, Tensor]] = {"gamma to mean 0.5": {}, "Zero-IG": {}}
    for name, picture in pictures.by_name.items():
        case = Case(name, picture[None].to(device), None, None, pictures.origin, underwater)
        model = train_on_case("zero_ig", case, recipe, seed=seed).model
        shown["gamma to mean 0.5"][name] = gamma_to_mean(picture)
        shown["Zero-IG"][name] = reflectances(model, case.video)[0].cpu()
    return shown


def equally_bright(video: Tensor, *, mean: float = 0.5) -> Tensor:
    """The video by one gain a frame, to look at beside a result: what brightening alone gives."""
    return brighten_to_mean(video, mean=mean)
