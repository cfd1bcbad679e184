"""Context loss and its gradients by matrix products over blocks of channels, for any device that torch knows.

A response D * f is written on nine values of the 3x3 window: the differences to the eight neighbours, and the centre,
whose coefficient is then the sum of the taps. A neighbour beyond the border repeats the nearest pixel, one that is
ignored repeats the centre; then a flat window, or the difference kernel at a border, responds with 0 exactly and not
with rounding noise, whose sign would be a wrong sub-gradient.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

CENTRE = 4
# numbers in a plane of a block: nine planes of differences, nine of their gradients and twice J of responses at a time
BLOCK_ON_CPU, BLOCK_ON_GPU = 2**17, 2**20


@dataclass(frozen=True)
class Wanted:
    """Which gradients to compute, in the order of the function's arguments."""

    probabilities: bool
    guide: bool
    kernels: bool
    guide_kernels: bool

    @property
    def weights(self) -> bool:
        """Whether anything behind the weights asks for one."""
        return self.guide or self.guide_kernels


@dataclass(frozen=True)
class Basis:
    """Kernels as rows (J, 9): their taps, and the coefficients on the window's differences."""

    taps: Tensor
    coefficients: Tensor

    @classmethod
    def of(cls, kernels: Tensor) -> Self:
        """From (J, 3, 3). A sum of taps within rounding of 0 is 0."""
        taps = kernels.flatten(1).contiguous()
        total, scale = taps.sum(dim=1), taps.abs().sum(dim=1)
        coefficients = taps.clone()
        coefficients[:, CENTRE] = torch.where(total.abs() <= 4 * torch.finfo(taps.dtype).eps * scale, 0, total)
        return cls(taps, coefficients)


def of_taps(of_coefficients: Tensor) -> Tensor:
    """Gradient on the taps (J, 9) from that on the coefficients: every tap is also part of the sum."""
    of_sum = of_coefficients[:, CENTRE : CENTRE + 1]
    others = torch.arange(9, device=of_coefficients.device) != CENTRE
    return torch.where(others, of_coefficients + of_sum, of_sum)


def weight_exponents(guide: Tensor, basis: Basis, known: Tensor | None) -> Tensor:
    """Minus the sum over the guide's channels (N, C, H, W) of squared responses: (N, J, H, W).

    known: (N, H, W), of the guide's type, 0 where a pixel is ignored and else 1; None: all count.
    """
    taps = basis.coefficients
    batch, _, height, width = guide.shape
    exponents, counted = guide.new_zeros(len(taps), batch, height, width), _counted_neighbours(known)
    for block in _blocks(guide):
        window = _window(guide[:, block], counted)
        exponents -= (taps @ window.flatten(1)).square_().view(len(taps), batch, -1, height, width).sum(dim=2)
    return exponents.transpose(0, 1)


def class_terms(
    probabilities: Tensor, weights: Tensor, basis: Basis, known: Tensor | None, wanted: Wanted
) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
    """Loss, its shares (N, J, H, W) of kernels and places, gradients on probabilities and on coefficients.

    probabilities: (N, C, H, W). weights: (N, J, H, W), 0 where ignored.
    """
    taps = basis.coefficients
    batch, _, height, width = probabilities.shape
    num_kernels, counted = len(taps), _counted_neighbours(known)
    by_kernel = weights.transpose(0, 1).unsqueeze(2)
    magnitudes = torch.zeros_like(weights.transpose(0, 1))
    gradient = torch.empty_like(probabilities) if wanted.probabilities else None
    on_taps = torch.zeros_like(taps) if wanted.kernels else None
    for block in _blocks(probabilities):
        window = _window(probabilities[:, block], counted)
        responses = (taps @ window.flatten(1)).view(num_kernels, batch, -1, height, width)
        magnitudes += responses.abs().sum(dim=2)
        pulls = responses.sign_().mul_(by_kernel).flatten(1)
        if on_taps is not None:
            on_taps += pulls @ window.flatten(1).T
        if gradient is not None:
            gradient[:, block] = _spread((taps.T @ pulls).view_as(window), counted)
    shares = magnitudes.transpose(0, 1) * weights
    return shares.sum(), shares, gradient, on_taps


def guide_terms(
    guide: Tensor, shares: Tensor, basis: Basis, known: Tensor | None, wanted: Wanted
) -> tuple[Tensor | None, Tensor | None]:
    """Gradients on the guide and on the coefficients through the weights.

    shares: (N, J, H, W), of the loss; as the weights are exp(`weight_exponents`), also the gradient on the latter.
    """
    taps = basis.coefficients
    batch, _, height, width = guide.shape
    factors, counted = -2 * shares.transpose(0, 1).unsqueeze(2), _counted_neighbours(known)
    gradient = torch.empty_like(guide) if wanted.guide else None
    on_taps = torch.zeros_like(taps) if wanted.guide_kernels else None
    for block in _blocks(guide):
        window = _window(guide[:, block], counted)
        responses = (taps @ window.flatten(1)).view(len(taps), batch, -1, height, width)
        pulls = responses.mul_(factors).flatten(1)
        if on_taps is not None:
            on_taps += pulls @ window.flatten(1).T
        if gradient is not None:
            gradient[:, block] = _spread((taps.T @ pulls).view_as(window), counted)
    return gradient, on_taps


def _blocks(planes: Tensor) -> Iterator[slice]:
    """Runs of channels of (N, C, H, W)."""
    most = BLOCK_ON_CPU if planes.device.type == "cpu" else BLOCK_ON_GPU
    batch, channels, height, width = planes.shape
    size = max(1, most // (batch * height * width))
    for start in range(0, channels, size):
        yield slice(start, min(start + size, channels))


def _counted_neighbours(known: Tensor | None) -> Tensor | None:
    """1 where a neighbour counts and 0 where it is ignored: (9, N, 1, H, W)."""
    if known is None:
        return None
    height, width = known.shape[-2:]
    padded = F.pad(known[:, None], (1, 1, 1, 1), mode="replicate")
    return torch.stack([padded[..., y : y + height, x : x + width] for y in range(3) for x in range(3)])


def _window(planes: Tensor, counted: Tensor | None) -> Tensor:
    """Differences to the neighbours, and the planes themselves in the middle: (9, N, B, H, W)."""
    height, width = planes.shape[-2:]
    padded = F.pad(planes, (1, 1, 1, 1), mode="replicate")
    window = planes.new_empty(9, *planes.shape)
    for tap in range(9):
        y, x = divmod(tap, 3)
        if tap == CENTRE:
            window[tap] = planes
            continue
        torch.sub(padded[..., y : y + height, x : x + width], planes, out=window[tap])
        if counted is not None:
            window[tap] *= counted[tap]
    return window


def _spread(on_window: Tensor, counted: Tensor | None) -> Tensor:
    """Gradient on the planes (N, B, H, W) from that on their windows: the transpose of `_window`."""
    height, width = on_window.shape[-2:]
    padded = F.pad(on_window[CENTRE], (1, 1, 1, 1))
    centre = padded[..., 1:-1, 1:-1]
    for tap in range(9):
        if tap == CENTRE:
            continue
        y, x = divmod(tap, 3)
        part = on_window[tap] if counted is None else on_window[tap] * counted[tap]
        padded[..., y : y + height, x : x + width] += part
        centre -= part
    # what fell beyond the border belongs to the nearest pixel
    padded[..., 1] += padded[..., 0]
    padded[..., -2] += padded[..., -1]
    padded[..., 1, :] += padded[..., 0, :]
    padded[..., -2, :] += padded[..., -1, :]
    return centre
