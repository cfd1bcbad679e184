"""The dense CRF: the exact mean field, and how near the lattice comes to it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lib.errors import ShapeError, SpecError
from lib.fodvid.crf import NETWORK_STAGE, CrfSettings, dense_crf

GRAPH_STAGE = CrfSettings()
MILD = CrfSettings(smooth_px=1, smooth_weight=3, colour_px=12, colour_levels=13, colour_weight=4)
BY_NAME = {"tokencut": GRAPH_STAGE, "mild": MILD}


def disc() -> tuple[Tensor, Tensor]:
    """A picture (3, 24, 30) of a bright disc on dark ground, and its true mask."""
    y, x = torch.meshgrid(torch.arange(24.0), torch.arange(30.0), indexing="ij")
    mask = (y - 12) ** 2 + (x - 15) ** 2 < 49
    noise = 0.01 * torch.rand(3, 24, 30, generator=torch.Generator().manual_seed(0))
    return torch.where(mask, 0.8, 0.2) + noise, mask


@pytest.mark.parametrize(("name", "iterations"), [("tokencut", 10), ("mild", 1), ("mild", 10)])
def test_exact_mean_field_is_the_reference(name: str, iterations: int, golden: Callable[[str], Any]) -> None:
    held = golden("graphcut/refine.npz")
    image = torch.from_numpy(held["crf_img"]).permute(2, 0, 1) / 255
    mask = torch.from_numpy(held["crf_mask"]).bool()
    settings = replace(BY_NAME[name], iterations=iterations)
    found = dense_crf(image, mask, settings=settings, method="exact").numpy()
    np.testing.assert_allclose(found, held[f"crf_{name}_exact_Q1_it{iterations}"], atol=1e-6)
    if iterations == 10:
        np.testing.assert_array_equal(found > 0.5, held[f"crf_{name}_exact_label"].astype(bool))


@pytest.mark.parametrize(("name", "others"), [("tokencut", 3), ("mild", 1)])
def test_lattice_labels_as_the_exact_one_but_for_single_pixels(
    name: str, others: int, golden: Callable[[str], Any]
) -> None:
    """Of 36 x 64 pixels: five dimensions fill the lattice thinly, so that single probabilities are far off."""
    held = golden("graphcut/refine.npz")
    image = torch.from_numpy(held["crf_img"]).permute(2, 0, 1) / 255
    found = dense_crf(image, torch.from_numpy(held["crf_mask"]).bool(), settings=BY_NAME[name]).numpy()
    exact = held[f"crf_{name}_exact_Q1_it10"]
    assert ((found > 0.5) != (exact > 0.5)).sum() <= others
    assert np.abs(found - exact).mean() < 2e-3


@pytest.mark.parametrize("method", ["exact", "lattice"])
@pytest.mark.parametrize("settings", [GRAPH_STAGE, NETWORK_STAGE], ids=["graph", "network"])
def test_mask_is_drawn_to_the_edges_of_the_picture(method: Any, settings: CrfSettings) -> None:
    image, truth = disc()
    rough = truth.roll((2, -2), (0, 1))
    found = dense_crf(image, rough, settings=settings, method=method) > 0.5
    assert (found != truth).sum() < 0.2 * (rough != truth).sum()


def test_without_iterations_only_the_mask_speaks() -> None:
    image, mask = disc()
    found = dense_crf(image, mask, settings=CrfSettings(iterations=0))
    expected = torch.where(mask, 1 / (1 + np.exp(-1)), 1 - 1 / (1 + np.exp(-1)))
    torch.testing.assert_close(found, expected.float())


def test_labels_are_alike_before_the_model() -> None:
    """The complement's probability is one minus the mask's."""
    image, mask = disc()
    found, other = (dense_crf(image, one, method="exact") for one in (mask, ~mask))
    torch.testing.assert_close(found, 1 - other, rtol=0, atol=1e-6)


def test_device_dtype_and_odd_sizes(device: torch.device) -> None:
    image, mask = (part.to(device) for part in disc())
    found = dense_crf(image, mask)
    assert (found.dtype, found.device.type, found.shape) == (torch.float32, device.type, mask.shape)
    assert dense_crf(image[:, :1, :1], mask[:1, :1]).shape == (1, 1)
    assert dense_crf(image[:, :5, :1], mask[:5, :1], method="exact").shape == (5, 1)
    assert (dense_crf(image, torch.zeros_like(mask)) < 0.5).all()


def test_bad_input() -> None:
    image, mask = disc()
    with pytest.raises(ShapeError, match=r"mask must be bool of the image's size \(24, 30\)"):
        dense_crf(image, mask[1:])
    with pytest.raises(ShapeError, match=r"got torch\.float32"):
        dense_crf(image, mask.float())
    with pytest.raises(SpecError, match="method must be lattice or exact: got 'fast'"):
        dense_crf(image, mask, method="fast")  # type: ignore[arg-type]
    large = torch.zeros(3, 101, 100)
    with pytest.raises(SpecError, match="up to 10000 pixels: got 10100; take the lattice"):
        dense_crf(large, large[0] > 0, method="exact")
