"""How proposals become a track: SiamRPN's rules, and what this project adds for targets of a few pixels."""

import math
from dataclasses import dataclass, field, replace
from typing import Any, Self

from lib.errors import SpecError
from lib.ir_tracking.kalman import MotionSettings
from lib.ir_tracking.settings import FilterSettings


@dataclass(frozen=True)
class TrackerSettings:
    """How proposals become a track. Defaults: SiamRPN's AlexNet values, adapted to targets of a few pixels."""

    penalty_strength: float = 0.16  # k of the penalty on change of size and shape; SiamRPN
    window_influence: float = 0.40  # of the cosine window; SiamRPN
    size_rate: float = 0.10  # of the box's size towards the proposal's. Choice: SiamRPN's 0.30 follows noise
    num_scales: int = 3  # of the search window, odd, where the network selects no regions: SiamFC's; 1: the size stays
    scale_step: float = 1.0375  # from one to the next; SiamFC
    scale_rate: float = 0.59  # of the box's size towards the best of them; SiamFC
    scale_penalty: float = 0.9745  # SiamFC's, on all but the middle one. Choice: on probabilities, not on responses
    min_box_px: float = 2.0  # least side of a box. Choice: SiamRPN's 10 would swallow a target of 3 pixels

    refine_below_px: float = 8.0  # smaller targets are centred by their centre of mass in eq. 3's frame; 0: never.
    # Choice: not in the paper; the filter leaves little but the target, to a tenth of a pixel
    motion_prior: bool = True  # constant velocity places the search window; not in the paper
    motion_below_px: float = 24.0  # larger targets turn and sway too much for it: SiamRPN's window at their last place
    motion: MotionSettings = field(default_factory=MotionSettings)
    window_px: float = 2.0  # the window's deviation around the expected centre, beside the motion model's own
    window_share: float = 0.15  # or this share of the box's side, where that is more
    gate_spreads: float = 4.0  # proposals further off than this many deviations aren't the target
    lost_score: float = 0.3  # below it nothing is believed, and the target goes on as before
    found_score: float = 0.6  # what it takes to believe in a target that wasn't seen in the frame before
    found_spreads: float = 2.0  # and how near it must be to where it is expected, in deviations
    lost_after: int = 5  # frames without a sight after which the whole frame is searched; 0: never
    companions: bool = (
        True  # spots beside a small target are followed, so that none is mistaken for it; needs the prior
    )
    num_candidates: int = 12  # peaks of the filter that the network looks at then

    filter: FilterSettings = field(default_factory=FilterSettings)  # eqs 2-4

    def __post_init__(self) -> None:
        for name in (
            "penalty_strength",
            "min_box_px",
            "window_px",
            "window_share",
            "gate_spreads",
            "found_spreads",
            "refine_below_px",
        ):
            if not 0 <= getattr(self, name) < math.inf:
                raise SpecError(f"{name} must be at least 0: got {getattr(self, name)!r}")
        for name in ("window_influence", "size_rate", "scale_rate", "scale_penalty", "lost_score", "found_score"):
            if not 0 <= getattr(self, name) <= 1:
                raise SpecError(f"{name} must lie within 0..1: got {getattr(self, name)!r}")
        if self.num_scales < 1 or self.num_scales % 2 == 0:
            raise SpecError(f"num_scales must be odd and at least 1: got {self.num_scales!r}")
        if not 1 < self.scale_step < math.inf:
            raise SpecError(f"scale_step must be above 1: got {self.scale_step!r}")
        if self.lost_after < 0 or self.num_candidates < 1:
            raise SpecError("lost_after must be at least 0 and num_candidates at least 1")

    @classmethod
    def paper(cls) -> Self:
        """SiamRPN's tracking with nothing added: no motion, refinement or search after loss, boxes from 10 pixels."""
        return cls(
            size_rate=0.30, min_box_px=10.0, refine_below_px=0.0, motion_prior=False, lost_score=0.0, lost_after=0
        )

    def but(self, **changes: Any) -> Self:
        """The same with some fields changed."""
        return replace(self, **changes)
