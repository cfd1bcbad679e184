"""One look at a frame: windows around where targets are expected, their crops, and the best proposal in each."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lib.errors import ShapeError
from lib.ir_tracking.anchors import anchor_grid
from lib.ir_tracking.background import check_frames, suppress_background
from lib.ir_tracking.crops import context_side, crops_of, input_planes, search_side
from lib.ir_tracking.network import SiameseNetwork
from lib.ir_tracking.peaks import centre_of_mass
from lib.ir_tracking.select import Selected, cosine_window, select
from lib.ir_tracking.tracker_settings import TrackerSettings

MAX_REFINEMENT_PX = 1.5  # further away lies something else


@dataclass(frozen=True)
class View:
    """Input planes (3, h, w) of a frame or of the part from (left, top) on."""

    planes: Tensor
    left: int
    top: int


@dataclass(frozen=True)
class Sight:
    """What one look found, on the CPU.

    centres: (N, 2) in the frame. sizes: (N, 2), after smoothing. scores: (N,). strengths: (N,), what the filter leaves
    at the centre.
    """

    centres: Tensor
    sizes: Tensor
    scores: Tensor
    strengths: Tensor


class Looker:
    """Filter, crops, network, choice and centring of one frame; it remembers nothing.

    network: trained; used in evaluation mode, and frames go to its device. folded: with its norms folded.
    """

    def __init__(self, network: SiameseNetwork, settings: TrackerSettings, *, folded: bool) -> None:
        self.settings, self.network_settings = settings, network.settings
        self.network = network.folded() if folded else network.eval()
        weight = next(network.parameters())
        self.device, self.dtype = weight.device, weight.dtype
        self.anchors = anchor_grid(network.settings, network.settings.map_size(network.settings.search_px)).to(
            weight.device, weight.dtype
        )
        num_cells = self.anchors.shape[-1]
        self.has_regions = network.settings.head != "correlation"
        num_maps = network.settings.num_anchors if self.has_regions else 1
        self.window = cosine_window(num_cells, num_maps, like=self.anchors)
        reach = 0 if self.has_regions else settings.num_scales // 2
        self.scales = [settings.scale_step**power for power in range(-reach, reach + 1)]

    def plane(self, frame: Tensor) -> Tensor:
        """A copy of the frame (1, H, W) on the network's device, checked; a tracker remembers it."""
        check_frames(frame)
        if frame.ndim == 2:
            frame = frame[None]
        if frame.ndim != 3 or frame.shape[0] != 1:
            raise ShapeError(f"a frame must be (1, H, W) or (H, W), one plane: got {tuple(frame.shape)}")
        return frame.to(self.device, self.dtype, copy=True)

    def template(self, view: View, windows: Tensor) -> list[Tensor]:
        """What the network keeps of the targets in windows (N, 3)."""
        return self.network.template(self.crops(view, windows, self.network_settings.template_px))

    def look(
        self, view: View, kernels: list[Tensor], windows: Tensor, sizes: Tensor, *, spreads: Tensor | None = None
    ) -> Sight:
        """The best proposal in the search window of each target.

        kernels: of `template`. windows: (N, 3), of `windows`, around the expected centres. sizes: (N, 2), expected,
        pixels of the frame. spreads: (N,), deviation of the window around the expected centre; None: the cosine window.
        """
        tries = [self._try(view, kernels, windows, sizes, spreads, scale) for scale in self.scales]
        sight = tries[0] if len(tries) == 1 else self._best(tries)
        centres = self._refined(sight, view)
        return replace(sight, centres=centres, strengths=self.strengths(view, centres))

    def _try(
        self,
        view: View,
        kernels: list[Tensor],
        windows: Tensor,
        sizes: Tensor,
        spreads: Tensor | None,
        scale: float,
    ) -> Sight:
        """The best proposal in windows that are `scale` times as large, in which so much larger targets look alike."""
        windows = windows * windows.new_tensor([1, 1, scale])
        zooms = self.network_settings.search_px / windows[:, 2:]
        crops = self.crops(view, windows, self.network_settings.search_px)
        best = select(
            self.network.search(kernels, crops),
            self.anchors,
            (sizes * zooms * scale).to(self.anchors),
            penalty_strength=self.settings.penalty_strength,
            window_influence=self.settings.window_influence,
            window=self.window,
            spreads=None if spreads is None else spreads * zooms[:, 0],
        )
        return self._in_frame(best, windows[:, :2], sizes, zooms)

    def _best(self, tries: Sequence[Sight]) -> Sight:
        """For each target what was seen at the scale of the highest score, the middle one preferred."""
        scores = torch.stack([sight.scores for sight in tries])
        ranks = scores * self.settings.scale_penalty
        middle = len(tries) // 2
        ranks[middle] = scores[middle]
        best, number = ranks.argmax(dim=0), torch.arange(scores.shape[1])
        centres, sizes, strengths = (
            torch.stack([getattr(sight, name) for sight in tries])[best, number]
            for name in ("centres", "sizes", "strengths")
        )
        return Sight(centres, sizes, scores[best, number], strengths)

    def template_windows(self, centres: Tensor, sizes: Tensor) -> Tensor:
        """(N, 3), centre and side of the window around each target (N, 2) that the template shows."""
        floor = self.network_settings.context_floor_px
        sides = [context_side(width, height, floor_px=floor) for width, height in sizes.tolist()]
        return torch.cat([centres, torch.tensor(sides, dtype=centres.dtype)[:, None]], dim=1)

    def windows(self, centres: Tensor, sizes: Tensor, first_sizes: Tensor) -> Tensor:
        """(N, 3), centre and side of each target's search window.

        first_sizes: (N, 2), at the start. Without region selection the window grows with the target from there on, also
        where the template's was at its floor: its size is known by nothing but how large it looks beside the template.
        """
        windows = self.template_windows(centres, sizes if self.has_regions else first_sizes)
        sides = [search_side(side, self.network_settings) for side in windows[:, 2].tolist()]
        windows = torch.cat([centres, windows.new_tensor(sides)[:, None]], dim=1)
        if not self.has_regions:
            windows[:, 2] *= (sizes / first_sizes).prod(dim=1).sqrt()
        return windows

    def view(self, plane: Tensor, windows: Tensor) -> View:
        """A frame's input planes, filtered only as far as the windows need it."""
        left = top = 0
        if self.network_settings.scaling == "crop" and len(windows) == 1:
            left, top, right, bottom = self._part(windows[0].tolist())
            plane = plane[:, top:bottom, left:right]
        return View(self._planes(plane), left, top)

    def crops(self, view: View, windows: Tensor, out_px: int) -> Tensor:
        """Network inputs (N, 3, out_px, out_px)."""
        moved = windows - windows.new_tensor([view.left, view.top, 0.0])
        return crops_of(view.planes, moved, out_px, self.network_settings).to(memory_format=torch.channels_last)

    def response(self, view: View) -> Tensor:
        """The plane (h, w) in which targets stand out: eq. 3's, or what the network has in its place."""
        return view.planes[1 if self.network_settings.inputs == "all" else 0]

    def strengths(self, view: View, centres: Tensor) -> Tensor:
        """Highest value (N,) of the 3x3 pixels around each centre."""
        response = self.response(view)
        heights = []
        for x, y in centres.tolist():
            column, row = (
                min(max(int(place), 0), size - 1)
                for place, size in ((x - view.left, response.shape[1]), (y - view.top, response.shape[0]))
            )
            heights.append(response[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2].amax())
        return torch.stack(heights).to("cpu", torch.float64)

    def _planes(self, plane: Tensor) -> Tensor:
        settings = self.network_settings
        if settings.inputs == "frame":
            return input_planes(plane, plane, plane, inputs="frame", scaling=settings.scaling)
        stages = suppress_background(plane, settings=self.settings.filter)
        return input_planes(plane, stages.suppressed, stages.filtered, inputs=settings.inputs, scaling=settings.scaling)

    def _part(self, window: Sequence[float]) -> tuple[int, int, int, int]:
        """left, top, right, bottom of the pixels that a window's filtered crop depends on; at least one pixel."""
        centre_x, centre_y, side = window
        margin = side / 2 * self.scales[-1] + self.settings.filter.line_length_px + 2 * self.settings.filter.opening_px
        return (
            max(math.floor(centre_x - margin), 0),
            max(math.floor(centre_y - margin), 0),
            max(math.ceil(centre_x + margin), 1),
            max(math.ceil(centre_y + margin), 1),
        )

    def _in_frame(self, best: Selected, centres: Tensor, sizes: Tensor, zooms: Tensor) -> Sight:
        found = torch.cat([best.boxes, best.scores[:, None], best.penalties[:, None]], dim=1).to("cpu", torch.float64)
        boxes, scores, penalties = found[:, :4], found[:, 4], found[:, 5]
        rate = (penalties * scores * self.settings.size_rate)[:, None] if self.has_regions else self.settings.scale_rate
        sizes = sizes * (1 - rate) + boxes[:, 2:] / zooms * rate
        return Sight(centres + boxes[:, :2] / zooms, sizes, scores, torch.zeros_like(scores))

    def _refined(self, sight: Sight, view: View) -> Tensor:
        """Centres (N, 2), those of small targets moved to the centre of mass of what the filter leaves there."""
        small = sight.sizes.amax(dim=1) < self.settings.refine_below_px
        if not bool(small.any()):
            return sight.centres
        response = self.response(view)
        corner = sight.centres.new_tensor([view.left, view.top])
        better = centre_of_mass(response, sight.centres - corner).to(sight.centres) + corner
        near = (better - sight.centres).norm(dim=1) <= MAX_REFINEMENT_PX
        return torch.where((small & near)[:, None], better, sight.centres)
