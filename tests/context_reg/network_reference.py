"""Weights by the reference's rule, and how its arrays are read and compared."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

STORED, CASES = "segmentation/segmentation.npz", "segmentation/segmentation.json"


def numbers(rule: dict[str, Any]) -> dict[str, Tensor]:
    """State dict by the reference's rule: mean + std z, z of numpy's RandomState(seed0 + i)."""
    weights = {}
    for entry in rule["tensors"]:
        z = np.random.RandomState(rule["seed0"] + entry["i"]).randn(*entry["shape"]).astype(np.float64)
        z = np.abs(z) if entry["form"] == "abs" else z
        weights[entry["name"]] = torch.from_numpy((entry["mean"] + entry["std"] * z).astype(np.float32))
    return weights


def picture(array: np.ndarray[Any, Any]) -> Tensor:
    return torch.from_numpy(array).permute(2, 0, 1)[None].float() / 255


def assert_within(ours: Tensor, theirs: np.ndarray[Any, Any], share: float) -> None:
    """Largest difference at most this share of the largest value."""
    expected = torch.from_numpy(theirs).double()
    assert ours.shape == expected.shape
    assert (ours.double() - expected).abs().max() <= share * expected.abs().max()
