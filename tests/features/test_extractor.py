"""Any picture in, a grid of vectors out: sizes, devices, precision, bad input."""

import pytest
import torch
from torch import Tensor, nn

from lib.errors import ShapeError
from lib.features import FeatureExtractor, load_features


class Means(nn.Module):
    """Mean colour of each 8x8 patch, in the precision that autocast asks for."""

    identity = "means"

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.Conv2d(3, 3, 8, stride=8, groups=3, bias=False)
        nn.init.constant_(self.pool.weight, 1 / 64)
        self.seen: list[torch.dtype] = []

    def forward(self, image: Tensor) -> Tensor:
        maps = self.pool(image)
        self.seen.append(maps.dtype)
        return maps.flatten(2).transpose(1, 2)


def extractor() -> FeatureExtractor:
    return FeatureExtractor("means", Means().requires_grad_(False), 8, 8, 3, "none", True)


def test_patches_row_by_row(device: torch.device) -> None:
    image = torch.zeros(2, 3, 16, 24, device=device)
    image[1, 0, 8:, 16:] = 1
    found = extractor()(image)
    assert found.grid == (2, 3)
    assert found.tokens.dtype == torch.float32
    assert found.tokens.device == image.device
    assert found.tokens[1, :, 0].tolist() == pytest.approx([0, 0, 0, 0, 0, 1], abs=1e-3)
    assert found.as_map().shape == (2, 3, 2, 3)
    assert found.as_map()[1, 0, 1, 2] == pytest.approx(1, abs=1e-3)


def test_half_precision_on_a_gpu_only(device: torch.device) -> None:
    found = extractor()
    found(torch.rand(1, 3, 16, 16, device=device))
    assert found.network.seen == [torch.float16 if device.type == "cuda" else torch.float32]


@pytest.mark.parametrize(("size", "grid"), [((13, 21), (2, 3)), ((20, 12), (2, 2)), ((5, 90), (1, 11))])
def test_sides_go_to_the_nearest_multiple(size: tuple[int, int], grid: tuple[int, int]) -> None:
    image = torch.full((1, 3, *size), 0.25)
    found = extractor()(image)
    assert found.grid == grid
    assert torch.allclose(found.tokens, torch.tensor(0.25), atol=1e-5)
    assert image.shape[-2:] == size


def test_input_is_kept_and_random_numbers_are_left_alone(picture: Tensor, lite0: FeatureExtractor) -> None:
    before, state = picture.clone(), torch.get_rng_state()
    load_features("efficientnet_lite0", weights=None)
    first, second = lite0(picture).tokens, lite0(picture).tokens
    assert torch.equal(picture, before)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first, second)
    assert not first.requires_grad


def test_random_weights_are_the_same_each_time(picture: Tensor) -> None:
    first, second = (load_features("efficientnet_lite0", weights=None)(picture).tokens for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize(
    ("image", "sentence"),
    [
        (torch.rand(3, 16, 16), "must have 4 axes"),
        (torch.rand(1, 1, 16, 16), "RGB with 3 channels"),
        (torch.rand(1, 3, 3, 16), "at least 8 pixels a side: 3x16"),
        (torch.full((1, 3, 16, 16), torch.nan), "finite"),
        (torch.full((1, 3, 16, 16), 255.0), r"within 0\.\.1"),
    ],
)
def test_bad_picture(image: Tensor, sentence: str) -> None:
    with pytest.raises(ShapeError, match=sentence):
        extractor()(image)
