"""DIS: known shifts, bright and dark, any size and shape, repeatable, inputs untouched."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lib.errors import ShapeError, SpecError
from lib.flow import FlowEstimator, endpoint_error, load_flow
from lib.flow.dis import DIS, PRESETS

MARGIN = 24


def shifted_pair(x: int, y: int, *, height: int = 180, width: int = 240) -> tuple[Tensor, Tensor, Tensor]:
    """Two views (1, 3, H, W) of a soft random texture, and the flow from the first to the second."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, 3, height // 5, width // 5, generator=generator)
    scene = F.interpolate(coarse, size=(height + 2 * MARGIN, width + 2 * MARGIN), mode="bicubic").clamp(0, 1)
    first = scene[..., MARGIN : MARGIN + height, MARGIN : MARGIN + width]
    second = scene[..., MARGIN - y : MARGIN - y + height, MARGIN - x : MARGIN - x + width]
    return first, second, torch.tensor([x, y], dtype=torch.float32).view(1, 2, 1, 1).expand(1, 2, height, width)


def photographed(scene: Tensor, *, brightness: float, noise: float, seed: int) -> Tensor:
    """The scene darkened, with noise (0..1 units) and 8 bits."""
    generator = torch.Generator().manual_seed(seed)
    return (
        (brightness * scene + noise * torch.randn(scene.shape, generator=generator)).clamp(0, 1) * 255
    ).round() / 255


@pytest.mark.parametrize(("x", "y"), [(5, 3), (-7, 2), (0, -4), (1, 0)])
def test_known_shifts_are_found(device: torch.device, x: int, y: int) -> None:
    first, second, truth = (tensor.to(device) for tensor in shifted_pair(x, y))
    assert endpoint_error(load_flow("dis")(first, second), truth) < 0.1


def test_dark_noisy_pictures_still_move() -> None:
    first, second, truth = shifted_pair(5, 3)
    dark = [photographed(scene, brightness=0.1, noise=0.008, seed=seed) for seed, scene in enumerate((first, second))]
    # scenes of 0..25 grey levels with noise of 2
    assert endpoint_error(load_flow("dis")(*dark), truth) < 0.5


def test_a_still_picture_does_not_move_and_black_is_finite() -> None:
    first, _, _ = shifted_pair(0, 0)
    estimator = load_flow("dis")
    assert estimator(first, first).abs().max() < 1e-2
    assert estimator(torch.zeros_like(first), torch.zeros_like(first)).isfinite().all()
    assert estimator(torch.zeros_like(first), torch.ones_like(first)).isfinite().all()


# OpenCV itself crashes on some of these
@pytest.mark.parametrize("size", [(1, 1), (1, 300), (16, 200), (200, 16), (31, 400), (33, 47)])
def test_any_size_and_shape(size: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    first, second = torch.rand(2, 3, *size, generator=generator)
    assert load_flow("dis")(first, second).shape == (1, 2, *size)


def test_batches_equal_single_pairs_and_calls_repeat() -> None:
    pairs = [shifted_pair(x, 1) for x in (2, 6)]
    first, second = (torch.cat([pair[index] for pair in pairs]) for index in range(2))
    estimator = load_flow("dis")
    flow = estimator(first, second)
    assert flow.shape == (2, 2, 180, 240)
    assert flow.dtype == torch.float32
    for index in range(2):
        assert torch.equal(estimator(first[index], second[index])[0], flow[index])


def test_inputs_stay_as_they_are() -> None:
    first, second, _ = shifted_pair(3, 0)
    kept = first.clone(), second.clone()
    load_flow("dis")(first, second)
    assert torch.equal(first, kept[0])
    assert torch.equal(second, kept[1])


def test_mirrored_pictures_move_the_other_way() -> None:
    first, second, _ = shifted_pair(4, 0)
    flow = load_flow("dis")(first.flip(-1), second.flip(-1))
    assert abs(flow[:, 0].mean().item() + 4) < 0.1


@pytest.mark.parametrize("preset", PRESETS)
def test_presets(preset: str) -> None:
    first, second, truth = shifted_pair(5, 3)
    estimator = FlowEstimator("dis", DIS(preset))
    assert endpoint_error(copy.deepcopy(estimator)(first, second), truth) < 0.5


def test_bad_arguments_are_named() -> None:
    first, second, _ = shifted_pair(1, 1)
    with pytest.raises(SpecError, match="ultrafast, fast, medium: got 'slow'"):
        DIS("slow")
    with pytest.raises(SpecError, match="dis has no weights"):
        load_flow("dis", weights="dis.pth")
    with pytest.raises(ShapeError, match=r"must lie within 0\.\.1: .*divide 8-bit pictures by 255"):
        load_flow("dis")(first * 255, second * 255)
    with pytest.raises(ShapeError, match="finite"):
        load_flow("dis")(first, second / 0)
