"""Luma gradients, the mixed gradient field and its divergence (Algorithm 1, steps 1 and 3)."""

import torch
from torch import Tensor

from lib.solvers.poisson import divergence, gradient

# ITU-R BT.601: decisions are taken on luma, so that the three channels switch together
LUMA = (0.299, 0.587, 0.114)


def luma(image: Tensor) -> Tensor:
    """Y = 0.299 R + 0.587 G + 0.114 B of an image (..., 3, H, W), as (..., H, W)."""
    red, green, blue = image.unbind(dim=-3)
    return LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue


def luma_gradient_energy(image: Tensor) -> Tensor:
    """Squared length of the luma's forward gradient of an image (3, H, W), as (H, W), in squared units of the image."""
    return luma_and_gradient_energy(image)[1]


def luma_and_gradient_energy(image: Tensor) -> tuple[Tensor, Tensor]:
    """`luma` and `luma_gradient_energy` of an image (3, H, W), each (H, W)."""
    if compiles(image):
        from lib.context_fusion import kernels

        brightness, energy = torch.empty_like(image[0]), torch.empty_like(image[0])
        coefficients = torch.tensor(LUMA, dtype=image.dtype).numpy()
        kernels.luma_and_gradient_energy(image.contiguous().numpy(), coefficients, brightness.numpy(), energy.numpy())
        return brightness, energy
    brightness = luma(image)
    gx, gy = gradient(brightness)
    return brightness, gx.square() + gy.square()


def mix_gradients(night: Tensor, day: Tensor, importance: Tensor) -> tuple[Tensor, Tensor]:
    """G = W grad N + (1 - W) grad D, each channel with the same W (sec. 2.1).

    night, day: (3, H, W); importance W: (H, W), 0..1. Returns (gx, gy), each (3, H, W).
    """
    (night_x, night_y), (day_x, day_y) = gradient(night), gradient(day)
    return torch.lerp(day_x, night_x, importance), torch.lerp(day_y, night_y, importance)


def mixed_divergence(night: Tensor, day: Tensor, importance: Tensor) -> Tensor:
    """Divergence of `mix_gradients`, (3, H, W); on the CPU in one pass that never stores the field."""
    if compiles(night):
        from lib.context_fusion import kernels

        result = torch.empty_like(night, memory_format=torch.contiguous_format)
        kernels.mixed_divergence(
            night.contiguous().numpy(), day.contiguous().numpy(), importance.contiguous().numpy(), result.numpy()
        )
        return result
    return divergence(*mix_gradients(night, day, importance))


def compiles(image: Tensor) -> bool:
    """Whether the compiled CPU kernels apply: float32 or float64 on the CPU, outside autograd."""
    return image.device.type == "cpu" and image.dtype in (torch.float32, torch.float64) and not image.requires_grad
