"""Constants of the paper, each once, with its section. Thresholds are in grey levels of 255, images within 0..1."""

import math
from dataclasses import dataclass
from typing import Literal, Self, get_args

from lib.errors import SpecError

Rule = Literal["max", "threshold", "reference"]
Padding = Literal["none", "black", "replicate"]
Solver = Literal["dct", "multigrid"]
Source = Literal["denoised", "raw"]
Difference = Literal["intensity", "gradient"]


@dataclass(frozen=True)
class _Reconstruction:
    """What stills and video share: from a mixed gradient field to a picture."""

    gradient_threshold: float = 10.0  # T_g, sec. 3; value is our choice, the paper gives none
    # around the picture, to a power of two in sec. 2.2; Choice: none, which the exact solver does not need
    padding: Padding = "none"
    solver: Solver = "dct"  # sec. 2.2 names full multigrid; Choice: the exact solver, to which multigrid converges
    multigrid_cycles: int = 3  # V(2,2) cycles on each level; our choice
    colour_fit: bool = True  # sec. 2.3

    def __post_init__(self) -> None:
        _one_of("padding", self.padding, get_args(Padding))
        _one_of("solver", self.solver, get_args(Solver))
        _at_least(self, gradient_threshold=0, multigrid_cycles=1)


@dataclass(frozen=True)
class ImageSettings(_Reconstruction):
    """Algorithm 1: one night picture and one day picture (sec. 2 and 3)."""

    rule: Rule = "threshold"  # for the importance of the night picture, sec. 3
    intensity_threshold: float = 128.0  # T_i, sec. 3; value is our choice
    reference_low: float = 20.0  # |N - R| below which nothing changed, sec. 3; value is our choice
    reference_high: float = 60.0  # |N - R| above which W is whole; our choice
    feather_px: float = 2.0  # Gaussian sigma that softens W, 0 for none; our choice
    register: bool = False  # sub-pixel shift of the day picture onto the night one; not in the paper

    def __post_init__(self) -> None:
        super().__post_init__()
        _one_of("rule", self.rule, get_args(Rule))
        _at_least(self, intensity_threshold=0, reference_low=0, feather_px=0)
        if not self.reference_high > self.reference_low:
            raise SpecError(
                f"reference_high must be above reference_low: got {self.reference_high} and {self.reference_low}"
            )

    @classmethod
    def paper(cls) -> Self:
        """The paper's own way: black padding to a power of two, full multigrid, no feather."""
        return cls(padding="black", solver="multigrid", feather_px=0.0)


@dataclass(frozen=True)
class VideoSettings(_Reconstruction):
    """Algorithm 2: a night video and one day picture (sec. 4)."""

    half_window: int = 5  # motion masks are averaged over 2 c + 1 frames: c, sec. 4
    difference_threshold: float = 20.0  # |F_i - F_(i-1)| that is motion, grey levels; value is our choice (SUSAN's t)
    difference: Difference = "intensity"  # the algorithm compares intensities, the text gradients
    clean_masks: bool = True  # "processed" masks, sec. 4; Choice: 3x3 median, then 5x5 dilation
    gradient_gate: bool = False  # also ask for a night gradient above gradient_threshold
    zero_tolerance: float = 0.0  # W' up to which a pixel counts as still, 0..1; the paper asks for 0
    susan_passes: int = 3  # of denoising, "repeatedly applied", sec. 4; number is our choice, 0 for none
    susan_sigma: float = 15.0  # sec. 4
    susan_threshold: float = 20.0  # t, sec. 4
    gradient_source: Source = "denoised"  # frames whose gradients are mixed and whose colours are fitted
    fit_memory: float = 0.0  # weight of the previous frame's colour fit, 0..1; not in the paper

    def __post_init__(self) -> None:
        super().__post_init__()
        _one_of("difference", self.difference, get_args(Difference))
        _one_of("gradient_source", self.gradient_source, get_args(Source))
        _at_least(self, half_window=0, difference_threshold=0, zero_tolerance=0, susan_passes=0, fit_memory=0)
        for name in ("susan_sigma", "susan_threshold"):
            if not 0 < getattr(self, name) < math.inf:
                raise SpecError(f"{name} must be above 0 and finite: got {getattr(self, name)!r}")
        if not self.fit_memory < 1:
            raise SpecError(f"fit_memory must be below 1: got {self.fit_memory}")

    @classmethod
    def paper(cls) -> Self:
        """The paper's own way: black padding to a power of two and full multigrid."""
        return cls(padding="black", solver="multigrid")


def _one_of(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise SpecError(f"{name} must be one of {', '.join(choices)}: got {value!r}")


def _at_least(settings: object, **lowest: float) -> None:
    for name, low in lowest.items():
        value = getattr(settings, name)
        if isinstance(getattr(type(settings), name), int) and not isinstance(value, int):
            raise SpecError(f"{name} must be a whole number: got {value!r}")
        if not low <= value < math.inf:
            raise SpecError(f"{name} must be at least {low} and finite: got {value!r}")
