"""Tracking: a box in the first frame, then frame after frame where it went."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from lib.errors import LabError, ShapeError, SpecError
from lib.ir_tracking.background import suppress_background
from lib.ir_tracking.companions import NEAR_PX, Around, Companions, Expected, Verdict
from lib.ir_tracking.kalman import ConstantAcceleration, ConstantVelocity
from lib.ir_tracking.network import SiameseNetwork
from lib.ir_tracking.peaks import peaks
from lib.ir_tracking.sight import Looker, Sight, View
from lib.ir_tracking.tracker_settings import TrackerSettings

Box = Sequence[float] | Tensor
# the published code's centre is x + (w - 1) / 2 on the way in and x + w / 2 on the way out
PUBLISHED_SHIFT_PX = 0.5
MEASUREMENT_SHARE = 0.03  # of a large box's side: how well its centre is measured
# a spot this strong, over the target's own, that was there beside the target isn't the target when it comes back;
# it is looked for at its old place and so many pixels around it, more for each frame since
KNOWN_STRENGTH, KNOWN_PX, KNOWN_SPEED_PX, KNOWN_MOST_PX = 0.5, 1.5, 0.35, 5.0
FOUND_STRENGTH = 0.5  # a target that comes back is at least this strong, and at most as much stronger
STRENGTH_RATE = 0.1  # of the usual strength towards the present one
LOOK_SPREAD_PX = 1.0  # of a spot that is looked at by itself
# targets of one pass that are expected this near to one another melt into one spot: where it is says little of either,
# unless both are fitted
MEETING_PX, MEETING_NOISE_PX = 6.0, 5.0
SAME_PX = 2.0  # centres this near are those of one spot, which is one target's only


@dataclass(frozen=True)
class Track:
    """Where a target is in one frame.

    box: (x, y, w, h), pixels, inside the frame at least by its centre. score: probability that the target was seen,
    0..1; 1 at the start. seen: False while it is carried on by the motion prior, or held.
    """

    box: tuple[float, float, float, float]
    score: float
    seen: bool


class _Found(NamedTuple):
    centre: Tensor
    size: Tensor
    score: Tensor
    strength: Tensor


class Tracker:
    """Follows one target or several in one pass; their templates are computed once, at the start.

    network: trained; it is used in evaluation mode, and frames go to its device. A frame is (1, H, W) or (H, W), any
    unit, 8 to 32-bit whole numbers or floats. A frame that is refused leaves the state as it was.
    """

    def __init__(
        self, network: SiameseNetwork, settings: TrackerSettings | None = None, *, folded: bool = True
    ) -> None:
        self.settings = settings or TrackerSettings()
        self.network_settings = network.settings
        self.looker = Looker(network, self.settings, folded=folded)
        self.frame_shape: tuple[int, int] | None = None

    def start(self, frame: Tensor, box: Box) -> Track:
        """Takes the target's box (x, y, w, h), pixels, in the first frame.

        Raises ShapeError for a bad frame, SpecError for a box without size, not finite or with its centre outside.
        """
        return self.start_many(frame, [box])[0]

    def step(self, frame: Tensor) -> Track:
        """Where the target is in the next frame. Raises ShapeError for a bad frame, LabError before `start`."""
        return self.step_many(frame)[0]

    @torch.no_grad()
    def start_many(self, frame: Tensor, boxes: Sequence[Box] | Tensor) -> list[Track]:
        """`start` for several targets of one frame."""
        plane = self.looker.plane(frame)
        height, width = plane.shape[-2:]
        checked = torch.tensor([check_box(box, width=width, height=height) for box in boxes], dtype=torch.float64)
        if not len(checked):
            raise SpecError("a tracker needs at least one box: got none")
        centres, sizes = checked[:, :2] + checked[:, 2:] / 2, checked[:, 2:].clamp(min=self.settings.min_box_px)
        windows = self.looker.template_windows(centres, sizes)
        view = self.looker.view(plane, windows)
        self.kernels = self.looker.template(view, windows)
        self.motion = ConstantVelocity(centres, self.settings.motion)
        self.smooth = ConstantAcceleration(centres, self.settings.motion)
        self.companions = [Companions(self.settings.motion) for _ in centres]
        self.sizes = self.first_sizes = sizes
        self.num_unseen = torch.zeros(len(centres), dtype=torch.long)
        self.frame_shape = (height, width)
        self.strengths = self.looker.strengths(view, centres)
        self.last_seen, self.last_centres = [plane] * len(centres), centres
        self.known_by_idx: dict[int, Tensor] = {}
        return self._tracks(torch.ones(len(centres)), shift=0.0)

    @torch.no_grad()
    def step_many(self, frame: Tensor) -> list[Track]:
        """`step` for all targets of `start_many`, in their order."""
        if self.frame_shape is None:
            raise LabError("the tracker has no target yet: call start with the first frame and a box")
        plane = self.looker.plane(frame)
        if plane.shape[-2:] != self.frame_shape:
            raise ShapeError(
                f"frames must keep their size: got {tuple(plane.shape[-2:])} after {self.frame_shape}; "
                "resize the frame, or start again with a box in it"
            )
        motion, smooth = self.motion.copy(), self.smooth.copy()
        limits = torch.tensor(self.frame_shape[::-1], dtype=torch.float64)
        shift = 0.0 if self.network_settings.subpixel else PUBLISHED_SHIFT_PX
        # one rule for all targets of a pass
        has_motion = self.settings.motion_prior and float(self.sizes.amax()) < self.settings.motion_below_px
        if has_motion:
            motion.predict()
            smooth.predict()
            motion.centres = torch.minimum(motion.centres.clamp(min=0), limits)
        spreads = self._spreads(motion) if has_motion else None
        sight, noise, verdicts = self._see(plane, motion, smooth, spreads)
        seen = self._believed(sight, motion.centres, spreads, verdicts)
        if has_motion:
            # spots that overlap were told apart
            is_fitted = torch.tensor([verdict.overlap is not None for verdict in verdicts])
            seen &= ~_taken(sight.centres, motion.centres, seen) | is_fitted
        found = self._search(plane, motion, seen, taken=sight.centres[seen])
        for idx, one in found.items():
            sight.centres[idx], sight.sizes[idx], sight.scores[idx] = one.centre, one.size, one.score
            sight.strengths[idx] = one.strength
            seen[idx] = True
        if has_motion:
            motion.update(sight.centres, seen=seen, spread_px=noise)
            smooth.update(sight.centres, seen=seen, spread_px=noise)
            for idx, verdict in enumerate(verdicts):
                if verdict.touches:
                    motion.states[idx] = smooth.states[idx, :2]
        else:
            motion.centres = smooth.centres = torch.where(seen[:, None], sight.centres, motion.centres)
        motion.centres = torch.minimum((motion.centres - shift).clamp(min=0), limits) + shift
        sizes = torch.where(seen[:, None], sight.sizes, self.sizes)
        self.sizes = torch.minimum(sizes.clamp(min=self.settings.min_box_px), limits)
        self.num_unseen = torch.where(seen, 0, self.num_unseen + 1)
        self.motion, self.smooth = motion, smooth
        self._remember(plane, seen)
        self.strengths = torch.where(seen, self.strengths.lerp(sight.strengths, STRENGTH_RATE), self.strengths)
        return self._tracks(sight.scores, shift=shift)

    def _see(
        self, plane: Tensor, motion: ConstantVelocity, smooth: ConstantAcceleration, spreads: Tensor | None
    ) -> tuple[Sight, Tensor, list[Verdict]]:
        """What is seen around where the targets are expected, the deviation (N,) of its centres, and who is beside."""
        windows = self.looker.windows(motion.centres, self.sizes, self.first_sizes)
        view = self.looker.view(plane, windows)
        sight = self.looker.look(view, self.kernels, windows, self.sizes, spreads=spreads)
        noise = (MEASUREMENT_SHARE * self.sizes.prod(dim=1).sqrt()).clamp(min=self.settings.motion.measurement_px)
        noise = torch.where(_meeting(motion.centres), MEETING_NOISE_PX, noise)
        if spreads is None or not self.settings.companions:
            return sight, noise, [Verdict()] * len(noise)
        verdicts = self._verdicts(view, motion, smooth, sight)
        self._heed(verdicts, plane, sight, noise)
        return sight, noise, verdicts

    def _verdicts(
        self, view: View, motion: ConstantVelocity, smooth: ConstantAcceleration, sight: Sight
    ) -> list[Verdict]:
        """What the spots beside each target say of it; nothing where it shows no spot."""
        corner = torch.tensor([view.left, view.top], dtype=torch.float64)
        around = Around(self.looker.response(view), view.planes[2], corner)
        verdicts = []
        for idx, companions in enumerate(self.companions):
            if not self._has_spot(idx):
                verdicts.append(Verdict())
                continue
            variance = float(motion.covariances[idx, 0, 0])
            target = Expected(
                centre=motion.centres[idx],
                variance=variance,
                smooth_centre=smooth.centres[idx],
                # after long the smooth model knows nothing any more
                smooth_variance=min(float(smooth.covariances[idx, 0, 0]), variance),
                strength=float(self.strengths[idx]),
                side_px=float(self.sizes[idx].prod().sqrt()),
                was_seen=not self.num_unseen[idx],
            )
            verdicts.append(companions.step(around, target, sight.centres[idx]))
        return verdicts

    def _heed(self, verdicts: list[Verdict], plane: Tensor, sight: Sight, noise: Tensor) -> None:
        """Changes what was seen, and how well it is measured, to what the spots beside the targets say."""
        for idx, verdict in enumerate(verdicts):
            if verdict.is_hidden:
                sight.scores[idx] = 0
            elif verdict.overlap is not None:
                sight.centres[idx], sight.sizes[idx] = verdict.overlap.centre, self.sizes[idx]
                sight.strengths[idx], noise[idx] = verdict.overlap.strength, verdict.overlap.spread_px
            elif verdict.instead is not None:
                spot = self._look_at(plane, idx, verdict.instead[None], spread_px=LOOK_SPREAD_PX)
                is_there = float((spot.centres[0] - verdict.instead).norm()) <= SAME_PX
                sight.centres[idx], sight.sizes[idx] = spot.centres[0], spot.sizes[0]
                sight.scores[idx], sight.strengths[idx] = spot.scores[0] * is_there, spot.strengths[0]

    def _believed(self, sight: Sight, expected: Tensor, spreads: Tensor | None, verdicts: list[Verdict]) -> Tensor:
        """Which proposals (N,) are the targets: likely and near; one that was hidden also strong, and not known."""
        hidden = self.num_unseen > 0
        seen = sight.scores >= torch.where(hidden, self.settings.found_score, self.settings.lost_score)
        overlaps = {idx: verdict.overlap for idx, verdict in enumerate(verdicts) if verdict.overlap is not None}
        if spreads is not None:
            gates = torch.where(hidden, self.settings.found_spreads, self.settings.gate_spreads)
            is_near = (sight.centres - expected).norm(dim=1) <= gates * spreads
            is_near[list(overlaps)] = True  # the fit has seen to it
            seen &= is_near
        for idx in (seen & hidden).nonzero()[:, 0].tolist():
            if idx in overlaps:
                seen[idx] = FOUND_STRENGTH <= overlaps[idx].share <= 1 / FOUND_STRENGTH
                continue
            one = slice(idx, idx + 1)
            is_strong, is_known = self._is_strong(idx, sight.strengths[one]), self._is_known(idx, sight.centres[one])
            seen[idx] = bool(is_strong) and not bool(is_known)
        return seen

    def _spreads(self, motion: ConstantVelocity) -> Tensor:
        """Deviation (N,), pixels, of each target around where it is expected."""
        sides = self.sizes.prod(dim=1).sqrt()
        return torch.hypot(motion.spread_px, (self.settings.window_share * sides).clamp(min=self.settings.window_px))

    def _look_at(self, plane: Tensor, idx: int, centres: Tensor, *, spread_px: float | None = None) -> Sight:
        """The best proposal for one target in windows around some centres (K, 2), near them if `spread_px` is given."""
        sizes, first_sizes = (held[idx].expand(len(centres), 2) for held in (self.sizes, self.first_sizes))
        kernels = [kernel[idx : idx + 1].expand(len(centres), -1, -1, -1) for kernel in self.kernels]
        spreads = None if spread_px is None else torch.full((len(centres),), spread_px, dtype=torch.float64)
        windows = self.looker.windows(centres, sizes, first_sizes)
        view = self.looker.view(plane, windows)
        return self.looker.look(view, kernels, windows, sizes, spreads=spreads)

    def _remember(self, plane: Tensor, seen: Tensor) -> None:
        """Keeps, for each target that was seen, the frame and where it was."""
        for idx in seen.nonzero()[:, 0].tolist():
            self.last_seen[idx] = plane
            self.known_by_idx.pop(idx, None)
        self.last_centres = torch.where(seen[:, None], self.motion.centres, self.last_centres)

    def _has_spot(self, idx: int) -> bool:
        """Whether the filter shows the target as a spot: not a large one, and never where the network does without."""
        return self.network_settings.inputs != "frame" and float(self.sizes[idx].amax()) < self.settings.refine_below_px

    def _is_strong(self, idx: int, strengths: Tensor) -> Tensor:
        """Which spots (K,) are about as strong as the target was."""
        if not self._has_spot(idx):
            return torch.ones_like(strengths, dtype=torch.bool)
        usual = self.strengths[idx]
        return (strengths >= FOUND_STRENGTH * usual) & (strengths <= usual / FOUND_STRENGTH)

    def _is_known(self, idx: int, centres: Tensor) -> Tensor:
        """Which of some centres (K, 2) lie on a strong spot that was there when the target was last seen."""
        if not self._has_spot(idx):
            return torch.zeros(len(centres), dtype=torch.bool)
        if idx not in self.known_by_idx:
            self.known_by_idx[idx] = self._spots_beside(idx)
        known = self.known_by_idx[idx]
        reach = min(KNOWN_PX + KNOWN_SPEED_PX * float(self.num_unseen[idx]), KNOWN_MOST_PX)
        return (torch.cdist(centres, known) <= reach).any(dim=1)

    def _is_companion(self, idx: int, centres: Tensor) -> Tensor:
        """Which of some centres (K, 2) lie on a spot that was beside the target for a while."""
        return (torch.cdist(centres, self.companions[idx].centres) <= NEAR_PX).any(dim=1)

    def _spots_beside(self, idx: int) -> Tensor:
        """Centres (K, 2) of strong spots in the frame where a target was last seen, without its own."""
        response = suppress_background(self.last_seen[idx], settings=self.settings.filter).filtered[0]
        spots = peaks(response, number=256).to("cpu", torch.float64)
        distance = (spots[:, :2] - self.last_centres[idx]).norm(dim=1)
        own = distance <= NEAR_PX + float(self.sizes[idx].amax()) / 2
        strength = spots[own, 2].amax() if bool(own.any()) else spots[:, 2].amax() if len(spots) else 0.0
        return spots[~own & (spots[:, 2] >= KNOWN_STRENGTH * strength), :2]

    def _search(self, plane: Tensor, motion: ConstantVelocity, seen: Tensor, *, taken: Tensor) -> dict[int, _Found]:
        """Targets that are found again among the peaks of the whole filtered frame, within what motion allows.

        taken: (K, 2), centres of the targets that were seen: their spots are no one else's.
        """
        wanted = [
            idx
            for idx in range(len(seen))
            if not seen[idx] and self.settings.lost_after and self.num_unseen[idx] >= self.settings.lost_after
        ]
        if not wanted or self.network_settings.inputs == "frame":
            return {}
        response = suppress_background(plane, settings=self.settings.filter).filtered[0]
        spots = peaks(response, number=16 * self.settings.num_candidates)[:, :2].to("cpu", torch.float64)
        spots = spots[(torch.cdist(spots, taken) > SAME_PX).all(dim=1)]
        found = {}
        for idx in wanted:
            spread = float(self._spreads(motion)[idx])
            distance = (spots - motion.centres[idx]).norm(dim=1)
            near = spots[distance <= self.settings.found_spreads * spread]
            near = near[~self._is_known(idx, near) & ~self._is_companion(idx, near)][: self.settings.num_candidates]
            if not len(near):
                continue
            sight = self._look_at(plane, idx, near)
            off = (sight.centres - motion.centres[idx]).norm(dim=1) / spread
            believed = sight.scores * self._is_strong(idx, sight.strengths) * ~self._is_companion(idx, sight.centres)
            best = int((believed * torch.exp(-0.5 * off.square())).argmax())
            if believed[best] >= self.settings.found_score:
                found[idx] = _Found(*(part[best] for part in (sight.centres, sight.sizes, believed, sight.strengths)))
        return found

    def _tracks(self, scores: Tensor, *, shift: float) -> list[Track]:
        corners = self.motion.centres - self.sizes / 2 - shift
        return [
            Track((x, y, w, h), score, not unseen)
            for (x, y), (w, h), score, unseen in zip(
                corners.tolist(), self.sizes.tolist(), scores.tolist(), self.num_unseen.tolist(), strict=True
            )
        ]


def _meeting(centres: Tensor) -> Tensor:
    """Which of the centres (N, 2) have another one near."""
    return (torch.cdist(centres, centres) < MEETING_PX).sum(dim=1) > 1


def _taken(centres: Tensor, expected: Tensor, seen: Tensor) -> Tensor:
    """Which targets (N,) found a spot that another one, which is expected nearer to it, found too."""
    off = (centres - expected).norm(dim=1)
    same = (torch.cdist(centres, centres) < SAME_PX) & seen[:, None] & seen
    return (same & (off < off[:, None])).any(dim=1)


def check_box(box: Box, *, width: int, height: int) -> tuple[float, float, float, float]:
    """The box (x, y, w, h) as floats, with its centre inside a frame of that size; SpecError otherwise."""
    values = [float(value) for value in box]
    if len(values) != 4 or not all(map(math.isfinite, values)):
        raise SpecError(f"a box must be four finite numbers x, y, w, h: got {values}")
    x, y, w, h = values
    if w <= 0 or h <= 0:
        raise SpecError(f"a box must be wider and higher than 0: got {w:g} x {h:g}")
    if not (0 <= x + w / 2 <= width and 0 <= y + h / 2 <= height):
        raise SpecError(
            f"a box must have its centre in the frame of {width} x {height}: got x {x:g}, y {y:g}, w {w:g}, h {h:g}"
        )
    return x, y, w, h
