"""The context loss (eqs 1 to 7) as one function with its own derivative.

The naive way holds eight responses of every class and their derivatives. Here loss and gradients are made together, a
few classes at a time, so that beside the gradient itself only the J weight maps take memory. On the CPU the memory of
both is kept for the next step; `fused_form.forget_memory` gives it back.
"""

import math
from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from lib.checks import check_form
from lib.context_reg import block_form, fused_form, triton_form
from lib.context_reg.block_form import Basis, Wanted, of_taps
from lib.errors import ShapeError, SpecError


def weight_maps(guide: Tensor, kernels: Tensor, *, sigma: float) -> Tensor:
    """W_j = exp(-sum over channels of (D_j * I)^2 / (2 sigma^2)), eq. 6: (N, J, H, W), within 0..1, no gradient.

    guide: (N, C, H, W), the picture within 0..1 or scaled features. kernels: (J, 3, 3). Borders are replicated.
    Raises ShapeError for other shapes.
    """
    check_form("guide", guide, 4)
    _check_kernels(kernels, kernels)
    guide, basis = guide.detach(), Basis.of(kernels.detach().to(guide) * _kernel_scale(sigma))
    return _form(guide).weight_exponents(guide, basis, None).exp_()


def context_loss(
    probabilities: Tensor,
    guide: Tensor,
    kernels: Tensor,
    guide_kernels: Tensor,
    *,
    sigma: float,
    scale: float = 1.0,
    ignore: Tensor | None = None,
) -> Tensor:
    """scale x sum over classes, kernels and pixels of W_j |D_j * f|, eq. 7 with scale = lambda; once differentiable.

    probabilities: (N, C, H, W), 0..1; half precision is computed in float32, which is also the result's type then.
    guide: (N, G, H, W), what the weights see. kernels, guide_kernels: (J, 3, 3) on probabilities and on the guide.
    ignore: bool (N, H, W). Such a pixel has no term, and where it is a neighbour, the centre stands in for it, as the
    nearest pixel does beyond the border (Choice: the paper ignores none). So neither its probabilities nor its colours
    matter, and across its border a difference is 0. NaN there is NaN in the loss, as anywhere.
    scale: at least 0. Raises ShapeError and SpecError for what does not fit; values are not looked at.
    """
    _check_fit(probabilities, guide, ignore)
    _check_kernels(kernels, guide_kernels)
    if not (sigma > 0 and scale >= 0):
        raise SpecError(f"sigma must be above 0 and scale at least 0: got {sigma!r} and {scale!r}")
    exact = torch.float64 if probabilities.dtype == torch.float64 else torch.float32
    parts = (each.to(exact) for each in (probabilities, guide, kernels, guide_kernels))
    with torch.autocast(probabilities.device.type, enabled=False):  # no product here is one for half precision
        # torch.compile can trace neither compiled code nor the memory that is kept
        loss: Tensor = torch.compiler.disable(_ContextLoss.apply)(*parts, ignore, sigma, scale)
    return loss


class _ContextLoss(torch.autograd.Function):
    """The loss, with all gradients made in the forward pass."""

    @staticmethod
    def forward(
        ctx: Any,
        probabilities: Tensor,
        guide: Tensor,
        kernels: Tensor,
        guide_kernels: Tensor,
        ignore: Tensor | None,
        sigma: float,
        scale: float,
    ) -> Tensor:
        wanted = Wanted(*ctx.needs_input_grad[:4])
        form, kernel_scale = _form(probabilities), _kernel_scale(sigma)
        basis, guide_basis = Basis.of(kernels), Basis.of(guide_kernels * kernel_scale)
        known = None if ignore is None else (~ignore).to(guide.dtype)
        weights = form.weight_exponents(guide, guide_basis, known).exp_().mul_(scale)
        if ignore is not None:
            weights.masked_fill_(ignore[:, None], 0)
        loss, shares, on_probabilities, on_kernels = form.class_terms(probabilities, weights, basis, known, wanted)
        on_guide = on_guide_kernels = None
        if wanted.weights:
            on_guide, on_guide_kernels = form.guide_terms(guide, shares, guide_basis, known, wanted)
        if on_kernels is not None:
            on_kernels = of_taps(on_kernels).view_as(kernels)
        if on_guide_kernels is not None:
            on_guide_kernels = of_taps(on_guide_kernels).view_as(kernels) * kernel_scale
        ctx.save_for_backward(on_probabilities, on_guide, on_kernels, on_guide_kernels)
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_loss: Tensor) -> tuple[Tensor | None, ...]:
        # a pass over a big gradient for a factor that is nearly always 1; on a GPU looking would wait for it
        is_one = of_loss.device.type == "cpu" and of_loss.item() == 1
        gradients = [each if each is None or is_one else each * of_loss for each in ctx.saved_tensors]
        return *gradients, None, None, None


def _check_fit(probabilities: Tensor, guide: Tensor, ignore: Tensor | None) -> None:
    """The compiled forms check no place in memory."""
    check_form("probabilities", probabilities, 4)
    check_form("guide", guide, 4)
    expected = len(probabilities), *probabilities.shape[-2:]
    if (len(guide), *guide.shape[-2:]) != expected:
        raise ShapeError(
            f"guide and probabilities must be as many and share a grid: got {tuple(guide.shape)} and "
            f"{tuple(probabilities.shape)}; resize one of them first"
        )
    if ignore is not None and (ignore.dtype != torch.bool or tuple(ignore.shape) != expected):
        raise ShapeError(f"ignore must be bool, {expected}: got {ignore.dtype}, {tuple(ignore.shape)}")


def _check_kernels(kernels: Tensor, guide_kernels: Tensor) -> None:
    if kernels.ndim != 3 or kernels.shape[1:] != (3, 3) or guide_kernels.shape != kernels.shape:
        raise ShapeError(
            f"kernels must be (J, 3, 3), as many on the guide: got {tuple(kernels.shape)} "
            f"and {tuple(guide_kernels.shape)}"
        )


def _kernel_scale(sigma: float) -> float:
    """On kernels scaled with it, eq. 6 is exp(-sum of squared responses)."""
    return 1 / (sigma * math.sqrt(2))


def _form(planes: Tensor) -> ModuleType:
    """A compiled form where one can run, else the one of torch's operations."""
    if planes.dtype == torch.float32 and planes.device.type == "cpu":
        return fused_form
    if planes.dtype == torch.float32 and planes.device.type == "cuda" and triton_form.works_on(planes.device):
        return triton_form
    return block_form
