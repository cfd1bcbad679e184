"""Constants of the contextual regulariser, each once with its source: the paper's values and our readings of it."""

import math
from dataclasses import dataclass, replace
from typing import Literal, Self, get_args

from lib.errors import SpecError

Initialisation = Literal["differences", "kirsch", "random"]
KernelLoss = Literal["recommended", "printed"]
Reduction = Literal["sum", "mean"]
Guide = Literal["image", "features"]
CHOICES = {
    "initialisation": get_args(Initialisation),
    "kernel_loss": get_args(KernelLoss),
    "reduction": get_args(Reduction),
    "guide": get_args(Guide),
}


@dataclass(frozen=True)
class RegularizationSettings:
    """What the context loss and the kernel loss follow. Defaults: the paper's constants, readings as named here."""

    initialisation: Initialisation = "differences"  # Choice: the paper names none
    num_kernels: int = 0  # omega, which the paper doesn't give; 0: all of the initialisation, 8 (Kirsch: 9)
    seed: int = 0  # of the initialisation "random"
    sigma: float = 0.25  # sec. 3.2, eq. 6; for pictures within 0..1
    weight: float = 100.0  # lambda of eq. 7, sec. 3.2
    norm_weight: float = 1000.0  # alpha of eq. 9, sec. 3.2: holds the kernels' norm
    sum_weight: float = 1000.0  # beta of eq. 9, sec. 3.2
    # eq. 9 as printed has its minimum at norm^2 = 1 - beta / (2 alpha), so 0.5; Choice: beta (sum d)^2 in its place,
    # which makes them difference kernels of norm 1
    kernel_loss: KernelLoss = "recommended"
    # "sum" as eq. 7, beside a softmax loss that is summed; "mean": divided by the pixels that count, beside a mean one
    reduction: Reduction = "mean"
    guide: Guide = "image"  # what the weights see: the picture (eq. 6) or a lower layer's features (sec. 3.2)
    detach_weights: bool = False  # kernels learn through D * f only, not through the weights
    tied: bool = True  # sec. 2: the same kernels for weights and probabilities; False: two sets
    learn_kernels: bool = True  # False: they stay as initialised

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise SpecError(f"{name} must be one of {', '.join(choices)}: got {getattr(self, name)!r}")
        for name in ("num_kernels", "seed"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                raise SpecError(f"{name} must be a whole number of at least 0: got {value!r}")
        if not 0 < self.sigma < math.inf:
            raise SpecError(f"sigma must be above 0 and finite: got {self.sigma!r}")
        for name in ("weight", "norm_weight", "sum_weight"):
            if not 0 <= getattr(self, name) < math.inf:
                raise SpecError(f"{name} must be at least 0 and finite: got {getattr(self, name)!r}")

    def but(self, **changes: object) -> Self:
        """The same with some fields changed."""
        return replace(self, **changes)  # type: ignore[arg-type]

    @classmethod
    def paper(cls) -> Self:
        """As printed: sums, and eq. 9 to the letter."""
        return cls(reduction="sum", kernel_loss="printed")
