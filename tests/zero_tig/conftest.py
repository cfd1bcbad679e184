"""Golden Zero-IG and Zero-TIG cases: frames, weights under this project's names, and the given flow as alignment."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from lib.zero_tig import Settings, ZeroIG, ZeroTIG
from lib.zero_tig.temporal import Alignment
from lib.zero_tig.weights import with_statistics

PARTS = {"ld": "denoiser", "ie": "illuminator", "rd": "reflector"}
LAYERS = {"in_conv": "in_conv.0", "block_conv": "conv.0", "block_bn": "conv.1", "out_conv": "out_conv.0"}
QUIRKS = Settings(direction="forward", reference_quirks=True, cut_detection=False)


def own_name(name: str) -> str:
    """illuminator.conv.0.weight of ie.block_conv.weight."""
    part, layer, value = name.split(".")
    return f"{PARTS[part]}.{LAYERS.get(layer, layer)}.{value}"


@pytest.fixture
def tensors(reference: Path) -> Callable[[str], dict[str, Tensor]]:
    """Tensors of a golden safetensors file in this project's names: tensors("zero_ig_proc_weights")."""

    def load(name: str) -> dict[str, Tensor]:
        path = reference / "golden" / "zero_tig" / f"{name}.safetensors"
        if not path.is_file():
            pytest.skip(f"golden/zero_tig/{path.name} is not in the reference material")
        return {own_name(key): value for key, value in load_file(path).items()}

    return load


@pytest.fixture
def frames(golden: Callable[..., object]) -> Callable[[str], list[Tensor]]:
    """The three golden frames (1, 3, H, W), float64, of `ig` or `tig`."""

    def load(kind: str) -> list[Tensor]:
        stored = torch.from_numpy(golden(f"zero_tig/zero_{kind}_inputs.npz")["frames"])  # type: ignore[index]
        return [frame.permute(2, 0, 1)[None].double() / 255 for frame in stored]

    return load


@pytest.fixture
def model(golden: Callable[..., object], tensors: Callable[[str], dict[str, Tensor]]) -> Callable[..., ZeroIG]:
    """Golden model of a kind and weight set, float64, the given flow in place of an estimator."""

    def build(kind: str, weights: str, settings: Settings = QUIRKS) -> ZeroIG:
        if kind == "ig":
            made = ZeroIG(settings)
        else:
            flows = iter(torch.from_numpy(golden("zero_tig/zero_tig_inputs.npz")["flow_low"]).double()[:, None])  # type: ignore[index]
            made = ZeroTIG(settings, align=Alignment(settings, estimator=lambda a, b: next(flows), smallest_side=1))
        made.load_state_dict(with_statistics(tensors(f"zero_{kind}_{weights}_weights")))
        return made.double()

    return build
