"""Closed-form colour fit T = c1 I' + c2, channel by channel (sec. 2.3)."""

import torch
from torch import Tensor

from lib.checks import check_planes, check_same_grid
from lib.context_fusion.gradients import compiles


def fit_colour(reconstruction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Least-squares (c1, c2) of each plane, shape (...) for planes (..., H, W), in their dtype.

    c1 = cov(I', T) / var(I'), c2 = mean(T) - c1 mean(I').
    Choice: c1 = 1 where I' is flat or where the slope is not positive, which would turn the picture into its negative.
    Raises ShapeError when the two grids differ.
    """
    check_planes("reconstruction", reconstruction)
    check_planes("target", target)
    check_same_grid("reconstruction", reconstruction, "target", target)
    mean, target_mean, variance, covariance = _moments(reconstruction, target)
    slope = covariance / variance
    slope = torch.where((variance > 0) & (slope > 0), slope, torch.ones_like(slope))
    return slope.to(target.dtype), (target_mean - slope * mean).to(target.dtype)


def fit_offset(reconstruction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """(1, c2): only the constant that the Poisson problem leaves open, so that the means agree."""
    offset = target.mean(dim=(-2, -1)) - reconstruction.mean(dim=(-2, -1))
    return torch.ones_like(offset), offset


def apply_colour(reconstruction: Tensor, c1: Tensor, c2: Tensor, *, overwrite: bool = False) -> Tensor:
    """c1 I' + c2, clipped to 0..1; with `overwrite` the result may take the place of the reconstruction."""
    if compiles(reconstruction):
        from lib.context_fusion import kernels

        planes = reconstruction.contiguous()
        result = planes if overwrite else torch.empty_like(planes)
        slopes, offsets = (number.reshape(-1).to(result.dtype).numpy() for number in (c1, c2))
        kernels.apply_colour(_pixels(planes).numpy(), slopes, offsets, _pixels(result).numpy())
        return result
    return torch.addcmul(c2[..., None, None], c1[..., None, None], reconstruction).clamp_(0, 1)


def _moments(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Means of both, variance of the first and covariance, each plane apart, in float64."""
    if compiles(first):
        from lib.context_fusion import kernels

        planes, targets = _pixels(first).numpy(), _pixels(second).numpy()
        moments = [kernels.moments(plane, target) for plane, target in zip(planes, targets, strict=True)]
        mean, second_mean, variance, covariance = torch.tensor(moments, dtype=torch.float64).T
        shape = first.shape[:-2]
        return mean.reshape(shape), second_mean.reshape(shape), variance.reshape(shape), covariance.reshape(shape)
    first, second = first.double(), second.double()
    mean, second_mean = first.mean(dim=(-2, -1)), second.mean(dim=(-2, -1))
    centred = first - mean[..., None, None]
    covariance = (centred * (second - second_mean[..., None, None])).mean(dim=(-2, -1))
    return mean, second_mean, centred.square().mean(dim=(-2, -1)), covariance


def _pixels(planes: Tensor) -> Tensor:
    """Planes (..., H, W) as rows (P, H W) without gaps."""
    return planes.contiguous().view(-1, planes.shape[-2:].numel())
