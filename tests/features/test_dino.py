"""DINO's keys, tokens and positions against the reference transformer with the same weights; the files it takes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lib.data.checkpoint import fill
from lib.errors import DataMissing, LabError, SpecError, Unavailable
from lib.features import FeatureExtractor, load_features
from lib.features.dino import DINO, FORMS

TOLERANCE = 2e-4  # of the reference data, float32


@pytest.fixture(scope="module")
def small16(small16_file: Path) -> FeatureExtractor:
    return load_features("dino_vits16", weights=small16_file)


def golden_picture(golden: Callable[[str], Any], case: str) -> Tensor:
    return torch.from_numpy(golden("graphcut/vit_keys.npz")[f"{case}_img"]).permute(2, 0, 1)[None].float() / 255


@pytest.mark.parametrize("case", ["vit_small16_160x288", "vit_small16_224x224"])
def test_keys_and_positions_of_the_reference(
    golden: Callable[[str], Any], small16: FeatureExtractor, case: str
) -> None:
    data = golden("graphcut/vit_keys.npz")
    found = small16(golden_picture(golden, case))
    assert list(found.grid) == golden("graphcut/vit_keys.json")[case]["grid"]
    assert np.abs(found.tokens[0].numpy() - data[f"{case}_keys"][1:]).max() < TOLERANCE
    positions = small16.network.positions(*found.grid)[0, :, :3]
    assert np.abs(positions.numpy() - data[f"{case}_pos_interp_first3dims"]).max() < 1e-5


def test_final_tokens_of_the_reference(golden: Callable[[str], Any], small16: FeatureExtractor) -> None:
    case = "vit_small16_160x288"
    network = DINO("dino_vits16", "token").eval()
    fill(network.trunk, small16.network.trunk.state_dict(), source="small16")
    with torch.no_grad():
        tokens = network(golden_picture(golden, case))
    expected = golden("graphcut/vit_keys.npz")[f"{case}_final_tokens_first8"]
    assert np.abs(tokens[0, :7].numpy() - expected[1:]).max() < TOLERANCE


@pytest.mark.parametrize(("name", "case"), [("dino_vits8", "vit_small8_96x160"), ("dino_vitb16", "vit_base16_112x176")])
def test_keys_of_the_other_backbones(
    golden: Callable[[str], Any], procedural_state: Callable[[str], dict[str, Tensor]], name: str, case: str
) -> None:
    with torch.device("meta"):  # built without numbers, which the file's replace
        network = DINO(name, "key").eval()
    state = procedural_state(case.rpartition("_")[0])
    network.trunk.load_state_dict(state, strict=True, assign=True)
    for part in ("mean", "std"):
        setattr(network, part, getattr(DINO("dino_vits16", "key"), part))
    with torch.no_grad():
        keys = network(golden_picture(golden, case))
    assert np.abs(keys[0].numpy() - golden("graphcut/vit_keys.npz")[f"{case}_keys"][1:]).max() < TOLERANCE


@pytest.mark.parametrize(
    ("name", "dim", "side"),
    [("dino_vits16", 384, 14), ("dino_vits8", 384, 28), ("dino_vitb16", 768, 14), ("dino_vitb8", 768, 28)],
)
def test_names_and_shapes_are_the_originals(name: str, dim: int, side: int) -> None:
    with torch.device("meta"):
        network = DINO(name, "key")
    shapes = {key: tuple(value.shape) for key, value in network.trunk.state_dict().items()}
    expected = {
        "cls_token": (1, 1, dim),
        "pos_embed": (1, 1 + side * side, dim),
        "patch_embed.proj.weight": (dim, 3, 224 // side, 224 // side),
        "patch_embed.proj.bias": (dim,),
        "norm.weight": (dim,),
        "norm.bias": (dim,),
    }
    for block in range(12):
        for layer, rows, columns in (("attn.qkv", 3, 1), ("attn.proj", 1, 1), ("mlp.fc1", 4, 1), ("mlp.fc2", 1, 4)):
            expected[f"blocks.{block}.{layer}.weight"] = (rows * dim, columns * dim)
            expected[f"blocks.{block}.{layer}.bias"] = (rows * dim,)
        for layer in ("norm1", "norm2"):
            expected[f"blocks.{block}.{layer}.weight"] = expected[f"blocks.{block}.{layer}.bias"] = (dim,)
    assert shapes == expected
    assert {network.dim, network.patch_px} == {dim, 224 // side}
    heads, eps = network.trunk.blocks[0].attn.num_heads, network.trunk.norm.eps
    assert (heads, eps) == (dim // 64, 1e-6)


def test_prefixes_and_heads_of_training_files() -> None:
    assert DINO.rename("backbone.blocks.0.norm1.bias") == "blocks.0.norm1.bias"
    assert DINO.rename("cls_token") == "cls_token"
    assert DINO.rename("head.mlp.0.weight") is None


def test_a_file_of_another_backbone_is_explained(small16_file: Path, tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"wrong shape: .*pos_embed.*patch_embed\.proj\.weight \(384, 3, 16, 16\)"):
        load_features("dino_vits8", weights=small16_file)
    torch.save({"fc.weight": torch.zeros(2, 2)}, tmp_path / "other.pth")
    with pytest.raises(LabError, match=r"missing: cls_token, .*unexpected: fc\.weight"):
        load_features("dino_vits16", weights=tmp_path / "other.pth")
    with pytest.raises(DataMissing, match="no weights file"):
        load_features("dino_vits16", weights=tmp_path / "none.pth")


@pytest.mark.parametrize("name", sorted(FORMS))
def test_absent_weights_name_the_file_and_the_cure(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOCTURNE_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("NOCTURNE_OUT", str(tmp_path / "out"))
    monkeypatch.setattr("lib.features.extractor._build", lambda *_: torch.nn.Identity())
    with pytest.raises(Unavailable, match=rf"{name} .*pretrain\.pth.*(NOCTURNE_WEIGHTS|--download)"):
        load_features(name)  # type: ignore[arg-type]


def test_options_that_do_not_fit() -> None:
    with pytest.raises(SpecError, match="patch size in its name"):
        load_features("dino_vits16", patch_px=16)
    with pytest.raises(SpecError, match="facet must be key or token"):
        load_features("dino_vits16", facet="query")  # type: ignore[arg-type]
    with pytest.raises(SpecError, match="features must be one of"):
        load_features("resnet")  # type: ignore[arg-type]
