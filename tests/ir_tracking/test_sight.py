"""The scale pyramid of a network that selects no regions, around a stand-in that compares sizes."""

import pytest
import torch
from torch import Tensor, nn

from lib.errors import SpecError
from lib.ir_tracking.network import RegionMaps
from lib.ir_tracking.network_settings import NetworkSettings
from lib.ir_tracking.tracker import Tracker
from lib.ir_tracking.tracker_settings import TrackerSettings

SIZE, SIDE_PX = (120, 120), 12.0


class SameSize(nn.Module):
    """Likes a crop the better the nearer its disc's size is to the template's; the middle cell alone."""

    def __init__(self) -> None:
        super().__init__()
        self.settings = NetworkSettings.small().but(head="correlation", inputs="frame", scaling="frame")
        self.weight = nn.Parameter(torch.zeros(()))
        self.num_searches = 0

    def template(self, crops: Tensor) -> list[Tensor]:
        """The disc's extent."""
        return [extent(crops)]

    def search(self, kernels: list[Tensor], crops: Tensor) -> RegionMaps:
        """Logit 3 for the same extent."""
        self.num_searches += 1
        cells = self.settings.map_size(crops.shape[-1])
        classes = crops.new_full((len(crops), 1, cells, cells), -8.0)
        classes[:, :, cells // 2, cells // 2] = (3 - 40 * (extent(crops) / kernels[0]).log().abs())[:, :, 0, 0]
        return RegionMaps(classes, None)


def extent(crops: Tensor) -> Tensor:
    """Square root of the area of what is bright, (B, 1, 1, 1)."""
    return (crops[:, :1] / 255).sum(dim=(1, 2, 3), keepdim=True).sqrt()


def discs(growth: float, num_frames: int) -> tuple[Tensor, Tensor]:
    """Frames (T, 1, H, W) of a disc in the middle, dark around it, and its sides (T,)."""
    sides = SIDE_PX * growth ** torch.arange(num_frames)
    rows, columns = torch.meshgrid(*(torch.arange(length) + 0.5 - length / 2 for length in SIZE), indexing="ij")
    distance = torch.hypot(rows, columns)
    return ((sides[:, None, None] / 2 - distance + 0.5).clamp(0, 1) * 100)[:, None], sides


def followed(settings: TrackerSettings, frames: Tensor) -> tuple[list[float], int]:
    network = SameSize()
    tracker = Tracker(network, settings, folded=False)  # type: ignore[arg-type]
    corner = (SIZE[0] - SIDE_PX) / 2
    tracker.start(frames[0], (corner, corner, SIDE_PX, SIDE_PX))
    return [tracker.step(frame).box[2] for frame in frames[1:]], network.num_searches


@pytest.mark.parametrize("growth", [1.015, 1 / 1.015])
def test_the_box_of_siamfc_grows_and_shrinks_with_its_target(growth: float) -> None:
    frames, sides = discs(growth, 25)
    widths, num_searches = followed(TrackerSettings(), frames)
    assert num_searches == 3 * 24
    assert widths[-1] == pytest.approx(float(sides[-1]), rel=0.05)
    assert max(abs(width / float(side) - 1) for width, side in zip(widths, sides[1:], strict=True)) < 0.06


def test_one_scale_keeps_the_size() -> None:
    frames, _ = discs(1.015, 10)
    widths, num_searches = followed(TrackerSettings(num_scales=1), frames)
    assert num_searches == 9
    assert widths == pytest.approx([SIDE_PX] * 9)


def test_a_target_that_keeps_its_size_keeps_its_box() -> None:
    frames, _ = discs(1.0, 10)
    widths, _ = followed(TrackerSettings(), frames)
    assert widths == pytest.approx([SIDE_PX] * 9)


@pytest.mark.parametrize("changes", [{"num_scales": 2}, {"num_scales": 0}, {"scale_step": 1.0}, {"scale_penalty": 1.5}])
def test_scales_that_cannot_be(changes: dict[str, float]) -> None:
    with pytest.raises(SpecError, match=next(iter(changes))):
        TrackerSettings().but(**changes)
