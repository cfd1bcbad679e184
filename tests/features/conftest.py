"""A small picture, the reference's procedural weights as a file of the original DINO, and the installed stand-in."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lib.features import FeatureExtractor, load_features


@pytest.fixture(scope="session")
def picture() -> Tensor:
    """(1, 3, 64, 96), 0..1, soft shapes."""
    coarse = torch.rand(1, 3, 4, 6, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.interpolate(coarse, size=(64, 96), mode="bilinear")


@pytest.fixture(scope="session")
def lite0() -> FeatureExtractor:
    return load_features("efficientnet_lite0")


@pytest.fixture(scope="session")
def procedural_state(golden: Callable[[str], Any]) -> Callable[[str], dict[str, Tensor]]:
    """State dict in the original's names: procedural_state("vit_small16"); tensor i is mean + std z."""

    def numbers(seed0: int, entry: dict[str, Any]) -> Tensor:
        z = np.random.RandomState(seed0 + entry["i"]).randn(*entry["shape"])
        return torch.from_numpy((entry["mean"] + entry["std"] * z).astype(np.float32))

    def build(name: str) -> dict[str, Tensor]:
        rule = golden(f"graphcut/vit_{name}_procedural.json")
        return {entry["name"]: numbers(rule["seed0"], entry) for entry in rule["tensors"]}

    return build


@pytest.fixture(scope="session")
def small16_file(
    procedural_state: Callable[[str], dict[str, Tensor]], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A training checkpoint's form: keys under `backbone.`, with a projection head."""
    state = {f"backbone.{name}": value for name, value in procedural_state("vit_small16").items()}
    path = tmp_path_factory.mktemp("dino") / "dino_small16.pth"
    torch.save({**state, "head.last_layer.weight_v": torch.zeros(3)}, path)
    return path
