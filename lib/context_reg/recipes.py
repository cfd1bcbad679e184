"""How a host is trained: the paper's Caffe-era recipes and a modern one, all values named with their source."""

import math
from dataclasses import dataclass, replace
from typing import Any, Literal, Self, get_args

from lib.context_reg.settings import Reduction, RegularizationSettings
from lib.errors import SpecError
from lib.training import Precision

Optimizer = Literal["sgd", "adamw"]
Schedule = Literal["constant", "poly"]
Balance = Literal["none", "median"]
CHOICES = {
    "optimizer": get_args(Optimizer),
    "schedule": get_args(Schedule),
    "reduction": get_args(Reduction),
    "balance": get_args(Balance),
    "precision": get_args(Precision),
}


@dataclass(frozen=True)
class TrainingSettings:
    """How long, how fast, on what. Defaults: the modern recipe; `paper_fcn` and `paper_segnet` are the published ones.

    regularization: None trains with the softmax loss alone, the paper's baseline.
    """

    num_steps: int = 2000
    batch_size: int = 8  # pictures, over all devices
    accumulate: int = 1  # parts that a batch is computed in, one after the other
    optimizer: Optimizer = "adamw"
    learning_rate: float = 1e-3
    schedule: Schedule = "poly"  # (1 - step / steps) ** 0.9, as in DeepLab
    warm_up: int = 0  # steps over which the rate rises from nothing
    momentum: float = 0.9  # of "sgd"
    weight_decay: float = 1e-2
    bias_rate: float = 1.0  # rate of biases and normalisations as a multiple; they never decay
    clip_norm: float = 10.0  # of the network's gradient; inf: not clipped
    reduction: Reduction = "mean"  # of the softmax loss over the pixels that count; "sum": not normalised
    balance: Balance = "none"  # "median": classes weighted by median frequency, as in the public SegNet models

    regularization: RegularizationSettings | None = None
    ramp_steps: int = 0  # steps over which lambda rises from 0. Choice: the paper has none
    kernel_rate: float = 1e-4  # learning rate of the kernels, in a group of their own
    kernel_clip: float = 1.0  # of the kernels' gradient

    flip: bool = True  # left and right swapped, every other time
    scale: tuple[float, float] = (0.75, 1.5)  # pictures are resized by a factor between these, log-uniform
    crop: tuple[int, int] = (0, 0)  # height, width cut out, what is missing is void; 0: as large as the picture

    evaluate_every: int = 0  # steps between evaluations, of which that with the best mean IU stays; 0: the last
    checkpoint_every: int = 200  # steps
    seed: int = 0  # of the first weights and of every draw
    precision: Precision = "full"  # "bf16": the network in 16 bits where that is safe, losses in float32
    device: str = "auto"
    num_devices: int = 1  # above 1: the same training shared out, with distributed data parallel
    num_workers: int = 0  # processes that read pictures ahead

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise SpecError(f"{name} must be one of {', '.join(choices)}: got {getattr(self, name)!r}")
        ones = ("batch_size", "accumulate", "checkpoint_every", "num_devices")
        for name in (*ones, "num_steps", "warm_up", "ramp_steps", "evaluate_every", "num_workers", "seed"):
            value, low = getattr(self, name), int(name in ones)
            if not isinstance(value, int) or isinstance(value, bool) or value < low:
                raise SpecError(f"{name} must be a whole number of at least {low}: got {value!r}")
        for name in ("learning_rate", "kernel_rate", "clip_norm", "kernel_clip"):
            if not getattr(self, name) > 0:
                raise SpecError(f"{name} must be above 0: got {getattr(self, name)!r}")
        if not (0 <= self.momentum < 1 and 0 <= self.weight_decay < math.inf and 0 <= self.bias_rate < math.inf):
            raise SpecError("momentum must lie within 0..1, weight_decay and bias_rate must be at least 0 and finite")
        if not 0 < self.scale[0] <= self.scale[1] < math.inf:
            raise SpecError(f"scale must be two factors above 0 that rise: got {self.scale!r}")
        if self.batch_size % (self.num_devices * self.accumulate):
            raise SpecError(
                f"batch_size must be a multiple of num_devices x accumulate, {self.num_devices * self.accumulate}: "
                f"got {self.batch_size}"
            )
        if self.regularization is not None and self.regularization.reduction != self.reduction:
            raise SpecError(
                f"both losses must have one reduction: got {self.reduction} beside {self.regularization.reduction} "
                "in regularization; otherwise lambda means something else"
            )

    @classmethod
    def paper_fcn(cls, *, regularized: bool = True) -> Self:
        """Sec. 3.2 with the FCN repository where it is silent: sums, SGD with heavy momentum, no augmentation.

        Choice: the rate is the repository's 1e-10; the paper's "e-9" is ten times that with the same momentum. The
        kernels have the network's rate, since the paper names no other.
        """
        return cls(
            num_steps=100_000, batch_size=1, optimizer="sgd", learning_rate=1e-10, schedule="constant", momentum=0.99,
            weight_decay=5e-4, bias_rate=2.0, clip_norm=math.inf, reduction="sum",
            regularization=RegularizationSettings.paper() if regularized else None,
            kernel_rate=1e-10, kernel_clip=math.inf, flip=False, scale=(1.0, 1.0), checkpoint_every=2000,
            device="cuda",
        )  # fmt: skip

    @classmethod
    def paper_segnet(cls, *, regularized: bool = True) -> Self:
        """Sec. 3.3 with SegNet-Tutorial where it is silent: mean loss, SGD at 0.001, batches of 4, no augmentation."""
        return cls(
            num_steps=40_000, batch_size=4, optimizer="sgd", learning_rate=1e-3, schedule="constant", momentum=0.9,
            weight_decay=5e-4, bias_rate=2.0, clip_norm=math.inf,
            regularization=RegularizationSettings() if regularized else None,
            kernel_rate=1e-4, flip=False, scale=(1.0, 1.0), checkpoint_every=2000, device="cuda",
        )  # fmt: skip

    @classmethod
    def modern(cls, *, num_steps: int = 20_000, regularized: bool = True) -> Self:
        """AdamW with a rate that falls to 0, mean loss, pictures flipped, scaled and cropped, bf16 on one GPU.

        Choice: lambda 0.05, which rises over the first tenth, and sigma 0.1. Beside a mean loss the paper's lambda of
        100 leaves nothing but smoothness: on CamVid already 1 with sigma 0.25 made a small SegNet worse
        (one seed: mean IU 12 instead of 20).
        """
        return cls(
            num_steps=num_steps, batch_size=8, learning_rate=2e-4, warm_up=num_steps // 50,
            regularization=RegularizationSettings(weight=0.05, sigma=0.1) if regularized else None,
            ramp_steps=num_steps // 10,
            crop=(400, 400), evaluate_every=max(num_steps // 20, 1), checkpoint_every=max(num_steps // 20, 1),
            precision="bf16", device="cuda", num_workers=8,
        )  # fmt: skip

    def but(self, **changes: Any) -> Self:
        """The same with some fields changed."""
        return replace(self, **changes)

    def rate(self, step: int) -> float:
        """Learning rate of a step, 0-based, as a share of `learning_rate`."""
        rising = min((step + 1) / self.warm_up, 1.0) if self.warm_up else 1.0
        return rising * ((1 - step / max(self.num_steps, 1)) ** 0.9 if self.schedule == "poly" else 1.0)

    def ramp(self, step: int) -> float:
        """Share of lambda at a step, 0-based."""
        return min(step / self.ramp_steps, 1.0) if self.ramp_steps else 1.0
