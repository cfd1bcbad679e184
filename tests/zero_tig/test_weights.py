"""Weights: the authors' names, inflation, what is shipped, and files that do not fit."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from lib.errors import DataMissing, LabError, SpecError
from lib.zero_tig import Settings, ZeroIG, ZeroTIG, inflate, load_weights, save_weights
from lib.zero_tig.weights import own_name


def test_saved_weights_load_to_the_same_model(tmp_path: Path) -> None:
    for model in (ZeroIG(), ZeroTIG()):
        save_weights(model, tmp_path / "w.safetensors")
        loaded = load_weights(tmp_path / "w.safetensors", settings=Settings(underwater=True))
        assert type(loaded) is type(model)
        assert loaded.settings.underwater
        assert all(torch.equal(a, b) for a, b in zip(loaded.parameters(), model.parameters(), strict=True))


@pytest.mark.parametrize(("name", "kind"), [("zero_ig", ZeroIG), ("zero_tig", ZeroTIG)])
def test_shipped_weights_brighten_a_dark_picture(name: str, kind: type[ZeroIG]) -> None:
    model = load_weights(name)
    assert type(model) is kind
    ramp = torch.linspace(0.02, 0.2, 64).repeat(1, 3, 48, 1)
    with torch.no_grad():
        result = model(ramp).reflectance
    assert 0.25 < result.mean() < 0.75  # its aim is 0.5
    assert result[..., 10].mean() < result[..., 32].mean() < result[..., 54].mean()


@pytest.mark.parametrize("name", ["zero_ig_lol", "zero_ig_lsrw_huawei", "zero_ig_lsrw_nikon"])
def test_published_weights_load_strictly(name: str, reference: Path) -> None:
    model = load_weights(reference / "realdata" / "weights" / f"{name}.safetensors")
    assert type(model) is ZeroIG
    assert all(value.abs().min() == 0 or value.abs().min() >= 1e-37 for value in model.parameters())
    assert type(inflate(model)) is ZeroTIG


def test_inflation_copies_the_filters_to_the_last_inputs() -> None:
    single = ZeroIG()
    temporal = inflate(single)
    for ours, theirs, inputs in (
        (temporal.illuminator.in_conv[0], single.illuminator.in_conv[0], 3),
        (temporal.reflector.conv1, single.reflector.conv1, 6),
    ):
        assert torch.equal(ours.weight[:, -inputs:], theirs.weight)
        assert ours.weight[:, :-inputs].abs().max() == 0


def test_names_of_the_authors() -> None:
    assert own_name("enhance.blocks.2.0.weight") == "illuminator.conv.0.weight"
    assert own_name("enhance.out_conv.0.bias") == "illuminator.out_conv.0.bias"
    assert own_name("denoise_1.conv1.weight") == "denoiser.conv1.weight"
    assert own_name("denoise_2.conv3.bias") == "reflector.conv3.bias"


def test_files_that_do_not_fit_are_explained(tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match="no weights file"):
        load_weights(tmp_path / "absent.safetensors")
    with pytest.raises(SpecError, match="the manifest knows"):
        load_weights("zero_xx")
    save_file({"features.0.weight": torch.zeros(3)}, tmp_path / "vgg.safetensors")
    with pytest.raises(LabError, match="must hold weights of Zero-IG or Zero-TIG"):
        load_weights(tmp_path / "vgg.safetensors")
    broken = ZeroIG().state_dict()
    broken.pop("reflector.conv2.weight")
    save_file(broken, tmp_path / "broken.safetensors")
    with pytest.raises(LabError, match=r"reflector\.conv2\.weight"):
        load_weights(tmp_path / "broken.safetensors")
