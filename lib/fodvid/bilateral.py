"""The bilateral solver (Barron and Poole 2016) on a simplified grid: a mask made smooth where its frame is."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array, diags_array
from torch import Tensor

from lib.checks import check_image
from lib.errors import ShapeError

Array = NDArray[np.float64]
# JPEG's colours: luma, and two chromas around 128
RGB_TO_YUV = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
YUV_OFFSET = np.array([0.0, 128.0, 128.0])


@dataclass(frozen=True)
class BilateralSettings:
    """Cells of the grid and the system's constants; defaults: TokenCut's."""

    spatial_px: float = 16.0
    luma_levels: float = 16.0  # of 0..255
    chroma_levels: float = 8.0
    smoothness: float = 256.0
    diagonal_floor: float = 1e-5  # of the preconditioner
    iterations: int = 25
    tolerance: float = 1e-5
    confidence: float = 0.999  # of the mask, everywhere
    balancing_steps: int = 10
    threshold: float = 0.5


@dataclass(frozen=True, eq=False)
class BilateralResult:
    """soft: (H, W) float64, about 0..1; mask: (H, W) bool, above the threshold, holes filled, largest component."""

    soft: Tensor
    mask: Tensor


def bilateral_solve(image: Tensor, mask: Tensor, *, settings: BilateralSettings | None = None) -> BilateralResult:
    """The smoothest field that stays near a mask, where smooth means over pixels of like place and colour.

    image: (3, H, W), RGB, 0..1. mask: (H, W) bool. The system lives on the cells of a grid over place and colour and is
    solved by preconditioned conjugate gradients, not to the end, as the authors' code does. Raises ShapeError.
    """
    from scipy import ndimage
    from scipy.sparse.linalg import cg

    settings = settings or BilateralSettings()
    check_image("image", image)
    if mask.dtype != torch.bool or mask.shape != image.shape[1:]:
        raise ShapeError(
            f"mask must be bool of the image's size {tuple(image.shape[1:])}: got {mask.dtype} {tuple(mask.shape)}"
        )
    splat, blur = _grid(image, settings)
    balance, mass = _balanced(splat, blur, settings.balancing_steps)
    target = mask.cpu().numpy().ravel().astype(np.float64)
    weight = splat @ np.full(len(target), settings.confidence)
    data = splat @ (settings.confidence * target)
    scaling = diags_array(balance)
    system = settings.smoothness * (diags_array(mass) - scaling @ blur @ scaling) + diags_array(weight)
    preconditioner = diags_array(1 / np.maximum(system.diagonal(), settings.diagonal_floor))
    solved, _ = cg(
        system, data, x0=data / weight, M=preconditioner, maxiter=settings.iterations, rtol=settings.tolerance
    )
    soft = (splat.T @ solved).reshape(mask.shape)
    filled = ndimage.binary_fill_holes(soft > settings.threshold)
    labels, _ = ndimage.label(filled)
    sizes = np.bincount(labels.ravel())[1:]
    largest = labels == sizes.argmax() + 1 if len(sizes) else filled
    return BilateralResult(torch.from_numpy(soft).to(mask.device), torch.from_numpy(largest).to(mask.device))


def _grid(image: Tensor, settings: BilateralSettings) -> tuple[csr_array, csr_array]:
    """Matrix that sums pixels into the occupied cells, and the blur of a cell with its neighbours in 5 dimensions."""
    levels = np.round(image.detach().cpu().double().numpy() * 255).reshape(3, -1).T
    y, x = np.mgrid[: image.shape[1], : image.shape[2]].reshape(2, -1)
    colours = levels @ RGB_TO_YUV.T + YUV_OFFSET
    cell = [settings.spatial_px] * 2 + [settings.luma_levels] + [settings.chroma_levels] * 2
    coordinates = (np.column_stack([x, y, colours]) / np.array(cell)).astype(np.int64)
    spans = coordinates.max(axis=0) + 3  # one free cell on either side
    strides = np.concatenate([[1], np.cumprod(spans[:-1])])
    keys, places = np.unique((coordinates + 1) @ strides, return_inverse=True)
    count = len(keys)
    splat = csr_array((np.ones(len(places)), (places, np.arange(len(places)))), shape=(count, len(places)))
    rows, columns = [], []
    for stride in (*strides, *-strides):
        found = np.searchsorted(keys, keys + stride).clip(max=count - 1)
        is_there = keys[found] == keys + stride
        rows.append(np.flatnonzero(is_there))
        columns.append(found[is_there])
    place = (np.concatenate(rows), np.concatenate(columns))
    neighbours = csr_array((np.ones(len(place[0])), place), shape=(count, count))
    return splat, csr_array(neighbours + diags_array(np.full(count, 2.0 * len(strides))))


def _balanced(splat: csr_array, blur: csr_array, steps: int) -> tuple[Array, Array]:
    """Scaling n that makes n blur n nearly doubly stochastic on the cells' masses, and those masses' row sums."""
    mass = np.asarray(splat.sum(axis=1)).ravel()
    balance = np.ones(len(mass))
    for _ in range(steps):
        balance = np.sqrt(balance * mass / (blur @ balance))
    return balance, balance * (blur @ balance)
