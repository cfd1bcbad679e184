"""3x3 convolution with zero padding, as all three networks use it, in the form that is fastest where it runs."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

# both sides at least this wide: Winograd; with fewer channels its transforms cost more than the products it saves
WIDE = 32
# one side this wide, the other narrow: products with windows; below, oneDNN's kernels are as fast
VERY_WIDE = 64


def runs_kernels(image: Tensor) -> bool:
    """Whether compiled kernels take this picture: (B, C, H, W), float32, on one thread of the CPU, not autocast."""
    return (
        not torch.compiler.is_compiling()
        and torch.get_num_threads() == 1
        and not torch.is_autocast_enabled("cpu")
        and image.device.type == "cpu"
        and image.dtype == torch.float32
        and image.ndim == 4
        and image.numel() > 0
    )


class Conv3x3(nn.Conv2d):
    """`nn.Conv2d` of 3x3 taps that keeps the size: (B, in, H, W) to (B, out, H, W).

    Choice: on one thread of the CPU wide layers go through Winograd's F(4x4, 3x3) (`lib.zero_tig.winograd`, relative
    error 1e-5 in place of 1e-6) and those between few and 64 channels through products with windows
    (`lib.zero_tig.windows`), because a training step spends most of its time there. Everything else is torch's own
    convolution: other devices and dtypes, autocast, torch.compile, and more than one thread, which the compiled
    kernels would not use. On one thread there is no second derivative of these layers.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        # torch's own convolution says best what is wrong with a picture
        fits = image.ndim == 4 and image.shape[1] == self.in_channels
        if fits and self._is_wide() and runs_kernels(image) and runs_kernels(self.weight):
            result: Tensor = _CompiledConvolution.apply(image, self.weight, self.bias)
            return result
        return super().forward(image)

    def _is_wide(self) -> bool:
        narrow, wide = sorted((self.in_channels, self.out_channels))
        return narrow >= WIDE or wide >= VERY_WIDE


class _CompiledConvolution(torch.autograd.Function):
    """The convolution and its gradients by compiled kernels, once differentiable."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        from lib.zero_tig import windows, winograd

        image = image.contiguous()
        ctx.save_for_backward(image, weight)
        num_results, channels = weight.shape[:2]
        if min(num_results, channels) >= WIDE:
            return winograd.convolve(image, weight, bias)
        if channels < num_results:
            return windows.product_of_windows(weight.flatten(1), image, bias)
        return windows.sum_of_windows(_turned(weight), image, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_result: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        from lib.zero_tig import windows, winograd

        image, weight = ctx.saved_tensors
        of_result = of_result.contiguous()
        needs_image, needs_weight, needs_bias = ctx.needs_input_grad
        of_image = of_weight = None
        num_results, channels = weight.shape[:2]
        if min(num_results, channels) >= WIDE:
            of_image, of_weight = winograd.gradients(
                image, weight, of_result, needs_image=needs_image, needs_weight=needs_weight
            )
        elif channels < num_results:
            if needs_image:
                of_image = windows.sum_of_windows(weight.flatten(1).T, of_result)
            if needs_weight:
                of_weight = windows.correlation_with_windows(of_result, image).view_as(weight)
        else:
            if needs_image:
                of_image = windows.product_of_windows(_turned(weight).T, of_result)
            if needs_weight:
                of_turned = windows.correlation_with_windows(image, of_result)
                of_weight = of_turned.view(channels, num_results, 3, 3).transpose(0, 1).flip(2, 3)
        return of_image, of_weight, of_result.sum(dim=(0, 2, 3)) if needs_bias else None


def _turned(weight: Tensor) -> Tensor:
    """(K, C, 3, 3) to (9 K, C): what one channel adds to the window around it, which is the filter turned by 180."""
    return weight.flip(2, 3).permute(0, 2, 3, 1).reshape(-1, weight.shape[1])
