"""Constants of discovery, each once with its source: the paper's values, and those of the features that stand in."""

import math
from dataclasses import dataclass, replace
from typing import Literal, Self, get_args

from lib.errors import SpecError
from lib.flow import FlowName

Backbone = Literal["dino_vitb8", "dino_vits8", "dino_vitb16", "dino_vits16", "efficientnet_lite0", "vgg16"]
MotionFeatures = Literal["picture", "descriptor"]
Finish = Literal["none", "crf", "bilateral"]
CHOICES = {
    "backbone": get_args(Backbone),
    "flow": get_args(FlowName),
    "motion_features": get_args(MotionFeatures),
    "finish": get_args(Finish),
}
STAND_INS = ("efficientnet_lite0", "vgg16")


@dataclass(frozen=True)
class Settings:
    """What finding one object in one frame follows. Defaults: the paper with its best backbone, on RAFT-small flow."""

    backbone: Backbone = "dino_vitb8"  # network whose features tell patches apart, table 2
    weights: str = "auto"  # of the backbone: a file, or the one that lib.data.weights knows
    height_px: int = 0  # of the pictures that the backbone sees, at most; 0: as they are. Choice: the paper names none
    alpha: float = 0.7  # share of appearance in the similarity, the rest is flow's; sec. 2.1, table 3
    tau: float = 0.25  # similarity from which two patches are joined; sec. 2.1, table 3
    epsilon: float = 1e-5  # weight of patches that are not joined; the authors' code
    flow: FlowName = "raft_small"  # estimator of lib.flow; the paper: GMFlow in tables 2 and 3, ARFlow in table 1
    flow_weights: str = "auto"  # of the flow network: "auto" or a file
    flow_height_px: int = 0  # of the pictures that the flow sees; 0: as they are
    motion_features: MotionFeatures = "picture"  # sec. 2.1: the backbone's features of the flow drawn in colours
    remove_camera: bool = False  # subtract the camera's motion, a homography, first; not in the paper
    both_ways: bool = False  # averaged with the flow to the frame before, reversed; not in the paper
    still_px: float = 0.0  # flow below this length is no motion; the paper scales by the longest, however short
    corner_rule: bool = True  # three corners of four inside: the other side is the object (Choice: authors' LOCATE)
    component: bool = True  # keep the component of the seed only (Choice: authors' LOCATE)
    own_look: bool = False  # cut twice: what the first cuts found weighs the motion of the second; not in the paper
    finish: Finish = "none"  # draws masks to the frame's edges; table 4: a dense CRF lowers the score

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise SpecError(f"{name} must be one of {', '.join(choices)}: got {getattr(self, name)!r}")
        if not 0 <= self.alpha <= 1:
            raise SpecError(f"alpha must be within 0 (flow alone) and 1 (appearance alone): got {self.alpha}")
        if not -1 <= self.tau <= 1:
            raise SpecError(f"tau is compared with cosines and must be within -1..1: got {self.tau}")
        if not 0 < self.epsilon < 1:
            raise SpecError(
                f"epsilon must be above 0, so that the graph holds together, and below 1: got {self.epsilon}"
            )
        for name in ("height_px", "flow_height_px", "still_px"):
            if not 0 <= getattr(self, name) < math.inf:
                raise SpecError(f"{name} must be at least 0 pixels: got {getattr(self, name)}")

    @property
    def is_stand_in(self) -> bool:
        """Whether other features than the paper's are at work."""
        return self.backbone in STAND_INS

    @property
    def learns_look(self) -> bool:
        """Whether a second cut follows, for which the video's look is learned: `own_look`, and there is motion."""
        return self.own_look and self.alpha < 1

    def but(self, **changes: object) -> Self:
        """The same with some fields changed."""
        return replace(self, **changes)  # type: ignore[arg-type]


def paper() -> Settings:
    """Graph cut of table 1: DINO ViT-B/8, ARFlow."""
    return Settings(flow="arflow")


def stand_in(backbone: Backbone = "efficientnet_lite0") -> Settings:
    """Constants for ImageNet features, which know less of objects than DINO's; chosen on seven DAVIS sequences.

    They say nothing of a picture of flow, so that the flow's own three numbers take their place, once the camera's
    motion is subtracted; and their appearance weighs less than flow.
    """
    return Settings(
        backbone=backbone,
        alpha=0.4,
        tau=0.5,
        flow_height_px=240,
        motion_features="descriptor",
        remove_camera=True,
        still_px=0.5,
    )


def for_backbone(backbone: Backbone) -> Settings:
    """The constants that go with a backbone: the paper's for DINO, else those of the stand-ins."""
    return stand_in(backbone) if backbone in STAND_INS else Settings(backbone=backbone)
