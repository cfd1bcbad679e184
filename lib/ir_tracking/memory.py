"""What a tracker remembers between two frames, as tensors and numbers that a file can hold."""

from typing import Any

import torch

from lib.ir_tracking.companions import Companions
from lib.ir_tracking.kalman import ConstantAcceleration, ConstantVelocity, Kinematics
from lib.ir_tracking.tracker import Tracker

PLAIN = (
    "kernels", "sizes", "first_sizes", "num_unseen", "frame_shape", "strengths", "last_seen", "last_centres",
    "known_by_idx",
)  # fmt: skip
COUNTS = ("strengths", "num_seen", "num_unseen", "num_apart")


def remember(tracker: Tracker) -> dict[str, Any]:
    """All that its next step depends on beside network and settings; tensors stay on their devices."""
    return {
        **{name: getattr(tracker, name) for name in PLAIN},
        "motion": _of_motion(tracker.motion),
        "smooth": _of_motion(tracker.smooth),
        "companions": [
            {"motion": _of_motion(one.motion), **{name: torch.from_numpy(getattr(one, name)) for name in COUNTS}}
            for one in tracker.companions
        ],
    }


def restore(tracker: Tracker, held: dict[str, Any]) -> None:
    """Lets a tracker with the same network and settings go on as the one that `remember` was asked of."""
    for name in PLAIN:
        setattr(tracker, name, held[name])
    settings = tracker.settings.motion
    # where they start doesn't matter: their states follow
    centres = held["sizes"]
    tracker.motion, tracker.smooth = ConstantVelocity(centres, settings), ConstantAcceleration(centres, settings)
    _to_motion(tracker.motion, held["motion"])
    _to_motion(tracker.smooth, held["smooth"])
    tracker.companions = []
    for one in held["companions"]:
        companions = Companions(settings)
        _to_motion(companions.motion, one["motion"])
        for name in COUNTS:
            setattr(companions, name, one[name].numpy())
        tracker.companions.append(companions)


def _of_motion(motion: Kinematics) -> list[torch.Tensor]:
    return [motion.states, motion.covariances]


def _to_motion(motion: Kinematics, held: list[torch.Tensor]) -> None:
    motion.states, motion.covariances = held
