"""Spots beside a small target: each is followed, so that none of them is taken for the target where they meet.

Choice: not in the paper, whose tracker takes the likeliest proposal and so changes over to a target that is alike.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from lib.ir_tracking.kalman import ConstantAcceleration, MotionSettings
from lib.ir_tracking.overlap import Spots, fit_spots, measurement, patch_noise
from lib.ir_tracking.peaks import centre_of_mass, peaks

REACH_PX = 20.0  # from the target: further off, spots don't matter
NUM_SPOTS, SPOT_RADIUS_PX = 16, 2
LEAST_STRENGTH = 0.5  # of the target's: weaker spots draw nobody away
MAX_SHIFT_PX = 1.5  # of a peak to its centre of mass: further away lies something else

SLACK_PX = 0.6  # of where a spot is expected, beside the motion model's deviation
GATE_SPREADS = 3.5  # spots further off than this many deviations are others
STRENGTH_SPREAD = 0.5  # of the logarithm of a spot's strength, from the usual one to a frame's
UNSEEN_COST = 8.0  # that a spot isn't seen, in half squares of deviations
SAME_PX, NEAR_PX = 2.0, 3.0  # the network means this spot; this spot is part of that one

SURE_AFTER = 5  # frames in which a spot was seen until it counts
SURE_SHARE = 0.8  # of all its frames: clutter comes and goes
FORGET_AFTER = 15  # frames without a sight
STRENGTH_RATE = 0.1  # of the usual strength towards the present one

OVERLAP_PX = 6.0  # spots nearer than this are fitted together
PATCH_PX = 9  # the fit sees so many pixels to each side
LEAST_PATCH = 25  # pixels; with less in the frame there is nothing to fit
SIDES_PER_SIGMA = 3.3  # of a box that holds 80 % of a Gaussian spot, a little narrowed by the filter
SIGHT_VARIANCE = 0.05  # px^2; jitter of the line of sight, beside the motion model
VANISHED_COST, STAYS_HIDDEN_COST = 7.0, 1.0  # negative logarithms: that a spot has gone, that a hidden one stays hidden


@dataclass(frozen=True)
class Around:
    """What the filter leaves (eqs 3 and 4) around a target, (h, w); corner: (2,), where in the frame they begin."""

    suppressed: Tensor
    filtered: Tensor
    corner: Tensor


@dataclass(frozen=True)
class Expected:
    """A target before the frame is looked at.

    centre: (2,), pixels, and its variance along one axis, by the tracker's motion model; smooth_centre and
    smooth_variance: by constant acceleration. strength: usual height of its spot. side_px: of its box. was_seen: in the
    frame before.
    """

    centre: Tensor
    variance: float
    smooth_centre: Tensor
    smooth_variance: float
    strength: float
    side_px: float
    was_seen: bool


@dataclass(frozen=True)
class Overlap:
    """A target that was fitted together with a companion: what a motion filter takes as measured, and its strength.

    centre: (2,), pixels. spread_px: its deviation. share: brightness over the expected one.
    """

    centre: Tensor
    spread_px: float
    share: float
    strength: float


@dataclass(frozen=True)
class Verdict:
    """What the spots say of the target.

    is_hidden: it isn't seen; what the network chose is a companion. instead: (2,), the target's own spot, where the
    network chose a companion; else None. overlap: None where the target is alone. touches: it and a companion overlap.
    """

    is_hidden: bool = False
    instead: Tensor | None = None
    overlap: Overlap | None = None
    touches: bool = False


class Companions:
    """The spots beside one target, from frame to frame.

    `centres` (N, 2): of those that were seen often enough.
    """

    def __init__(self, settings: MotionSettings) -> None:
        self.settings = settings
        self.motion = ConstantAcceleration(torch.zeros(0, 2), settings)
        self.strengths: NDArray[np.float64] = np.zeros(0)
        self.num_seen: NDArray[np.int64] = np.zeros(0, np.int64)
        self.num_unseen: NDArray[np.int64] = np.zeros(0, np.int64)  # of late
        self.num_apart: NDArray[np.int64] = np.zeros(0, np.int64)  # frames in which it could be seen by itself

    @property
    def is_sure(self) -> NDArray[np.bool_]:
        """Which spots count (M,): those that were seen often, and again and again."""
        return (self.num_seen >= SURE_AFTER) & (self.num_seen >= SURE_SHARE * self.num_apart)

    @property
    def centres(self) -> Tensor:
        """Where those that count are now, pixels."""
        return self.motion.centres[torch.from_numpy(self.is_sure)]

    def step(self, around: Around, target: Expected, chosen: Tensor) -> Verdict:
        """Looks at the next frame; chosen: (2,), where the network sees the target."""
        self.motion.predict()
        distance = _distance(self.motion.centres, target.centre)
        # one that was new when the target was last seen may be the target
        kept = (distance <= REACH_PX) & (target.was_seen | self.is_sure)
        self._keep(kept)
        distance = distance[kept]
        spots = _spots(around, target)
        measured, noise = self.motion.centres.clone(), np.full(len(distance), self.settings.measurement_px)
        seen, verdict, taken = np.zeros(len(distance), bool), Verdict(), np.zeros(len(spots), bool)
        apart = np.arange(len(distance))
        is_alike = self.strengths >= LEAST_STRENGTH * target.strength
        touching = apart[(distance <= OVERLAP_PX) & self.is_sure & is_alike]
        if len(touching):
            nearest = int(touching[distance[touching].argmin()])
            verdict, its = self._overlapping(around, target, nearest)
            if its is not None:
                seen[nearest], measured[nearest], noise[nearest] = True, its.centre, its.spread_px
                self.strengths[nearest] += STRENGTH_RATE * (its.strength - self.strengths[nearest])
            own = verdict.overlap.centre if verdict.overlap is not None else target.centre
            taken |= _distance(spots[:, :2], own) <= NEAR_PX
            taken |= _distance(spots[:, :2], measured[nearest]) <= NEAR_PX
            apart = apart[apart != nearest]
        self.num_apart[apart] += 1
        spot_by_idx = self._assigned(spots, apart, None if len(touching) else target, taken)
        own_spot = spot_by_idx.pop(None, None)
        for idx, spot in spot_by_idx.items():
            assert idx is not None
            seen[idx], measured[idx] = True, spots[spot, :2]
            self.num_seen[idx] += 1
            self.strengths[idx] += STRENGTH_RATE * (float(spots[spot, 2]) - self.strengths[idx])
            taken[spot] = True
        if not len(touching):
            verdict = self._alone(spots, spot_by_idx, own_spot, chosen)
            if own_spot is not None:
                taken[own_spot] = True
            if not verdict.is_hidden:
                own = chosen if verdict.instead is None else verdict.instead
                taken |= _distance(spots[:, :2], own) <= NEAR_PX
        self.motion.update(measured, seen=torch.from_numpy(seen), spread_px=torch.from_numpy(noise))
        self.num_unseen = np.where(seen, 0, self.num_unseen + 1)
        self._keep(self.num_unseen <= np.where(self.num_seen >= SURE_AFTER, FORGET_AFTER, 1))
        if target.was_seen and not verdict.is_hidden:
            taken |= _distance(spots[:, :2], target.centre) <= NEAR_PX
            taken |= (torch.cdist(spots[:, :2], self.motion.centres) <= NEAR_PX).any(dim=1).numpy()
            self._add(spots[torch.from_numpy(~taken)])
        return verdict

    def _alone(
        self, spots: Tensor, spot_by_idx: dict[int | None, int], own_spot: int | None, chosen: Tensor
    ) -> Verdict:
        """Whether the network chose a companion, and which spot is the target's then."""
        for idx, spot in spot_by_idx.items():
            if self.is_sure[idx] and float((spots[spot, :2] - chosen).norm()) <= SAME_PX:
                return Verdict(is_hidden=True) if own_spot is None else Verdict(instead=spots[own_spot, :2])
        return Verdict()

    def _assigned(
        self, spots: Tensor, which: NDArray[np.int64], target: Expected | None, taken: NDArray[np.bool_]
    ) -> dict[int | None, int]:
        """The spots of some companions and, under None, of the target: as a whole the likeliest assignment."""
        names: list[int | None] = which.tolist()
        centres, variances = self.motion.centres[which], self.motion.covariances[which, 0, 0]
        strengths = torch.from_numpy(self.strengths[which])
        if target is not None:
            names.append(None)
            centres = torch.cat([centres, target.centre[None]])
            variances = torch.cat([variances, variances.new_tensor([target.variance])])
            strengths = torch.cat([strengths, strengths.new_tensor([target.strength])])
        free = np.flatnonzero(~taken)
        if not names or not len(free):
            return {}
        off = torch.cdist(centres, spots[free, :2]) / (variances + SLACK_PX**2).sqrt()[:, None]
        change = (spots[free, 2].clamp(min=1e-9) / strengths[:, None].clamp(min=1e-9)).log() / STRENGTH_SPREAD
        costs = torch.where(off <= GATE_SPREADS, (off.square() + change.square()) / 2, 1e6)
        # each may also be seen nowhere
        unseen = torch.full((len(names), len(names)), UNSEEN_COST, dtype=costs.dtype)
        rows, columns = linear_sum_assignment(torch.cat([costs, unseen], dim=1).numpy())
        return {names[row]: int(free[column]) for row, column in zip(rows, columns, strict=True) if column < len(free)}

    def _overlapping(self, around: Around, target: Expected, idx: int) -> tuple[Verdict, Overlap | None]:
        """The likeliest of: target and companion are both there, the companion alone, the target alone."""
        middle = (target.smooth_centre + self.motion.centres[idx]) / 2 - around.corner
        patch, corner = _patch(around, middle)
        if patch.size < LEAST_PATCH:
            return Verdict(touches=True), None
        centres = torch.stack([target.smooth_centre, self.motion.centres[idx]]).numpy() - corner
        sigma = target.side_px / SIDES_PER_SIGMA
        strengths, ground = np.array([target.strength, self.strengths[idx]]), float(np.median(patch))
        noise = patch_noise(patch, centres, sigma_px=sigma, brightest=float(patch.max()) - ground)
        variances = np.array([target.smooth_variance, float(self.motion.covariances[idx, 0, 0])]) + SIGHT_VARIANCE
        expected = Spots(centres, variances, np.maximum(strengths - ground, noise))
        absence = [
            VANISHED_COST if was_seen else STAYS_HIDDEN_COST for was_seen in (target.was_seen, not self.num_unseen[idx])
        ]
        fits = []
        for there in ((0, 1), (1,), (0,)):
            found, cost = fit_spots(patch, expected.only(there), sigma_px=sigma, noise=noise)
            fits.append((cost + sum(absence[one] for one in (0, 1) if one not in there), there, found))
        _, there, found = min(fits, key=lambda fit: fit[0])
        # two spots that lie on each other share their light as they please
        is_apart = len(there) == 1 or math.dist(*found.centres.tolist()) > NEAR_PX
        results: list[Overlap | None] = [None, None]
        for number, one in enumerate(there):
            place, spread = measurement(
                expected.centres[one], expected.variances[one], found.centres[number], found.variances[number]
            )
            results[one] = Overlap(
                torch.from_numpy(place + corner),
                max(spread, self.settings.measurement_px),
                float(found.brightness[number] / expected.brightness[one]),
                float(found.brightness[number] + ground if is_apart else strengths[one]),
            )
        own, its = results
        return Verdict(is_hidden=own is None, overlap=own, touches=True), its

    def _keep(self, which: NDArray[np.bool_]) -> None:
        self.motion.keep(torch.from_numpy(which))
        self.strengths = self.strengths[which]
        self.num_seen, self.num_unseen = self.num_seen[which], self.num_unseen[which]
        self.num_apart = self.num_apart[which]

    def _add(self, spots: Tensor) -> None:
        self.motion.add(ConstantAcceleration(spots[:, :2], self.settings))
        self.strengths = np.append(self.strengths, spots[:, 2].numpy())
        self.num_seen = np.append(self.num_seen, np.ones(len(spots), np.int64))
        self.num_apart = np.append(self.num_apart, np.ones(len(spots), np.int64))
        self.num_unseen = np.append(self.num_unseen, np.zeros(len(spots), np.int64))


