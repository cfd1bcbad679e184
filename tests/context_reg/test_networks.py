"""FCN-32s and SegNet: the published geometry, the reference's outputs, any size, and VGG-16 as a start."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

from lib.context_reg.fcn import FCN32s, FusedFCN32s, bilinear_kernel
from lib.context_reg.segnet import SegNet, recompute_statistics
from lib.context_reg.vgg import TORCHVISION, narrowed, read_trunk
from lib.errors import DataMissing, LabError, ShapeError, SpecError
from tests.context_reg.network_reference import CASES, STORED, assert_within, numbers, picture


@torch.no_grad()
def test_segnet_agrees_with_the_reference(golden: Callable[[str], Any]) -> None:
    stored, case = golden(STORED), golden(CASES)["segnet"]
    network = SegNet(40).eval()
    missing = network.load_state_dict(numbers(golden("segmentation/segnet_procedural.json")), strict=False)
    assert not missing.unexpected_keys
    assert all(name.endswith("num_batches_tracked") for name in missing.missing_keys)
    # the reference's input is BGR / 128 - 1
    prepared = picture(stored["segnet_rgb"]).flip(1) * 255 / 128 - 1
    bottleneck, pooled = network.encode(prepared)
    sizes = [list(one.size) for one in pooled] + [list(bottleneck.shape[-2:])]
    assert sizes == case["pool_sizes"]
    assert_within(bottleneck[0, :16], stored["segnet_bottleneck_first16"], 1e-3)
    assert_within(network.decode(bottleneck, pooled)[0], stored["segnet_logits"], 1e-3)


@torch.no_grad()
def test_fcn_sizes_follow_the_official_geometry(golden: Callable[[str], Any]) -> None:
    network = FCN32s(2, width=1).eval()
    for layers in golden(CASES)["fcn32s_sizes"].values():
        size = {name: (height, width) for name, height, width in layers}
        found: dict[str, tuple[int, ...]] = {}
        hook = network.conv1_1.register_forward_hook(lambda _m, _i, out, to=found: to.update(conv1_1=out.shape[-2:]))
        image = torch.rand(1, 3, *size["input"])
        prepared = network.input(image)
        assert tuple(network.pool5(prepared).shape[-2:]) == size["pool5"]
        assert tuple(found["conv1_1"]) == size["conv1_1"]
        scores = network.score(prepared)
        assert tuple(scores.shape[-2:]) == size["fc6_fc7_score"]
        assert tuple(network.upscore(scores).shape[-2:]) == size["upscore"]
        assert network(image).shape == (1, 2, *size["input"])
        hook.remove()


def test_bilinear_kernels(golden: Callable[[str], Any]) -> None:
    for side in (64, 16, 4):
        stored = golden(STORED)[f"bilinear_kernel_{side}"]
        np.testing.assert_allclose(bilinear_kernel(side).numpy(), stored, rtol=0, atol=1e-15)


@pytest.mark.parametrize("padding", ["input", "head"])
def test_fcn_up_sampling_has_no_shift(padding: str) -> None:
    """A ramp of coarse scores stays a ramp whose value at a cell's centre is the cell's."""
    network = FCN32s(1, width=1, padding=padding)
    fine = network.upscore(torch.arange(6.0).expand(1, 1, 6, 6))
    crop = 19 if padding == "input" else 16
    row = network.cropped(fine, (128, 128))[0, 0, 64]
    # pixel x lies at x + crop on the fine grid, where cell i has its centre at 32 i + 31.5
    expected = (torch.arange(128.0) + crop - 31.5) / 32
    inner = slice(16, 112)
    torch.testing.assert_close(row[inner], expected[inner], rtol=0, atol=1e-5)


@pytest.mark.parametrize("host", [FCN32s, SegNet])
@pytest.mark.parametrize("size", [(1, 1), (7, 33), (45, 61), (64, 96)])
def test_any_size_on_any_device(host: type[nn.Module], size: tuple[int, int], device: torch.device) -> None:
    network = host(3, width=2).to(device).eval()
    assert network(torch.rand(2, 3, *size, device=device)).shape == (2, 3, *size)


def test_head_padding_takes_any_size() -> None:
    network = FCN32s(3, width=2, padding="head").eval()
    for size in ((1, 1), (7, 33), (45, 61)):
        assert network(torch.rand(1, 3, *size)).shape == (1, 3, *size)


def test_a_new_fcn_scores_nothing_and_learns_all_but_the_up_sampling() -> None:
    network = FCN32s(4, width=2)
    scores = network(torch.rand(1, 3, 40, 40))
    assert scores.abs().max() == 0
    assert "up" not in dict(network.named_parameters())
    F.cross_entropy(scores, torch.ones(1, 40, 40, dtype=torch.long)).backward()
    assert network.score_fr.bias.grad.abs().max() > 0


def test_a_new_segnet_starts_as_he_says() -> None:
    network = SegNet(4, width=16)
    assert network.enc4_2.conv.weight.std().item() == pytest.approx((2 / (9 * 128)) ** 0.5, rel=0.03)
    assert set(network.enc4_2.bn.weight.tolist()) == {1.0}
    assert network.enc4_2.bn.bias.tolist() == pytest.approx([0.001] * 128)
    activations, _ = network.encode(network.input(torch.rand(2, 3, 64, 64)))
    assert activations.isfinite().all()


def test_late_fusion_is_the_mean_of_both_score_maps() -> None:
    torch.manual_seed(0)
    network = FusedFCN32s(3, width=2).eval()
    for tower in (network.rgb, network.hha):
        nn.init.normal_(tower.score_fr.weight)
    both = torch.rand(1, 6, 40, 50)
    expected = (network.rgb(both[:, :3]) + network.hha(both[:, 3:])) / 2
    torch.testing.assert_close(network(both), expected)
    with pytest.raises(ShapeError, match="6"):
        network(both[:, :3])


def test_inputs_keep_their_order() -> None:
    image = torch.tensor([1.0, 0.5, 0.0]).view(1, 3, 1, 1)
    rgb = FCN32s(2, width=1).input(image).flatten().tolist()
    assert rgb == pytest.approx([0 - 116.190, 127.5 - 97.203, 255 - 92.318], abs=1e-4)
    hha = FCN32s(2, width=1, modality="hha").input(image).flatten().tolist()
    assert hha == pytest.approx([255 - 132.431, 127.5 - 94.076, 0 - 118.477], abs=1e-4)


@pytest.fixture(scope="module")
def vgg(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, nn.Module]:
    """A file of torchvision's VGG-16 trunk with random weights, and the trunk."""
    from torchvision.models import vgg16

    torch.manual_seed(0)
    trunk = vgg16(weights=None).features
    path = tmp_path_factory.mktemp("vgg") / "vgg16.safetensors"
    save_file({f"features.{name}": value for name, value in trunk.state_dict().items()}, path)
    return path, trunk


