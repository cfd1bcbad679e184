"""Kalman filters of points in the picture, several at once: constant velocity, and constant acceleration."""

import math
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from lib.errors import SpecError

# a target that starts may move this fast, px per frame, and change its velocity so much a frame
START_SPEED_PX, START_ACCELERATION_PX = 2.0, 0.1


@dataclass(frozen=True)
class MotionSettings:
    """How targets move and how well they are measured."""

    acceleration_px: float = 0.15  # standard deviation of the change of velocity, px per frame and frame
    jerk_px: float = 0.02  # of the change of acceleration, where that is part of the state; px per frame^3
    measurement_px: float = 0.2  # standard deviation of a measured centre

    def __post_init__(self) -> None:
        for name in ("acceleration_px", "jerk_px", "measurement_px"):
            if not 0 < getattr(self, name) < math.inf:
                raise SpecError(f"{name} must be above 0 pixels: got {getattr(self, name)!r}")


class Kinematics:
    """States (N, K, 2), float64, of N targets: centre, velocity and so on, x then y; both axes share one covariance.

    kick: what a sudden change of the highest derivative, constant over a frame, does to each part of the state.
    """

    step: Tensor
    kick: Tensor

    def __init__(
        self, centres: Tensor, settings: MotionSettings | None, *, start_px: list[float], kick_px: float
    ) -> None:
        self.settings = settings or MotionSettings()
        self.kick_px = kick_px
        self.states = torch.zeros(len(centres), len(start_px), 2, dtype=torch.float64)
        self.states[:, 0] = centres.detach().to("cpu", torch.float64)
        self.covariances = torch.tensor(start_px, dtype=torch.float64).square().diag().repeat(len(centres), 1, 1)

    @property
    def centres(self) -> Tensor:
        """(N, 2), pixels."""
        return self.states[:, 0]

    @centres.setter
    def centres(self, centres: Tensor) -> None:
        self.states = torch.cat([centres[:, None], self.states[:, 1:]], dim=1)

    @property
    def velocities(self) -> Tensor:
        """(N, 2), pixels per frame."""
        return self.states[:, 1]

    @property
    def spread_px(self) -> Tensor:
        """Standard deviation (N,) of the centre along one axis."""
        return self.covariances[:, 0, 0].sqrt()

    def predict(self) -> None:
        """One frame on."""
        noise = torch.outer(self.kick, self.kick) * self.kick_px**2
        self.states = self.step @ self.states
        self.covariances = self.step @ self.covariances @ self.step.T + noise

    def update(self, measured: Tensor, *, seen: Tensor | None = None, spread_px: Tensor | None = None) -> None:
        """Takes measured centres (N, 2) of the targets that were seen, (N,) bool; None: all.

        spread_px: (N,), standard deviation of each measurement; None: that of the settings.
        """
        measured = measured.detach().to(self.states)
        variance = self.covariances[:, 0, 0]
        noise = torch.full_like(variance, self.settings.measurement_px) if spread_px is None else spread_px
        gain = self.covariances[:, :, 0] / (variance + noise.to(variance).square())[:, None]
        if seen is not None:
            gain = gain * seen.to(gain)[:, None]
        # a target that wasn't seen may come with any number
        error = torch.where(gain[:, :1] > 0, measured - self.centres, 0)
        self.states = self.states + gain[:, :, None] * error[:, None]
        self.covariances = self.covariances - gain[:, :, None] * self.covariances[:, None, 0, :]

    def keep(self, which: Tensor) -> None:
        """Forgets all targets but some, (N,) bool."""
        self.states, self.covariances = self.states[which], self.covariances[which]

    def add(self, other: Self) -> None:
        """Takes another filter's targets behind its own."""
        self.states = torch.cat([self.states, other.states])
        self.covariances = torch.cat([self.covariances, other.covariances])


class ConstantVelocity(Kinematics):
    """Targets whose velocity changes by chance: `centres` and `velocities`."""

    step = torch.tensor([[1.0, 1.0], [0.0, 1.0]], dtype=torch.float64)
    kick = torch.tensor([0.5, 1.0], dtype=torch.float64)

    def __init__(self, centres: Tensor, settings: MotionSettings | None = None) -> None:
        settings = settings or MotionSettings()
        start = [settings.measurement_px, START_SPEED_PX]
        super().__init__(centres, settings, start_px=start, kick_px=settings.acceleration_px)

    def place(self, idx: int, centre: Tensor) -> None:
        """Puts a target that was found again at `centre` (2,), at rest."""
        fresh = ConstantVelocity(centre[None], self.settings)
        self.states[idx], self.covariances[idx] = fresh.states[0], fresh.covariances[0]

    def copy(self) -> "ConstantVelocity":
        """The same state, which may go another way."""
        other = ConstantVelocity(self.centres, self.settings)
        other.states, other.covariances = self.states.clone(), self.covariances.clone()
        return other


class ConstantAcceleration(Kinematics):
    """Targets whose acceleration changes by chance, and little: turns go on as they began.

    Sharper than constant velocity for as long as a crossing takes, and too sure of itself where a target is hidden
    for long.
    """

    step = torch.tensor([[1.0, 1.0, 0.5], [0.0, 1.0, 1.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
    kick = torch.tensor([1 / 6, 0.5, 1.0], dtype=torch.float64)

    def __init__(self, centres: Tensor, settings: MotionSettings | None = None) -> None:
        settings = settings or MotionSettings()
        start = [settings.measurement_px, START_SPEED_PX, START_ACCELERATION_PX]
        super().__init__(centres, settings, start_px=start, kick_px=settings.jerk_px)

    def copy(self) -> "ConstantAcceleration":
        """The same state, which may go another way."""
        other = ConstantAcceleration(self.centres, self.settings)
        other.states, other.covariances = self.states.clone(), self.covariances.clone()
        return other