def _distance(centres: Tensor, centre: Tensor) -> NDArray[np.float64]:
    found: NDArray[np.float64] = (centres - centre).norm(dim=1).numpy()
    return found


def _spots(around: Around, target: Expected) -> Tensor:
    """Spots (K, 3) near a target that are about as strong as it or stronger: x, y in the frame, height."""
    corner = around.corner
    left, top, right, bottom = _around(target.centre - corner, math.ceil(REACH_PX) + SPOT_RADIUS_PX, around.filtered)
    suppressed, filtered = (plane[top:bottom, left:right] for plane in (around.suppressed, around.filtered))
    if not filtered.numel():
        return torch.zeros(0, 3, dtype=torch.float64)
    found = peaks(filtered, number=NUM_SPOTS, radius_px=SPOT_RADIUS_PX)[:, :2]
    centres = centre_of_mass(suppressed, found)
    centres = torch.where((centres - found).norm(dim=1, keepdim=True) <= MAX_SHIFT_PX, centres, found)
    highest = F.max_pool2d(suppressed[None, None].float(), 3, stride=1, padding=1)[0, 0]
    columns, rows = found.long().unbind(dim=1)
    spots = torch.cat([centres, highest[rows, columns][:, None].to(centres)], dim=1).to("cpu", torch.float64)
    spots[:, :2] += corner + corner.new_tensor([left, top])
    is_near = (spots[:, :2] - target.centre).norm(dim=1) <= REACH_PX
    return spots[is_near & (spots[:, 2] >= LEAST_STRENGTH * target.strength)]


def _patch(around: Around, middle: Tensor) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Pixels around a place in eq. 3's plane, as far as there are any, and the place of their corner in the frame."""
    left, top, right, bottom = _around(middle, PATCH_PX, around.suppressed)
    patch = around.suppressed[top:bottom, left:right].to("cpu", torch.float64).numpy()
    return patch, around.corner.numpy() + np.array([left, top])


def _around(middle: Tensor, reach: int, plane: Tensor) -> tuple[int, int, int, int]:
    """left, top, right, bottom of the pixels around a place that the plane has."""
    (x, y), (height, width) = (math.floor(place) for place in middle.tolist()), plane.shape
    return max(x - reach, 0), max(y - reach, 0), max(min(x + reach + 1, width), 0), max(min(y + reach + 1, height), 0)
