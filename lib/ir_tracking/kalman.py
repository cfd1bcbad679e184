"""Constant-velocity Kalman filter of points in the picture, several at once."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from lib.errors import SpecError

# a target that starts may move this fast; px per frame
START_SPEED_PX = 2.0


@dataclass(frozen=True)
class MotionSettings:
    """How targets move and how well they are measured."""

    acceleration_px: float = 0.15  # standard deviation of the change of velocity, px per frame and frame
    measurement_px: float = 0.2  # standard deviation of a measured centre

    def __post_init__(self) -> None:
        for name in ("acceleration_px", "measurement_px"):
            if not 0 < getattr(self, name) < math.inf:
                raise SpecError(f"{name} must be above 0 pixels: got {getattr(self, name)!r}")


class ConstantVelocity:
    """States of N targets: `centres` and `velocities` (N, 2), float64, x then y; both axes share one covariance."""

    def __init__(self, centres: Tensor, settings: MotionSettings | None = None) -> None:
        self.settings = settings or MotionSettings()
        self.centres = centres.detach().to("cpu", torch.float64).clone()
        self.velocities = torch.zeros_like(self.centres)
        start = torch.tensor([self.settings.measurement_px**2, START_SPEED_PX**2], dtype=torch.float64)
        self.covariances = torch.diag(start).repeat(len(centres), 1, 1)

    @property
    def spread_px(self) -> Tensor:
        """Standard deviation (N,) of the centre along one axis."""
        return self.covariances[:, 0, 0].sqrt()

    def predict(self) -> None:
        """One frame on."""
        step = torch.tensor([[1.0, 1.0], [0.0, 1.0]], dtype=torch.float64)
        # white acceleration that is constant over a frame
        noise = torch.tensor([[0.25, 0.5], [0.5, 1.0]], dtype=torch.float64) * self.settings.acceleration_px**2
        self.centres = self.centres + self.velocities
        self.covariances = step @ self.covariances @ step.T + noise

    def update(self, measured: Tensor, *, seen: Tensor | None = None, spread_px: Tensor | None = None) -> None:
        """Takes measured centres (N, 2) of the targets that were seen, (N,) bool; None: all.

        spread_px: (N,), standard deviation of each measurement; None: that of the settings.
        """
        measured = measured.detach().to(self.centres)
        variance = self.covariances[:, 0, 0]
        noise = torch.full_like(variance, self.settings.measurement_px) if spread_px is None else spread_px
        gain = self.covariances[:, :, 0] / (variance + noise.to(variance).square())[:, None]
        if seen is not None:
            gain = gain * seen.to(gain)[:, None]
        # a target that wasn't seen may come with any number
        error = torch.where(gain[:, :1] > 0, measured - self.centres, 0)
        self.centres = self.centres + gain[:, :1] * error
        self.velocities = self.velocities + gain[:, 1:] * error
        self.covariances = self.covariances - gain[:, :, None] * self.covariances[:, None, 0, :]

    def place(self, idx: int, centre: Tensor) -> None:
        """Puts a target that was found again at `centre` (2,), at rest."""
        fresh = ConstantVelocity(centre[None], self.settings)
        self.centres[idx], self.velocities[idx], self.covariances[idx] = fresh.centres[0], 0, fresh.covariances[0]

    def copy(self) -> "ConstantVelocity":
        """The same state, which may go another way."""
        other = ConstantVelocity(self.centres, self.settings)
        other.velocities, other.covariances = self.velocities.clone(), self.covariances.clone()
        return other
