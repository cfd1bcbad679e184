"""3x3 convolution with zero padding, as all three networks use it, in the form that is fastest where it runs."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

MIN_CHANNELS = 32  # on both sides: with fewer the transforms cost more than the products they save


class Conv3x3(nn.Conv2d):
    """`nn.Conv2d` of 3x3 taps that keeps the size: (B, in, H, W) to (B, out, H, W).

    Choice: on one thread of the CPU wide layers go through Winograd's F(4x4, 3x3) (`lib.zero_tig.winograd`, relative
    error 1e-5 in place of 1e-6), because a training step spends most of its time in them. Everything else is torch's
    own convolution: other devices and dtypes, autocast, torch.compile, and more than one thread, which the transforms
    would not use.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        if not self._by_winograd(image):
            return super().forward(image)
        result: Tensor = _Winograd.apply(image, self.weight, self.bias)
        return result

    def _by_winograd(self, image: Tensor) -> bool:
        return (
            min(self.in_channels, self.out_channels) >= MIN_CHANNELS
            and not torch.compiler.is_compiling()
            and image.ndim == 4
            and image.numel() > 0
            and image.device.type == self.weight.device.type == "cpu"
            and image.dtype == self.weight.dtype == torch.float32
            and not torch.is_autocast_enabled("cpu")
            and torch.get_num_threads() == 1
        )


class _Winograd(torch.autograd.Function):
    """The convolution with its gradients, once differentiable."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        from lib.zero_tig.winograd import convolve

        ctx.save_for_backward(image, weight)
        return convolve(image, weight, bias)

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, of_result: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        from lib.zero_tig.winograd import gradients

        image, weight = ctx.saved_tensors
        needs_image, needs_weight, needs_bias = ctx.needs_input_grad
        of_image, of_weight = gradients(image, weight, of_result, needs_image=needs_image, needs_weight=needs_weight)
        return of_image, of_weight, of_result.sum(dim=(0, 2, 3)) if needs_bias else None
