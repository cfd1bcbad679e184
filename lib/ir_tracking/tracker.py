"""Tracking: a box in the first frame, then frame after frame where it went."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

from lib.errors import LabError, ShapeError, SpecError
from lib.ir_tracking.anchors import anchor_grid
from lib.ir_tracking.background import check_frames, suppress_background
from lib.ir_tracking.companions import NEAR_PX, Around, Companions, Expected, Verdict
from lib.ir_tracking.crops import context_side, crops_of, input_planes, search_side
from lib.ir_tracking.kalman import ConstantAcceleration, ConstantVelocity, MotionSettings
from lib.ir_tracking.network import SiameseNetwork
from lib.ir_tracking.peaks import centre_of_mass, peaks
from lib.ir_tracking.select import Selected, cosine_window, select
from lib.ir_tracking.settings import FilterSettings

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
MAX_REFINEMENT_PX = 1.5  # further away lies something else
# targets of one pass that are expected this near to one another melt into one spot: where it is says little of either,
# unless both are fitted
MEETING_PX, MEETING_NOISE_PX = 6.0, 5.0
SAME_PX = 2.0  # centres this near are those of one spot, which is one target's only


@dataclass(frozen=True)
class TrackerSettings:
    """How proposals become a track. Defaults: SiamRPN's AlexNet values, adapted to targets of a few pixels."""

    penalty_strength: float = 0.16  # k of the penalty on change of size and shape; SiamRPN
    window_influence: float = 0.40  # of the cosine window; SiamRPN
    size_rate: float = 0.10  # of the box's size towards the proposal's. Choice: SiamRPN's 0.30 follows noise
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
        for name in ("window_influence", "size_rate", "lost_score", "found_score"):
            if not 0 <= getattr(self, name) <= 1:
                raise SpecError(f"{name} must lie within 0..1: got {getattr(self, name)!r}")
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


@dataclass(frozen=True)
class Track:
    """Where a target is in one frame.

    box: (x, y, w, h), pixels, inside the frame at least by its centre. score: probability that the target was seen,
    0..1; 1 at the start. seen: False while it is carried on by the motion prior, or held.
    """

    box: tuple[float, float, float, float]
    score: float
    seen: bool


@dataclass(frozen=True)
class _View:
    """Input planes (3, h, w) of a frame or of the part from (left, top) on."""

    planes: Tensor
    left: int
    top: int


