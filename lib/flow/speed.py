"""What the speed table says about the flow room: the warp against the public way, DIS against RAFT."""

from functools import lru_cache, partial

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from lib.flow import FlowEstimator, endpoint_error, load_flow, resize_flow, warp
from lib.timing import Race

WARP_SIZE = (1080, 1920)
FLOW_SIZE = (360, 640)
SHIFT_PX = (5.0, 3.0)


def races() -> list[Race]:
    """Every row, on soft random pictures (seed 0)."""
    return [*_warp_races(), _dis_race()]


def soft_picture(height: int, width: int, *, channels: int = 3, seed: int = 0) -> Tensor:
    """Soft shapes (1, C, H, W), 0..1, in steps of a grey level."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, channels, -(-height // 8), -(-width // 8), generator=generator)
    picture = F.interpolate(coarse, size=(height, width), mode="bicubic", align_corners=False)
    return (picture.clamp(0, 1) * 255).round() / 255


def soft_flow(height: int, width: int, *, seed: int = 0) -> Tensor:
    """Motion of a few pixels that was estimated at a third of the size, (1, 2, H, W)."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(1, 2, 9, 16, generator=generator)
    small = F.interpolate(coarse, size=(height // 3, width // 3), mode="bicubic", align_corners=False)
    return resize_flow(small + 0.05 * torch.randn(small.shape, generator=generator), (height, width))


def public_warp(image: Tensor, flow: Tensor) -> Tensor:
    """The warp of published flow networks: a grid built each time, and a warped mask of ones against the sides.

    image: (B, C, H, W). flow: (B, 2, H, W), pixels. Outside the picture is 0.
    """
    height, width = image.shape[-2:]
    columns = torch.arange(width, device=image.device).view(1, -1).repeat(height, 1)
    rows = torch.arange(height, device=image.device).view(-1, 1).repeat(1, width)
    position = torch.stack((columns, rows)).float()[None] + flow
    scale = position.new_tensor([max(width - 1, 1), max(height - 1, 1)]).view(1, 2, 1, 1)
    grid = (2 * position / scale - 1).permute(0, 2, 3, 1)
    warped = F.grid_sample(image, grid, align_corners=True)
    mask = F.grid_sample(torch.ones_like(image), grid, align_corners=True)
    return warped * (mask >= 0.999)


def opencv_warp(picture: NDArray[np.float32], flow: NDArray[np.float32]) -> NDArray[np.float32]:
    """cv2.remap of (H, W, 3) by flow (2, H, W), positions built each time as a user must."""
    height, width = picture.shape[:2]
    columns, rows = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    x, y = columns + flow[0], rows + flow[1]
    return np.asarray(cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32)


def _warp_races() -> list[Race]:
    """Reflectance and illumination of a frame, warped together by ours and one after the other by the peers."""
    height, width = WARP_SIZE
    both, flow = soft_picture(height, width, channels=6), soft_flow(height, width)
    pictures = [half.contiguous() for half in both.chunk(2, dim=1)]
    last_first = [half[0].permute(1, 2, 0).contiguous().numpy() for half in pictures]
    ours = partial(warp, both, flow)

    def check() -> str:
        exact = warp(both.double(), flow.double())
        return f"largest difference to float64 {(ours().double() - exact).abs().max() * 255:.0e} grey levels"

    work = f"warp, 6 channels, {height}x{width}"
    return [
        Race(work, ours, "grid_sample twice, each with mask", lambda: [public_warp(half, flow) for half in pictures],
             4, check=check),
        Race(f"{work}, OpenCV", ours, "cv2.remap twice",
             lambda: [opencv_warp(half, flow[0].numpy()) for half in last_first], 0.7),
    ]  # fmt: skip


def _dis_race() -> Race:
    height, width = FLOW_SIZE
    x, y = (int(part) for part in SHIFT_PX)
    scene = soft_picture(height + 2 * y, width + 2 * x)
    first, second = scene[..., y : y + height, x : x + width], scene[..., :height, :width]
    dis = partial(load_flow("dis"), first, second)

    def check() -> str:
        truth = torch.tensor(SHIFT_PX).view(1, 2, 1, 1).expand(1, 2, height, width)
        return f"end-point error {endpoint_error(dis(), truth):.3f} px on a shift of ({x}, {y}) px"

    return Race(
        f"flow, DIS, {height}x{width}",
        dis,
        "RAFT, 20 updates, random weights",
        lambda: _random_raft()(first, second),
        150,
        check=check,
        peer_rounds=1,
    )


@lru_cache(maxsize=1)
def _random_raft() -> FlowEstimator:
    """Built when the row comes, because it takes seconds; its time does not depend on the weights."""
    return load_flow("raft", weights=None)
