"""SPADE's block and generator: the published numbers, and a slow loop for the shortcut inside enlarged maps."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib.data.checkpoint import fill
from lib.errors import SpecError
from lib.fodvid.spade import SpadeBlock, SpadeDecoder, SpadeNorm

GENERATOR_DOUBLES = ("middle_0", "up_0", "up_1", "up_2", "up_3")
PARTS = {
    "param_free_norm": "norm",
    "mlp_shared.0": "shared",
    "mlp_gamma": "gamma",
    "mlp_beta": "beta",
    "norm_s.": "norm_shortcut.",
    "conv_s.": "shortcut.",
    "weight_orig": "parametrizations.weight.original",
    "weight_u": "parametrizations.weight.0.left",
    "weight_v": "parametrizations.weight.0.right",
    "head_0": "decoder.blocks.head_0",
    "G_middle": "decoder.blocks.middle",
    "up_": "decoder.blocks.up_",
    "fc.": "decoder.trunk.",
    "conv_img.": "decoder.head.",
}


def own_name(name: str) -> str:
    for theirs, ours in PARTS.items():
        name = name.replace(theirs, ours)
    return name.removeprefix("decoder.")


def procedural(rule: dict[str, Any]) -> dict[str, Tensor]:
    """Weights by the rule of the reference material; the two vectors of spectral norm have length one."""
    weights = {}
    for entry in rule["tensors"]:
        z = np.random.RandomState(rule["seed0"] + entry["i"]).randn(*entry["shape"])
        values = entry["mean"] + entry["std"] * (np.abs(z) if entry["form"] == "abs" else z)
        if entry["name"].endswith(("weight_u", "weight_v")):
            values = values / np.linalg.norm(values)
        weights[entry["name"]] = torch.from_numpy(values)
    return weights


def golden_case(
    golden: Callable[[str], Any], name: str, network: nn.Module
) -> tuple[nn.Module, Callable[[str], Tensor]]:
    network = network.double()
    fill(network, procedural(golden(f"spade/{name}_procedural.json")), source=name, rename=own_name)
    stored = golden("spade/spade.npz")
    return network, lambda part: torch.from_numpy(stored[f"{name}_{part}"]).double()


def assert_agrees(ours: Tensor, stored: Tensor) -> None:
    torch.testing.assert_close(ours, stored, rtol=0, atol=1e-4 * stored.abs().max().item())


@pytest.mark.parametrize("name", ["same", "change", "instance", "spectral"])
def test_block_is_the_published_one(name: str, golden: Callable[[str], Any]) -> None:
    case = golden("spade/spade.json")[f"block_{name}"]
    block = SpadeBlock(
        case["fin"],
        case["fout"],
        case["semantic_nc"],
        norm="instance" if name == "instance" else "batch",
        spectral=name == "spectral",
    )
    block, part = golden_case(golden, f"block_{name}", block)
    with torch.no_grad():
        assert_agrees(block.eval()(part("x"), part("map")), part("eval_out"))
        assert_agrees(block.train()(part("x"), part("map")), part("train_out"))


def test_generator_is_the_published_one(golden: Callable[[str], Any]) -> None:
    case = golden("spade/spade.json")["gen"]
    decoder = SpadeDecoder(case["semantic_nc"], case["semantic_nc"], 3, doubled=GENERATOR_DOUBLES, width=case["ngf"])
    decoder, part = golden_case(golden, "gen", decoder)
    guide = part("map")
    start = F.interpolate(guide, size=(case["crop"] // 32,) * 2, mode="nearest")
    with torch.no_grad():
        assert_agrees(decoder.eval()(start, guide).tanh(), part("eval_out"))
        assert_agrees(decoder.train()(start, guide).tanh(), part("train_out"))


@pytest.mark.parametrize("factor", [2, 3, 4, 5, 6, 8, 16])
def test_map_enlarged_by_repeating_equals_the_plain_way(factor: int) -> None:
    torch.manual_seed(0)
    norm = SpadeNorm(3, 4, hidden=6).double()
    for value in norm.parameters():
        nn.init.normal_(value)
    guide = torch.randn(2, 4, 3, 2, dtype=torch.float64)
    size = (3 * factor, 2 * factor)
    plain = F.interpolate(guide, size=size, mode="nearest")
    hidden = F.relu(norm.shared(plain))
    gamma, beta = norm.modulation(guide, size)
    torch.testing.assert_close(gamma, norm.gamma(hidden), rtol=0, atol=1e-12)
    torch.testing.assert_close(beta, norm.beta(hidden), rtol=0, atol=1e-12)


def test_untouched_modulation_is_plain_batch_norm() -> None:
    norm = SpadeNorm(2, 3)
    for layer in (norm.gamma, norm.beta):
        nn.init.zeros_(layer.weight)
    x = torch.randn(2, 2, 4, 5, generator=torch.Generator().manual_seed(0))
    mean, variance = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), keepdim=True, correction=0)
    expected = (x - mean) / (variance + 1e-5).sqrt()
    torch.testing.assert_close(norm(x, torch.rand(2, 3, 8, 10)), expected)


def test_gradient_reaches_weights_and_input() -> None:
    torch.manual_seed(0)
    block = SpadeBlock(3, 2, 2, hidden=3, norm="instance").double()
    x = torch.randn(1, 3, 4, 3, dtype=torch.float64, requires_grad=True)
    guide = torch.randn(1, 2, 2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(block, (x, guide), atol=1e-6)


def test_unknown_settings_are_refused() -> None:
    with pytest.raises(SpecError, match="norm must be one of batch, instance: got 'layer'"):
        SpadeNorm(2, 2, norm="layer")  # type: ignore[arg-type]
    with pytest.raises(SpecError, match=r"doubled must name blocks out of head_0.*got up_4"):
        SpadeDecoder(2, 2, 1, doubled=["up_4"])
    with pytest.raises(SpecError, match="width must be at least 1: got 0"):
        SpadeDecoder(2, 2, 1, doubled=[], width=0)