@dataclass(frozen=True)
class _Sight:
    """What one look found, on the CPU.

    centres: (N, 2) in the frame. sizes: (N, 2), after smoothing. scores: (N,). strengths: (N,), what the filter leaves
    at the centre.
    """

    centres: Tensor
    sizes: Tensor
    scores: Tensor
    strengths: Tensor


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
        self.network = network.folded() if folded else network.eval()
        weight = next(network.parameters())
        self.device, self.dtype = weight.device, weight.dtype
        self.anchors = anchor_grid(network.settings, network.settings.map_size(network.settings.search_px)).to(
            weight.device, weight.dtype
        )
        num_cells = self.anchors.shape[-1]
        num_maps = 1 if network.settings.head == "correlation" else network.settings.num_anchors
        self.window = cosine_window(num_cells, num_maps, like=self.anchors)
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
        plane = self._plane(frame)
        height, width = plane.shape[-2:]
        checked = torch.tensor([check_box(box, width=width, height=height) for box in boxes], dtype=torch.float64)
        if not len(checked):
            raise SpecError("a tracker needs at least one box: got none")
        centres, sizes = checked[:, :2] + checked[:, 2:] / 2, checked[:, 2:].clamp(min=self.settings.min_box_px)
        windows = self._windows(centres, sizes, template=True)
        view = self._view(plane, windows)
        self.kernels = self.network.template(self._crops(view, windows, self.network_settings.template_px))
        self.motion = ConstantVelocity(centres, self.settings.motion)
        self.smooth = ConstantAcceleration(centres, self.settings.motion)
        self.companions = [Companions(self.settings.motion) for _ in centres]
        self.sizes = sizes
        self.num_unseen = torch.zeros(len(centres), dtype=torch.long)
        self.frame_shape = (height, width)
        self.strengths = self._strengths(view, centres)
        self.last_seen, self.last_centres = [plane] * len(centres), centres
        self.known_by_idx: dict[int, Tensor] = {}
        return self._tracks(torch.ones(len(centres)), shift=0.0)

    @torch.no_grad()
    def step_many(self, frame: Tensor) -> list[Track]:
        """`step` for all targets of `start_many`, in their order."""
        if self.frame_shape is None:
            raise LabError("the tracker has no target yet: call start with the first frame and a box")
        plane = self._plane(frame)
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
    ) -> tuple[_Sight, Tensor, list[Verdict]]:
        """What is seen around where the targets are expected, the deviation (N,) of its centres, and who is beside."""
        view = self._view(plane, self._windows(motion.centres, self.sizes))
        sight = self._look(view, motion.centres, self.sizes, spreads=spreads)
        noise = (MEASUREMENT_SHARE * self.sizes.prod(dim=1).sqrt()).clamp(min=self.settings.motion.measurement_px)
        noise = torch.where(_meeting(motion.centres), MEETING_NOISE_PX, noise)
        if spreads is None or not self.settings.companions:
            return sight, noise, [Verdict()] * len(noise)
        verdicts = self._verdicts(view, motion, smooth, sight)
        self._heed(verdicts, plane, sight, noise)
        return sight, noise, verdicts

    def _verdicts(
        self, view: _View, motion: ConstantVelocity, smooth: ConstantAcceleration, sight: _Sight
    ) -> list[Verdict]:
        """What the spots beside each target say of it; nothing where it shows no spot."""
        around = Around(self._response(view), view.planes[2], torch.tensor([view.left, view.top], dtype=torch.float64))
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

    def _heed(self, verdicts: list[Verdict], plane: Tensor, sight: _Sight, noise: Tensor) -> None:
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

    def _believed(self, sight: _Sight, expected: Tensor, spreads: Tensor | None, verdicts: list[Verdict]) -> Tensor:
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

    def _plane(self, frame: Tensor) -> Tensor:
        """A copy of the frame (1, H, W) on the network's device, checked; the tracker remembers it."""
        check_frames(frame)
        if frame.ndim == 2:
            frame = frame[None]
        if frame.ndim != 3 or frame.shape[0] != 1:
            raise ShapeError(f"a frame must be (1, H, W) or (H, W), one plane: got {tuple(frame.shape)}")
        return frame.to(self.device, self.dtype, copy=True)

    def _windows(self, centres: Tensor, sizes: Tensor, *, template: bool = False) -> Tensor:
        """(N, 3), centre and side of each target's window."""
        floor = self.network_settings.context_floor_px
        sides = [context_side(width, height, floor_px=floor) for width, height in sizes.tolist()]
        if not template:
            sides = [search_side(side, self.network_settings) for side in sides]
        return torch.cat([centres, torch.tensor(sides, dtype=centres.dtype)[:, None]], dim=1)

    def _view(self, plane: Tensor, windows: Tensor) -> _View:
        """A frame's input planes, filtered only as far as the windows need it."""
        left = top = 0
        if self.network_settings.scaling == "crop" and len(windows) == 1:
            left, top, right, bottom = self._part(windows[0].tolist())
            plane = plane[:, top:bottom, left:right]
        return _View(self._planes(plane), left, top)

    def _crops(self, view: _View, windows: Tensor, out_px: int) -> Tensor:
        """Network inputs (N, 3, out_px, out_px)."""
        moved = windows - windows.new_tensor([view.left, view.top, 0.0])
        return crops_of(view.planes, moved, out_px, self.network_settings).to(memory_format=torch.channels_last)

    def _planes(self, plane: Tensor) -> Tensor:
        settings = self.network_settings
        if settings.inputs == "frame":
            return input_planes(plane, plane, plane, inputs="frame", scaling=settings.scaling)
        stages = suppress_background(plane, settings=self.settings.filter)
        return input_planes(plane, stages.suppressed, stages.filtered, inputs=settings.inputs, scaling=settings.scaling)

    def _part(self, window: list[float]) -> tuple[int, int, int, int]:
        """left, top, right, bottom of the pixels that a window's filtered crop depends on; at least one pixel."""
        centre_x, centre_y, side = window
        margin = side / 2 + self.settings.filter.line_length_px + 2 * self.settings.filter.opening_px
        return (
            max(math.floor(centre_x - margin), 0),
            max(math.floor(centre_y - margin), 0),
            max(math.ceil(centre_x + margin), 1),
            max(math.ceil(centre_y + margin), 1),
        )

    def _spreads(self, motion: ConstantVelocity) -> Tensor:
        """Deviation (N,), pixels, of each target around where it is expected."""
        sides = self.sizes.prod(dim=1).sqrt()
        return torch.hypot(motion.spread_px, (self.settings.window_share * sides).clamp(min=self.settings.window_px))

    def _look(
        self,
        view: _View,
        centres: Tensor,
        sizes: Tensor,
        *,
        kernels: list[Tensor] | None = None,
        spreads: Tensor | None = None,
    ) -> _Sight:
        """The best proposal in each search window."""
        windows = self._windows(centres, sizes)
        zooms = self.network_settings.search_px / windows[:, 2:]
        crops = self._crops(view, windows, self.network_settings.search_px)
        maps = self.network.search(kernels or self.kernels, crops)
        best = select(
            maps,
            self.anchors,
            (sizes * zooms).to(self.anchors),
            penalty_strength=self.settings.penalty_strength,
            window_influence=self.settings.window_influence,
            window=self.window,
            spreads=None if spreads is None else spreads * zooms[:, 0],
        )
        sight = self._in_frame(best, centres, sizes, zooms)
        centres = self._refined(sight, view)
        return replace(sight, centres=centres, strengths=self._strengths(view, centres))

    def _look_at(self, plane: Tensor, idx: int, centres: Tensor, *, spread_px: float | None = None) -> _Sight:
        """The best proposal for one target in windows around some centres (K, 2), near them if `spread_px` is given."""
        sizes = self.sizes[idx].expand(len(centres), 2)
        kernels = [kernel[idx : idx + 1].expand(len(centres), -1, -1, -1) for kernel in self.kernels]
        spreads = None if spread_px is None else torch.full((len(centres),), spread_px, dtype=torch.float64)
        view = self._view(plane, self._windows(centres, sizes))
        return self._look(view, centres, sizes, kernels=kernels, spreads=spreads)

    def _in_frame(self, best: Selected, centres: Tensor, sizes: Tensor, zooms: Tensor) -> _Sight:
        found = torch.cat([best.boxes, best.scores[:, None], best.penalties[:, None]], dim=1).to("cpu", torch.float64)
        boxes, scores, penalties = found[:, :4], found[:, 4], found[:, 5]
        rate = (penalties * scores * self.settings.size_rate)[:, None]
        sizes = sizes * (1 - rate) + boxes[:, 2:] / zooms * rate
        return _Sight(centres + boxes[:, :2] / zooms, sizes, scores, torch.zeros_like(scores))

    def _refined(self, sight: _Sight, view: _View) -> Tensor:
        """Centres (N, 2), those of small targets moved to the centre of mass of what the filter leaves there."""
        small = sight.sizes.amax(dim=1) < self.settings.refine_below_px
        if not bool(small.any()):
            return sight.centres
        response = self._response(view)
        corner = sight.centres.new_tensor([view.left, view.top])
        better = centre_of_mass(response, sight.centres - corner).to(sight.centres) + corner
        near = (better - sight.centres).norm(dim=1) <= MAX_REFINEMENT_PX
        return torch.where((small & near)[:, None], better, sight.centres)

    def _response(self, view: _View) -> Tensor:
        """The plane (h, w) in which targets stand out: eq. 3's, or what the network has in its place."""
        return view.planes[1 if self.network_settings.inputs == "all" else 0]

    def _strengths(self, view: _View, centres: Tensor) -> Tensor:
        """Highest value (N,) of the 3x3 pixels around each centre."""
        response = self._response(view)
        heights = []
        for x, y in centres.tolist():
            column, row = (
                min(max(int(place), 0), size - 1)
                for place, size in ((x - view.left, response.shape[1]), (y - view.top, response.shape[0]))
            )
            heights.append(response[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2].amax())
        return torch.stack(heights).to("cpu", torch.float64)

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
