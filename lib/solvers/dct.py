"""Cosine transforms from one real FFT, and the Neumann Poisson solve that they make exact. Any device, differentiable.

Source: Makhoul, "A fast cosine transform in one and two dimensions", IEEE Trans. ASSP 28 (1980).
"""

import math
from functools import lru_cache

import torch
from torch import Tensor


def dct(signal: Tensor) -> Tensor:
    """DCT-II along the last axis, X[k] = sum over x of signal[x] cos(pi k (2 x + 1) / (2 n)), not normalised."""
    length = signal.shape[-1]
    reordered = torch.cat([signal[..., ::2], signal[..., 1::2].flip(-1)], dim=-1)
    spectrum = torch.fft.rfft(reordered) * _twiddle(length, signal.dtype, signal.device).conj()
    return torch.cat([spectrum.real, -spectrum.imag[..., 1 : (length + 1) // 2].flip(-1)], dim=-1)


def idct(coefficients: Tensor) -> Tensor:
    """Inverse of `dct` along the last axis."""
    length = coefficients.shape[-1]
    half = length // 2 + 1
    mirrored = torch.cat([torch.zeros_like(coefficients[..., :1]), coefficients[..., 1:].flip(-1)], dim=-1)
    spectrum = torch.complex(coefficients[..., :half].contiguous(), -mirrored[..., :half].contiguous())
    reordered = torch.fft.irfft(spectrum * _twiddle(length, coefficients.dtype, coefficients.device), n=length)
    num_even = (length + 1) // 2
    signal = torch.empty_like(reordered)
    signal[..., ::2] = reordered[..., :num_even]
    signal[..., 1::2] = reordered[..., num_even:].flip(-1)
    return signal


def solve(divergence: Tensor) -> Tensor:
    """Zero-mean solution of the Neumann problem for planes (P, H, W): divide by the Laplacian's eigenvalues."""
    coefficients = dct(dct(divergence).mT).mT
    inverse = _inverse_eigenvalues(*divergence.shape[-2:], divergence.dtype, divergence.device)
    return idct(idct(coefficients * inverse).mT.contiguous()).mT.contiguous()


@lru_cache(maxsize=32)
def _twiddle(length: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    angle = torch.arange(length // 2 + 1, dtype=torch.float64) * (math.pi / (2 * length))
    return torch.polar(torch.ones_like(angle), angle).to(device=device, dtype=dtype.to_complex())


@lru_cache(maxsize=16)
def _inverse_eigenvalues(height: int, width: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """1 / (2 cos(pi j / W) + 2 cos(pi i / H) - 4), with 0 for the mean, (H, W)."""

    def second_difference(length: int) -> Tensor:
        return 2 * torch.cos(torch.arange(length, dtype=torch.float64) * (math.pi / length)) - 2

    eigenvalues = second_difference(height)[:, None] + second_difference(width)[None, :]
    eigenvalues[0, 0] = torch.inf
    return (1 / eigenvalues).to(device=device, dtype=dtype)
