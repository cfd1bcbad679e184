"""Procedural weights and pictures of the reference material, as tensors."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor


@pytest.fixture(scope="session")
def procedural(golden: Callable[[str], Any]) -> Callable[[str], dict[str, Tensor]]:
    """State dict of a network by its rule: procedural("flow/pwclite_procedural.json"), names as its authors have them.

    Tensor i is mean + std z (|z| for `abs`), z of numpy's RandomState(seed0 + i). Of two names for one tensor both get
    the numbers in force, which are those of the later one. BatchNorm step counters are left out.
    """

    @cache
    def build(name: str) -> dict[str, Tensor]:
        rule = golden(name)
        weights = {entry["name"]: _numbers(rule["seed0"], entry) for entry in rule["tensors"]}
        for entry in rule["tensors"]:
            if "superseded_by" in entry:
                weights[entry["name"]] = weights[rule["tensors"][entry["superseded_by"]]["name"]]
        return weights

    return build


@pytest.fixture(scope="session")
def golden_image(golden: Callable[[str], Any]) -> Callable[[str, str], Tensor]:
    """Picture of an npz file as (1, 3, H, W), 0..1: golden_image("flow/pwclite_procedural.npz", "img1")."""

    def load(name: str, key: str) -> Tensor:
        return torch.from_numpy(golden(name)[key]).permute(2, 0, 1)[None].float() / 255

    return load


def _numbers(seed0: int, entry: dict[str, Any]) -> Tensor:
    z = np.random.RandomState(seed0 + entry["i"]).randn(*entry["shape"])
    if entry["form"] == "abs":
        z = np.abs(z)
    return torch.from_numpy((entry["mean"] + entry["std"] * z).astype(np.float32))
