"""Constants of the paper and its published code, each once, with its source. Pictures lie within 0..1."""

import math
from dataclasses import dataclass, field, fields
from typing import Literal, Self, get_args

from lib.errors import SpecError
from lib.flow import FlowName

Direction = Literal["backward", "forward"]
Over = Literal["reflectance", "illumination"]
Retinex = Literal["noisy", "denoised"]
Precision = Literal["full", "mixed"]
CHOICES = {
    "over": get_args(Over),
    "retinex": get_args(Retinex),
    "direction": get_args(Direction),
    "flow": get_args(FlowName),
    "precision": get_args(Precision),
}

# eqs 6 and 8: mean brightness that the low-light and the underwater mode aim at
LOW_LIGHT_EXPOSURE = 0.5
UNDERWATER_EXPOSURE = 0.3
FINE_TUNING_RATE = 1e-4  # sec. IV
DARK_STEPS, WATER_STEPS = 20, 25  # on one picture, see Settings.single_picture


@dataclass(frozen=True)
class LossWeights:
    """Weight of each loss in the published code; the paper prints the total as a plain sum (sec. III-C)."""

    over: float = 1000.0  # eq. 6
    pix: float = 700.0  # eq. 7
    smooth_neighbours: float = 5.0  # 24-neighbour smoothness of the illumination
    smooth_variation: float = 1600.0  # total variation of the illumination
    res1: float = 1000.0  # eq. 4, each of its two terms
    cons1: float = 1000.0  # eq. 5, each of its two terms
    res2: float = 1000.0  # as eq. 4 for RD-Net, each of its two terms
    cons2: float = 1000.0  # as eq. 5 for RD-Net, each of its two terms
    ill: float = 1000.0
    inter: float = 10000.0  # each of its two terms
    var: float = 1000.0
    color: float = 10000.0

    def __post_init__(self) -> None:
        for one in fields(self):
            if not 0 <= getattr(self, one.name) < math.inf:
                raise SpecError(f"loss weight {one.name} must be at least 0: got {getattr(self, one.name)!r}")


@dataclass(frozen=True)
class Settings:
    """What the losses, the temporal feedback and the training follow. Defaults: the corrected reading of the paper."""

    underwater: bool = False  # eqs 8 and 9: one brightness factor a channel, which removes the cast of the water
    exposure: float = (
        0.0  # mean brightness aimed at, 0..1; 0: that of the paper, 0.5 (eq. 6) or under water 0.3 (eq. 8)
    )
    largest_factor: float = 25.0  # of alpha, code; the paper has no such bound (eqs 6 and 8)
    over: Over = "reflectance"  # eq. 6 asks for S = 1 / alpha ("illumination"); the code compares L / S with alpha L
    retinex: Retinex = "noisy"  # H = I / S as the code; eq. 1 reads as L / S ("denoised")
    neighbour_sigma: float = 10.0  # of the 24-neighbour weights; the code's 10 is meant for 0..255, on 0..1 all are ~1
    weights: LossWeights = field(default_factory=LossWeights)

    flow: FlowName = "dis"  # estimator of lib.flow; the paper takes RAFT trained to its Sintel stage (sec. III-B)
    flow_weights: str = "auto"  # of the flow network: "auto" or a file
    flow_factor: int = 3  # frames are made this much smaller for the flow, sec. III-B
    equalise: bool = True  # histogram equalisation of L before the flow, eq. 2
    direction: Direction = "backward"  # Choice: flow of L(t) to R(t-1), exact; the code takes "forward", first order
    cut_detection: bool = True  # start anew at a scene change; not in the paper, which takes whole shots
    reference_quirks: bool = False  # luma, YCbCr, second r1 and warp drift of the published code

    epochs: int = 5  # passes of training over the frames, sec. IV
    learning_rate: float = 3e-4  # of Adam, code; the paper's fine-tuning takes 1e-4 (sec. IV)
    weight_decay: float = 3e-4  # sec. IV, inside the gradient
    clip_norm: float = 5.0  # code: global norm of the gradient
    training_frames: int = 0  # about this many train, in runs of 8 spread over the video; 0: all, as the paper
    crop_px: int = 0  # training sees the centre of the frame, at most this wide and high; 0: the whole frame
    precision: Precision = "full"  # "mixed": networks in half precision, losses in float32; on a GPU only
    compile_networks: bool = False  # torch.compile of the networks

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise SpecError(f"{name} must be one of {', '.join(choices)}: got {getattr(self, name)!r}")
        for name, low in (("flow_factor", 1), ("epochs", 0), ("training_frames", 0), ("crop_px", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < low:
                raise SpecError(f"{name} must be a whole number of at least {low}: got {value!r}")
        for name in ("learning_rate", "clip_norm", "neighbour_sigma"):
            if not 0 < getattr(self, name) < math.inf:
                raise SpecError(f"{name} must be above 0 and finite: got {getattr(self, name)!r}")
        if not 1 <= self.largest_factor < math.inf:
            raise SpecError(f"largest_factor must be at least 1 and finite: got {self.largest_factor!r}")
        if not 0 <= self.exposure <= 1:
            raise SpecError(f"exposure must lie within 0..1: got {self.exposure!r}")
        if not 0 <= self.weight_decay < math.inf:
            raise SpecError(f"weight_decay must be at least 0 and finite: got {self.weight_decay!r}")

    @property
    def target(self) -> float:
        """Mean brightness that the losses aim at."""
        return self.exposure or (UNDERWATER_EXPOSURE if self.underwater else LOW_LIGHT_EXPOSURE)

    @classmethod
    def paper(cls) -> Self:
        """Fine-tuning as in sec. IV: RAFT, five epochs at 1e-4."""
        return cls(flow="raft", learning_rate=FINE_TUNING_RATE)

    @classmethod
    def single_picture(cls, *, underwater: bool = False) -> Self:
        """For one picture, from the shipped weights; an epoch is one step.

        Choice: the paper trains on videos only. In the dark 20 steps do: fewer pass through a reddish cast, more bring
        back noise. Pictures under water are mostly bright enough but for the red, which the weights, that know dark
        pictures, learn in larger steps. There eq. 9 is left out: its power draws S far below 1 / alpha where a channel
        is dark, so that black things turn red and noise grows; alpha is at most 2.5, because the red of near things is
        missing less than the frame's mean says, and more lifts the blocks of compression into view; and the denoised
        frame is divided, as eq. 1 reads.
        """
        if not underwater:
            return cls(epochs=DARK_STEPS, learning_rate=FINE_TUNING_RATE)
        return cls(
            underwater=True,
            epochs=WATER_STEPS,
            learning_rate=3e-4,
            weights=LossWeights(pix=0.0),
            largest_factor=2.5,
            retinex="denoised",
        )

    @classmethod
    def published_code(cls) -> Self:
        """The authors' code with its quirks: RAFT from the previous result forward, drifting warp."""
        return cls(flow="raft", direction="forward", cut_detection=False, reference_quirks=True)
