"""The segmentation network: grids, sizes, what guides it, and bad input."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lib.errors import ShapeError, SpecError
from lib.fodvid.network import SegmentationNetwork


def network(patch_px: int = 8, **settings: object) -> SegmentationNetwork:
    torch.manual_seed(0)
    made = SegmentationNetwork(5, patch_px=patch_px, **{"width": 2, "modulation_width": 3, **settings})  # type: ignore[arg-type]
    for value in made.parameters():
        torch.nn.init.normal_(value, std=0.2)
    return made.eval()


def feature_map(batch: int = 1, rows: int = 3, columns: int = 4) -> Tensor:
    return torch.randn(batch, 5, rows, columns, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("patch_px", [1, 4, 8, 16])
def test_decoder_enlarges_by_the_patch(patch_px: int, device: torch.device) -> None:
    made = network(patch_px).to(device)
    seen: list[tuple[int, ...]] = []
    made.decoder.register_forward_hook(lambda module, args, result: seen.append(tuple(result.shape)))
    with torch.no_grad():
        logits = made(feature_map(2).to(device), (3 * patch_px, 4 * patch_px))
    assert seen == [(2, 1, 3 * patch_px, 4 * patch_px)]
    assert logits.shape == seen[0]
    assert logits.device.type == device.type


def test_blocks_of_patch_eight_lie_on_the_grids_of_the_fact_sheet() -> None:
    made, seen = network(8), {}
    for name, block in made.decoder.blocks.items():
        block.register_forward_hook(lambda module, args, result, name=name: seen.update({name: result.shape[-2:]}))
    with torch.no_grad():
        made(feature_map(rows=32, columns=64), (256, 512))
    assert [seen[name][0] for name in ("head_0", "middle_0", "middle_1")] == [32, 32, 32]
    assert [seen[name][1] for name in ("up_0", "up_1", "up_2", "up_3")] == [128, 256, 512, 512]


def test_full_width_has_the_channels_of_the_fact_sheet() -> None:
    with torch.device("meta"):
        made = SegmentationNetwork(768, patch_px=8)
    assert made.decoder.trunk.weight.shape == (1024, 768, 3, 3)
    outputs = [block.conv_1.weight.shape[0] for block in made.decoder.blocks.values()]
    assert outputs == [1024, 1024, 1024, 512, 256, 128, 64]
    assert made.decoder.head.weight.shape == (1, 64, 3, 3)


def test_other_sizes_are_bilinear() -> None:
    made = network(4)
    with torch.no_grad():
        own, odd = made(feature_map(), (12, 16)), made(feature_map(), (31, 17))
    torch.testing.assert_close(odd, F.interpolate(own, size=(31, 17), mode="bilinear"))


def test_features_are_standardised_once() -> None:
    plain, moved = network().double(), network().double()
    mean, deviation = torch.arange(5.0).double(), torch.tensor([2.0, 1.0, 3.0, 0.5, 1.0]).double()
    moved.standardise(mean, deviation)
    known = feature_map().double()
    shifted = known * deviation.view(-1, 1, 1) + mean.view(-1, 1, 1)
    with torch.no_grad():
        torch.testing.assert_close(moved(shifted, (24, 32)), plain(known, (24, 32)))
        moved.standardise(mean, torch.zeros(5))  # channels that never change
        assert moved(mean.view(1, 5, 1, 1).expand(1, 5, 3, 4), (24, 32)).isfinite().all()


def test_image_guides_where_it_is_asked_to() -> None:
    guided = network(modulation="image")
    image = torch.rand(1, 3, 24, 32, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        logits = guided(feature_map(), (24, 32), image)
        assert not torch.equal(logits, guided(feature_map(), (24, 32), image.flip(-1)))
        # any other size is brought to that of the decoder's result
        large = F.interpolate(image, scale_factor=3, mode="nearest")
        own = F.interpolate(large, size=(24, 32), mode="bilinear", antialias=True)
        assert torch.equal(guided(feature_map(), (24, 32), large), guided(feature_map(), (24, 32), own))
        assert torch.equal(network()(feature_map(), (24, 32), image), network()(feature_map(), (24, 32)))
    with pytest.raises(ShapeError, match="image must be given to a network with modulation 'image'"):
        guided(feature_map(), (24, 32))
    with pytest.raises(ShapeError, match=r"image must be \(1, 3, H, W\) as the features: got \(2, 3, 24, 32\)"):
        guided(feature_map(), (24, 32), image.expand(2, -1, -1, -1))


def test_bad_sizes_and_features_are_told() -> None:
    with pytest.raises(SpecError, match="patch_px must be a power of two from 1 to 16: got 14"):
        network(14)
    with pytest.raises(SpecError, match="patch_px must be a power of two from 1 to 16: got 32"):
        network(32)
    with pytest.raises(SpecError, match="modulation must be one of features, image: got 'flow'"):
        network(modulation="flow")
    with pytest.raises(ShapeError, match=r"features must be \(B, 5, rows, columns\) for this network: got"):
        network()(torch.zeros(1, 4, 3, 4), (24, 32))
    with pytest.raises(ShapeError, match="features must have 4 axes"):
        network()(torch.zeros(5, 3, 4), (24, 32))
