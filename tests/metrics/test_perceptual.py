"""LPIPS against the reference values, against torchmetrics on the same trunk, and without its weights."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lib.errors import ShapeError, SpecError, Unavailable
from lib.metrics import LPIPS, LPIPS_HM, Measure, lpips, score_or_reason
from lib.metrics.perceptual import Backbone, PerceptualNetwork, load_heads, load_lpips

SIZES = {"vgg": 16, "alex": 31}


def picture(height: int = 40, width: int = 52, *, seed: int = 0) -> Tensor:
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(seed))


def random_network(backbone: Backbone) -> PerceptualNetwork:
    """Random trunk, true linear layers."""
    network = PerceptualNetwork(backbone)
    generator = torch.Generator().manual_seed(0)
    for parameter in network.trunk.parameters():
        parameter.copy_(torch.randn(parameter.shape, generator=generator) / max(1, parameter[0].numel()) ** 0.5)
    load_heads(network)
    return network


def procedural_network(rule: dict[str, Any], backbone: Backbone) -> PerceptualNetwork:
    """The trunk of the golden data: tensor i is mean + std z, z of RandomState(seed0 + i); names sliceK.layer.kind."""
    weights = {}
    for idx, entry in enumerate(rule["tensors"]):
        z = np.random.RandomState(rule["seed0"] + idx).randn(*entry["shape"])
        numbers = entry["mean"] + entry["std"] * (np.abs(z) if entry["form"] == "abs" else z)
        weights[entry["name"].split(".", 1)[1]] = torch.from_numpy(numbers).float()
    network = PerceptualNetwork(backbone)
    network.trunk.load_state_dict(weights)
    load_heads(network)
    return network


@pytest.mark.parametrize(("backbone", "num_pairs"), [("vgg", 1), ("alex", 6)])
def test_agrees_with_the_reference_values(
    golden: Callable[[str], Any], device: torch.device, backbone: Backbone, num_pairs: int
) -> None:
    rule = golden(f"metrics/lpips_{backbone}_procedural_backbone.json")
    images, results = golden("metrics/images.npz"), golden("metrics/results.json")["pairs"]
    network = procedural_network(rule, backbone).to(device)
    for pair_idx, expected in enumerate(results[:num_pairs]):
        result, reference = (
            torch.from_numpy(images[f"{name}{pair_idx}"]).permute(2, 0, 1).to(device).float() / 255
            for name in ("img", "ref")
        )
        assert lpips(result, reference, backbone=network) == pytest.approx(
            expected[f"lpips_{backbone}_procedural"], 1e-4
        )
        stages = network(result, reference).tolist()
        assert stages == pytest.approx(expected[f"lpips_{backbone}_per_layer"], rel=1e-4)


def test_equals_torchmetrics_on_the_same_trunk() -> None:
    from torchmetrics.functional.image.lpips import _NoTrainLpips

    network = random_network("alex")
    oracle = _NoTrainLpips(net="alex", pnet_rand=True)
    ours = network.trunk.state_dict()
    oracle.net.load_state_dict({name: ours[name.split(".", 1)[1]] for name in oracle.net.state_dict()})
    result, reference = picture(seed=1), picture(seed=2)
    expected = float(oracle(result[None], reference[None], normalize=True))
    assert expected > 0
    assert lpips(result, reference, backbone=network) == pytest.approx(expected, rel=1e-5)


def test_loads_backbones_as_torchvision_publishes_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lib.data.weights import WeightsFile
    from lib.metrics import perceptual

    network = random_network("alex")
    published = {f"features.{name}": value for name, value in network.trunk.state_dict().items()}
    published["classifier.6.bias"] = torch.zeros(1000)
    torch.save(published, tmp_path / "alexnet.pth")
    found = WeightsFile("alexnet", tmp_path / "alexnet.pth", "BSD", "", "here")
    monkeypatch.setattr(perceptual, "weights_file", lambda name: found)
    loaded = load_lpips("alex")
    assert all(
        torch.equal(a, b) for a, b in zip(loaded.state_dict().values(), network.state_dict().values(), strict=True)
    )
    perceptual._network_on.cache_clear()
    result, reference = picture(seed=1), picture(seed=2)
    assert lpips(result, reference, backbone="alex") == lpips(result, reference, backbone=network)
    perceptual._network_on.cache_clear()


def test_equal_pictures_are_at_0_and_it_grows_with_noise() -> None:
    network, image = random_network("alex"), 0.25 + 0.5 * picture()
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(5))
    assert lpips(image, image, backbone=network) == 0
    scores = [lpips(image + sigma * noise, image, backbone=network) for sigma in (0.01, 0.05, 0.2)]
    assert 0 < scores[0] < scores[1] < scores[2]


def test_a_video_scores_the_mean_of_its_frames_and_clips() -> None:
    network, video, reference = random_network("alex"), torch.stack([picture(seed=1), picture(seed=2)]), picture(seed=3)
    scores = [lpips(frame, reference, backbone=network) for frame in video]
    assert lpips(video, reference, backbone=network) == pytest.approx(sum(scores) / 2)
    assert lpips(3 * video - 1, reference, backbone=network) == pytest.approx(
        lpips((3 * video - 1).clamp(0, 1), reference, backbone=network)
    )


@pytest.mark.parametrize("backbone", ["vgg", "alex"])
def test_sizes_down_to_the_smallest_and_black_pictures(backbone: Backbone) -> None:
    network, side = random_network(backbone), SIZES[backbone]
    small = picture(side, side + 2)
    assert np.isfinite(lpips(small, torch.zeros_like(small), backbone=network))
    with pytest.raises(ShapeError, match=f"at least {side} pixels"):
        lpips(small[:, 1:], small[:, 1:], backbone=network)


@pytest.mark.parametrize("backbone", ["vgg", "alex"])
def test_missing_weights_are_a_reason_with_a_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backbone: Backbone
) -> None:
    monkeypatch.setenv("NOCTURNE_OUT", str(tmp_path))
    monkeypatch.setenv("NOCTURNE_WEIGHTS", str(tmp_path))
    name = {"vgg": "vgg16", "alex": "alexnet"}[backbone]
    said = score_or_reason(lambda: lpips(picture(), picture(), backbone=backbone))
    assert isinstance(said, str)
    assert said.startswith(f"not run: the weights {name} ")
    assert said.endswith(f"nocturne weights {name} --download")


def test_without_torchmetrics_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(Unavailable, match="pip install torchmetrics"):
        load_heads(PerceptualNetwork("alex"))


def test_bad_input_is_answered_in_one_sentence() -> None:
    image = picture()
    with pytest.raises(ShapeError, match="share a grid"):
        lpips(image, image[..., 1:])
    with pytest.raises(ShapeError, match="finite"):
        lpips(image * float("nan"), image)
    with pytest.raises(ShapeError, match="RGB"):
        lpips(image[:1], image[:1])
    with pytest.raises(SpecError, match="backbone must be one of vgg, alex: got 'squeeze'"):
        lpips(image, image, backbone="squeeze")


@pytest.mark.parametrize("measure", [LPIPS, LPIPS_HM], ids=lambda it: it.name)
def test_the_protocols_are_those_of_table_1(measure: Measure) -> None:
    from lib.bench.published import load_tables

    cells = [cell for table in load_tables("zero_tig") for cell in table.cells if cell.column == measure.name]
    assert cells
    assert {(cell.unit, cell.better, cell.protocol) for cell in cells} == {
        (measure.unit, measure.better, measure.protocol)
    }