@torch.no_grad()
def test_torchvisions_weights_give_torchvisions_features(vgg: tuple[Path, nn.Module]) -> None:
    path, theirs = vgg
    network = FCN32s(2, padding="head").eval()
    network.start_from(read_trunk(path))
    image = torch.rand(1, 3, 64, 64)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    # without the border, where the zeros around the picture mean another grey
    ours = F.relu(network.conv1_1(network.input(image)))[..., 1:-1, 1:-1]
    torch.testing.assert_close(ours, theirs[:2]((image - mean) / std)[..., 1:-1, 1:-1], rtol=1e-3, atol=1e-4)
    for place, idx in TORCHVISION.items():
        assert place == "1_1" or torch.equal(network.get_submodule(f"conv{place}").weight, theirs[idx].weight)


def test_a_whole_vgg_gives_fc6_and_fc7(vgg: tuple[Path, nn.Module], tmp_path: Path) -> None:
    state = {f"features.{name}": value for name, value in vgg[1].state_dict().items()}
    # narrow stand-ins for the two large matrices: their reading doesn't depend on their rows
    fc6, fc7 = torch.rand(3, 512 * 49), torch.rand(5, 4096)
    state |= {"classifier.0.weight": fc6, "classifier.0.bias": torch.rand(3)}
    state |= {"classifier.3.weight": fc7, "classifier.3.bias": torch.rand(5)}
    torch.save(state, tmp_path / "whole.pth")
    trunk = read_trunk(tmp_path / "whole.pth")
    assert trunk.weight["fc6"].shape == (3, 512, 7, 7)
    assert torch.equal(trunk.weight["fc6"][1].flatten(), fc6[1])
    assert trunk.weight["fc7"].shape == (5, 4096, 1, 1)


