"""The bilateral solver: the reference's field and mask, edges of the picture, ends of the range."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage

from lib.errors import ShapeError
from lib.fodvid.bilateral import BilateralSettings, bilateral_solve


def edge() -> tuple[torch.Tensor, torch.Tensor]:
    """A picture (3, 33, 47), dark on the left, and the mask of its left part."""
    mask = torch.zeros(33, 47, dtype=torch.bool)
    mask[:, :20] = True
    return torch.where(mask, 0.2, 0.8).expand(3, -1, -1).clone(), mask


@pytest.mark.parametrize("cells", [(16, 16, 8), (24, 4, 4), (10, 4, 4)])
def test_field_and_mask_are_the_reference(cells: tuple[int, int, int], golden: Callable[[str], Any]) -> None:
    held = golden("graphcut/refine.npz")
    image = torch.from_numpy(held["img"]).permute(2, 0, 1) / 255
    found = bilateral_solve(image, torch.from_numpy(held["coarse"]).bool(), settings=BilateralSettings(*cells))
    name = "bs_{}_{}_{}".format(*cells)
    np.testing.assert_allclose(found.soft.numpy(), held[f"{name}_soft"], atol=1e-9)
    expected = held[f"{name}_hard"].astype(bool)
    # with the widest cells two components of one pixel are left: either is a largest one
    labels, _ = ndimage.label(ndimage.binary_fill_holes(held[f"{name}_soft"] > 0.5))
    sizes = np.bincount(labels.ravel())[1:]
    tied = [labels == idx + 1 for idx in np.flatnonzero(sizes == sizes.max())]
    assert any(np.array_equal(expected, one) for one in tied)
    assert any(np.array_equal(found.mask.numpy(), one) for one in tied)
    assert len(tied) == (2 if cells == (16, 16, 8) else 1)


def test_stray_pixels_go_and_holes_close() -> None:
    image, mask = edge()
    spoilt = mask.clone()
    spoilt[5:9, 4:8] = False
    spoilt[20:23, 30:33] = True
    assert torch.equal(bilateral_solve(image, spoilt).mask, mask)


def test_mask_moves_to_the_edge_of_the_picture() -> None:
    image, mask = edge()
    rough = mask.roll(3, 1)
    rough[:, :3] = True
    assert (rough != mask).any()
    assert torch.equal(bilateral_solve(image, rough).mask, mask)


def test_nothing_and_everything_stay(device: torch.device) -> None:
    image, mask = (part.to(device) for part in edge())
    nothing = bilateral_solve(image, torch.zeros_like(mask))
    assert not nothing.mask.any()
    assert nothing.soft.abs().max() < 1e-6
    everything = bilateral_solve(image, torch.ones_like(mask))
    assert everything.mask.all()
    assert (everything.soft - 1).abs().max() < 1e-3
    assert everything.mask.device.type == device.type


def test_one_pixel_and_one_row() -> None:
    image, mask = edge()
    assert bilateral_solve(image[:, :1, :1], mask[:1, :1]).mask.tolist() == [[True]]
    assert torch.equal(bilateral_solve(image[:, :1], mask[:1]).mask, mask[:1])


def test_bad_input() -> None:
    image, mask = edge()
    with pytest.raises(
        ShapeError, match=r"mask must be bool of the image's size \(33, 47\): got torch.bool \(32, 47\)"
    ):
        bilateral_solve(image, mask[1:])
    with pytest.raises(ShapeError, match=r"within 0\.\.1"):
        bilateral_solve(255 * image, mask)
