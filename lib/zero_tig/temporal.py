"""Temporal feedback (sec. III-B): the previous result, brought onto the current frame by optical flow."""

import torch
import torch.nn.functional as F
from torch import Tensor

from lib.flow import FlowEstimator, load_flow, resize_flow, warp
from lib.zero_tig.model import State
from lib.zero_tig.settings import Settings

# Choice: frames for the flow keep at least this many pixels on their short side, which is what RAFT's four levels of
# correlation need (fact sheet 5); the paper's factor 3 therefore holds from 384 pixels on
SMALLEST_FLOW_SIDE = 128


def equalise(image: Tensor) -> Tensor:
    """Histogram equalisation of each channel on its own, after truncation to 8 bits (eq. 2); (B, 3, H, W), 0..1."""
    from torchvision.transforms.v2.functional import equalize

    levels = (image * 255).clamp(0, 255).to(torch.uint8)
    equalised: Tensor = equalize(levels)
    return equalised.to(image.dtype) / 255


class Alignment:
    """Brings the state of the previous frame onto the current one; the flow network is loaded with the first frame.

    settings: flow, flow_weights, flow_factor, equalise, direction, reference_quirks.
    estimator: instead of the one the settings name, anything that maps two (B, 3, h, w) within 0..1 to a flow.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        estimator: FlowEstimator | None = None,
        smallest_side: int = SMALLEST_FLOW_SIDE,
    ) -> None:
        self.settings = settings or Settings()
        self.estimator = estimator
        self.smallest_side = smallest_side

    def __call__(self, state: State, denoised: Tensor) -> State:
        """R and S' of the previous frame as seen from the current frame's grid; zeros where it came from outside.

        state: (B, 3, H, W) each; denoised: L of the current frame, (B, 3, H, W). No gradient passes.
        """
        with torch.no_grad():
            flow = self.flow(state.reflectance, denoised)
            both = torch.cat([state.reflectance, state.illumination], dim=1)
            return State(*self.warp(both, flow).split(3, dim=1))

    def flow(self, previous: Tensor, current: Tensor) -> Tensor:
        """Flow at reduced size (eq. 3), (B, 2, h, w): from L(t) to R(t-1), or the other way round for `forward`."""
        if self.estimator is None:
            self.estimator = load_flow(self.settings.flow, weights=self.settings.flow_weights, device=current.device)
        small_previous, small_current = (self.shrink(image) for image in (previous, current))
        if self.settings.equalise:
            small_current = equalise(small_current)
        if self.settings.direction == "forward":
            return self.estimator(small_previous, small_current)
        return self.estimator(small_current, small_previous)

    def shrink(self, image: Tensor) -> Tensor:
        """The image at a third of its size, or as much smaller as its short side allows; bilinear."""
        height, width = image.shape[-2:]
        factor = max(1, min(self.settings.flow_factor, min(height, width) // self.smallest_side))
        if factor == 1:
            return image
        return F.interpolate(image, size=(height // factor, width // factor), mode="bilinear")

    def warp(self, image: Tensor, flow: Tensor) -> Tensor:
        """Image (B, C, H, W) of the previous frame seen from the current grid, zeros outside.

        flow: (B, 2, h, w). With `forward` the flow belongs to the other grid, and x - F(x) inverts it to first order.
        """
        if self.settings.reference_quirks:
            return drifting_warp(image, flow if self.settings.direction == "forward" else -flow)
        size = (image.shape[-2], image.shape[-1])
        whole = resize_flow(flow, size)
        return warp(image, -whole if self.settings.direction == "forward" else whole, padding="zeros")


def drifting_warp(image: Tensor, flow: Tensor) -> Tensor:
    """The published warp at x - F(x), which moves the picture by up to 1.5 pixels even when nothing moves.

    Its map of source positions is enlarged as if it were a picture, then normalised for one corner convention and
    sampled with the other. image: (B, C, H, W), flow: (B, 2, h, w) at reduced size, pixels.
    """
    height, width = image.shape[-2:]
    rows = torch.arange(flow.shape[-2], device=flow.device, dtype=image.dtype)
    columns = torch.arange(flow.shape[-1], device=flow.device, dtype=image.dtype)
    grid = torch.stack(torch.meshgrid(columns, rows, indexing="xy"))
    scale = grid.new_tensor([width / flow.shape[-1], height / flow.shape[-2]]).view(1, 2, 1, 1)
    places = F.interpolate((grid - flow) * scale, size=(height, width), mode="bilinear")
    x, y = places.unbind(dim=1)
    normalised = torch.stack([2 * x / max(width - 1, 1) - 1, 2 * y / max(height - 1, 1) - 1], dim=-1)
    return F.grid_sample(image, normalised, mode="bilinear", padding_mode="zeros", align_corners=False)