def test_the_trunk_of_hed_starts_both_hosts(reference: Path) -> None:
    path = reference / "realdata" / "weights" / "vgg16_hed_fp16.safetensors"
    trunk = read_trunk(path)
    for network in (FCN32s(11, width=8), SegNet(11, width=8)):
        before = {name: value.clone() for name, value in network.state_dict().items()}
        network.start_from(trunk)
        changed = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
        assert sum(name.endswith("weight") for name in changed) == len(TORCHVISION)
        assert not any(name.startswith(("fc", "score", "dec")) for name in changed)


def test_narrowing_keeps_each_filters_norm_and_the_heaviest_channels(vgg: tuple[Path, nn.Module]) -> None:
    trunk = read_trunk(vgg[0])
    narrow = narrowed(trunk, 16)
    outgoing = trunk.weight["1_2"].transpose(0, 1).flatten(1).norm(dim=1)
    kept = sorted(outgoing.topk(16).indices.tolist())
    torch.testing.assert_close(narrow.bias["1_1"], trunk.bias["1_1"][kept])
    torch.testing.assert_close(narrow.weight["1_1"], trunk.weight["1_1"][kept])  # all three inputs stay
    next_kept = sorted(trunk.weight["2_1"].transpose(0, 1).flatten(1).norm(dim=1).topk(16).indices.tolist())
    ours, whole = narrow.weight["1_2"], trunk.weight["1_2"][next_kept]
    torch.testing.assert_close(ours.flatten(1).norm(dim=1), whole.flatten(1).norm(dim=1))
    direction = whole[:, kept]
    torch.testing.assert_close(F.normalize(ours.flatten(1), dim=1), F.normalize(direction.flatten(1), dim=1))
    assert "fc6" not in narrow.weight
    assert narrowed(trunk, 64) is trunk
    with pytest.raises(SpecError, match="64"):
        narrowed(trunk, 65)


def test_statistics_are_the_averages_of_the_batches() -> None:
    torch.manual_seed(0)
    network = SegNet(3, width=2).train()
    batches = [torch.rand(2, 3, 32, 32), torch.rand(3, 3, 40, 32)]
    firsts = [network.enc1_1.conv(network.input(batch)).transpose(0, 1).flatten(1) for batch in batches]
    weights = {name: value.clone() for name, value in network.named_parameters()}
    recompute_statistics(network, batches)
    norm = network.enc1_1.bn
    torch.testing.assert_close(norm.running_mean, torch.stack([one.mean(1) for one in firsts]).mean(0))
    torch.testing.assert_close(norm.running_var, torch.stack([one.var(1) for one in firsts]).mean(0))
    assert network.training
    assert norm.momentum == 0.1
    assert all(torch.equal(value, weights[name]) for name, value in network.named_parameters())
    with pytest.raises(DataMissing, match="batch"):
        recompute_statistics(network, [])


@pytest.mark.parametrize("make", [FCN32s, SegNet])
def test_bad_input_gets_one_sentence(make: type[nn.Module]) -> None:
    with pytest.raises(SpecError, match="width"):
        make(3, width=0)
    with pytest.raises(SpecError, match="num_classes"):
        make(0)
    with pytest.raises(SpecError, match="modality"):
        make(3, width=1, modality="depth")
    network = make(3, width=1)
    with pytest.raises(ShapeError, match="255"):
        network(torch.zeros(1, 3, 40, 40, dtype=torch.uint8))
    with pytest.raises(ShapeError, match="3"):
        network(torch.rand(1, 4, 40, 40))


def test_no_vgg_is_said(tmp_path: Path) -> None:
    save_file({"features.0.weight": torch.rand(64, 3, 3, 3)}, tmp_path / "other.safetensors")
    with pytest.raises(LabError, match=r"features\.2"):
        read_trunk(tmp_path / "other.safetensors")
    with pytest.raises(SpecError, match="padding"):
        FCN32s(3, width=1, padding="none")
