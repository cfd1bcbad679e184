"""What the walkthrough measures and sets side by side: the curl of a field, solvers by cycle, and the failures."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from lib.context_fusion.baselines import average
from lib.context_fusion.fit import apply_colour, fit_colour, fit_offset
from lib.context_fusion.gradients import luma, mix_gradients
from lib.context_fusion.importance import GREY_LEVELS, larger_gradient
from lib.context_fusion.reconstruct import reconstruct
from lib.context_fusion.settings import ImageSettings, Padding
from lib.errors import ShapeError
from lib.metrics import (
    COLOUR_SHIFT,
    FLICKER,
    GHOSTING,
    Measure,
    colour_shift,
    flicker,
    ghosting,
)
from lib.show.scores import Finding
from lib.solvers import dct
from lib.solvers.multigrid import finest_level, v_cycle
from lib.solvers.poisson import divergence, gradient, solve_poisson

Window = tuple[slice, slice, slice]

PLAIN = ImageSettings()
# sweeps of two colours that cost about as much as a V(2,2) cycle of full multigrid: 4 (1 + 1/4 + 1/16 + ...) twice over
SMOOTHINGS_A_CYCLE = 3
CROP = 0.36  # of the picture height
STRIP = 0.06  # of the picture height, what counts as along the border
CUT_PADDINGS: tuple[Padding, Padding] = ("none", "black")

RESIDUAL = Measure(
    "relative residual", "1", "lower", 0.0, "||laplacian I' - div G|| / ||div G|| of the direct solver, three channels"
)
IDENTITY = Measure(
    "identity error", "grey levels", "lower", 0.0, "largest error against the night for W = 1 and the day for W = 0"
)
SOLVER_ERROR = Measure(
    "solver error",
    "grey levels",
    "lower",
    0.0,
    "largest difference to the direct solution, float64, luma of the picture's upper left quarter",
)
COLOUR_EDGES = Measure(
    "colour edges",
    "grey levels",
    "lower",
    0.0,
    "mean |step| of R - G and of B - G from pixel to pixel, both directions",
)
HALO_SHARE = Measure(
    "halo share", "1", "lower", 0.0, "|slope| of grad R on (N - D) grad W, after what G explains of it is taken away"
)
BLEEDING = Measure(
    "bleeding",
    "grey levels",
    "lower",
    0.0,
    "mean |difference| to the day beside the mover, along the border",
)


def curl(field_x: Tensor, field_y: Tensor) -> Tensor:
    """What a field sums to around each 2x2 block of pixels, (..., H - 1, W - 1); 0 everywhere for a gradient.

    field_x, field_y: (..., H, W), forward differences to the right and downwards.
    """
    return field_y[..., :-1, :].diff(dim=-1) - field_x[..., :, :-1].diff(dim=-2)


def relative_residual(solution: Tensor, div: Tensor) -> float:
    """||laplacian(I') - div|| / ||div|| over all planes; div without its mean, which no picture has."""
    wanted = div.double() - div.double().mean(dim=(-2, -1), keepdim=True)
    left = divergence(*gradient(solution.double())) - wanted
    return float(left.norm() / wanted.norm())


def largest_error(solution: Tensor, exact: Tensor) -> float:
    """Largest difference to the exact solution, grey levels."""
    return float((solution - exact).abs().max() * GREY_LEVELS)


def errors_by_cycle(div: Tensor, *, cycles: int) -> dict[str, list[float]]:
    """Largest error in grey levels after 1, 2, ... `cycles` cycles of three iterative solvers, against the exact one.

    div: (P, H, W). Solvers: full multigrid with that many V(2,2) cycles a level, V(2,2) cycles from an empty picture,
    and Gauss-Seidel alone with about the same work.
    """
    source = div.double() - div.double().mean(dim=(-2, -1), keepdim=True)
    exact = dct.solve(source)  # needs no compiled kernel for double precision
    level = finest_level(*source.shape[-2:], source.dtype, source.device)
    errors: dict[str, list[float]] = {"full multigrid": [], "V cycles from 0": [], "Gauss-Seidel alone": []}
    cycled, swept = torch.zeros_like(source), torch.zeros_like(source)
    for count in range(1, cycles + 1):
        cycled = v_cycle(level, cycled, source)
        for _ in range(SMOOTHINGS_A_CYCLE):
            swept = level.smooth(swept, source)
        full = solve_poisson(source, method="multigrid", cycles=count)
        for solution, history in zip((full, cycled, swept), errors.values(), strict=True):
            history.append(largest_error(level.remove_mean(solution), exact))
    return errors


def fuse_by(night: Tensor, day: Tensor, importance: Tensor, settings: ImageSettings = PLAIN) -> Tensor:
    """Algorithm 1 from step 3 on, with an importance W (H, W) that somebody else made: (3, H, W), 0..1."""
    solution = reconstruct(night, day, importance, settings)
    target = torch.lerp(day, night, importance)
    fit = fit_colour if settings.colour_fit else fit_offset
    return apply_colour(solution, *fit(solution, target))


def identity_error(night: Tensor, day: Tensor) -> float:
    """Largest error, grey levels, of what must come back as it was: the night for W = 1 and the day for W = 0."""
    whole = torch.ones_like(night[0])
    return max(largest_error(fuse_by(night, day, whole), night), largest_error(fuse_by(night, day, 0 * whole), day))


def switch_each_channel(night: Tensor, day: Tensor) -> Tensor:
    """The rule `max` taken in each channel by itself, which fringes colours, (3, H, W)."""
    (night_x, night_y), (day_x, day_y) = gradient(night), gradient(day)
    from_night = night_x.square() + night_y.square() >= day_x.square() + day_y.square()
    mixed = divergence(torch.where(from_night, night_x, day_x), torch.where(from_night, night_y, day_y))
    solution = solve_poisson(mixed)
    return apply_colour(solution, *fit_colour(solution, torch.where(from_night, night, day)))


def colour_edges(image: Tensor) -> float:
    """Mean step of the colour differences R - G and B - G from pixel to pixel, grey levels; fringes raise it."""
    differences = torch.stack([image[0] - image[1], image[2] - image[1]])
    return float(sum(component.abs().mean() for component in gradient(differences)) * GREY_LEVELS)


@dataclass(frozen=True)
class Failure:
    """One way to get it wrong beside the paper's way, both (3, h, w), cut to where they differ most."""

    name: str
    measure: Measure
    wrong: Tensor
    right: Tensor
    wrong_score: float
    right_score: float

    @property
    def is_seen(self) -> bool:
        """Whether the measure prefers the paper's way; all of them are better when lower."""
        return self.right_score < self.wrong_score


def failures(night: Tensor, day: Tensor, importance: Tensor, matte: Tensor) -> list[Failure]:
    """The five failures that the paper names or leaves room for, each with the measure that sees it.

    night, day: (3, H, W); importance: W (H, W) of the whole picture; matte: (H, W), where the movers are.
    """
    ours, target = fuse_by(night, day, importance), torch.lerp(day, night, importance)
    ghost, calm = average(night, day), fuse_by(night, day, matte)
    fringed, plain = switch_each_channel(night, day), fuse_by(night, day, larger_gradient(night, day))
    unfitted = fuse_by(night, day, importance, ImageSettings(colour_fit=False))
    whole = (slice(None), slice(None), slice(None))
    scores: list[tuple[str, Measure, Callable[[Tensor], float], Tensor, Tensor, Window]] = [
        (
            "ghosting: the average",
            GHOSTING,
            lambda image: ghosting(image, day, night, mask=matte == 0),
            ghost,
            calm,
            densest(_edge_difference(ghost, calm)),
        ),
        (
            "halo: the pixel blend",
            HALO_SHARE,
            lambda image: halo_share(image, night, day, importance),
            target,
            ours,
            densest((target - ours).abs().mean(dim=0)),
        ),
        (
            "fringes: each channel for itself",
            COLOUR_EDGES,
            colour_edges,
            fringed,
            plain,
            densest(_edge_difference(fringed, plain)),
        ),
        ("colour shift: no fit", COLOUR_SHIFT, lambda image: colour_shift(image, target), unfitted, ours, whole),
    ]
    cases = [
        Failure(name, measure, wrong[window], right[window], score(wrong), score(right))
        for name, measure, score, wrong, right, window in scores
    ]
    return [*cases, bleeding(night, day, matte)]


def halo_share(image: Tensor, night: Tensor, day: Tensor, importance: Tensor) -> float:
    """How much of (N - D) grad W, the rim that blending pixels draws around W, is in an image (3, H, W): 0 to 1."""
    field = torch.stack(mix_gradients(night, day, importance)).double()
    rim = torch.stack(gradient(torch.lerp(day, night, importance))).double() - field
    rim = rim - (rim * field).sum() / field.square().sum() * field
    return float(((torch.stack(gradient(image)).double() * rim).sum() / rim.square().sum()).abs())


def bleeding(night: Tensor, day: Tensor, matte: Tensor) -> Failure:
    """What the border does to a mover that it cuts in two: Neumann at the picture's edge against black padding.

    The picture is cut through the middle of the leftmost mover; beside the mover the day should stay as it is.
    Raises ShapeError when nothing moves.
    """
    columns = (matte > 0.5).any(dim=0).nonzero().flatten().tolist()
    if not columns:
        raise ShapeError("matte must show at least one mover: got an empty one")
    cut = max((columns[0] + next(x for x in columns if x + 1 not in columns)) // 2, 2)
    night, day, matte = night[..., :cut], day[..., :cut], matte[..., :cut]
    strip = matte == 0
    strip[:, : -max(1, round(STRIP * len(matte)))] = False

    def departs(image: Tensor) -> float:
        return float((image - day)[:, strip].abs().mean() * GREY_LEVELS)

    wrong, right = (fuse_by(night, day, matte, ImageSettings(padding=padding)) for padding in CUT_PADDINGS)
    window = densest(_edge_difference(wrong, right))
    return Failure(
        "bleeding: a car at the border", BLEEDING, wrong[window], right[window], departs(wrong), departs(right)
    )


def densest(plane: Tensor) -> Window:
    """The window of a picture, a third as high and half again as wide, in which a plane (H, W) is largest."""
    rows, columns = plane.shape
    height = max(1, min(round(CROP * rows), round(columns / 1.5)))
    width = min(columns, round(1.5 * height))
    means = F.avg_pool2d(plane[None], (height, width), stride=1)[0]
    top, left = divmod(int(means.argmax()), means.shape[1])
    return slice(None), slice(top, top + height), slice(left, left + width)


def _edge_difference(first: Tensor, second: Tensor) -> Tensor:
    """How much the lengths of two pictures' luma gradients differ, (H, W)."""
    lengths = [torch.hypot(*gradient(luma(picture))) for picture in (first, second)]
    return (lengths[0] - lengths[1]).abs()


def solver_findings(
    night: Tensor, day: Tensor, solution: Tensor, div: Tensor, errors: Mapping[str, Sequence[float]]
) -> list[Finding]:
    """Residual of the solve, what must come back as it was, and full multigrid after 1 to 3 cycles."""
    found = [
        Finding("Poisson solve", RESIDUAL, relative_residual(solution, div)),
        Finding("W = 1, W = 0", IDENTITY, identity_error(night, day)),
    ]
    for count, error in enumerate(errors["full multigrid"][:3], start=1):
        found.append(Finding(f"full multigrid, cycle {count}", SOLVER_ERROR, error))
    return found


def failure_findings(cases: Sequence[Failure]) -> list[Finding]:
    """The score of each failure and of the paper's way."""
    found = []
    for case in cases:
        kind = case.name.split(":")[0]
        found.append(Finding(case.name, case.measure, case.wrong_score))
        found.append(Finding(f"{kind}: the paper's way", case.measure, case.right_score))
    return found


def video_findings(videos: Mapping[str, Tensor], movers: Tensor) -> list[Finding]:
    """Flicker of each video (T, 3, H, W) where nothing ever moves; movers: bool (T, H, W)."""
    still = ~movers.any(dim=0)
    return [Finding(f"video, {name}", FLICKER, flicker(video, still=still)) for name, video in videos.items()]
