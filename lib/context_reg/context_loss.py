"""The context loss (eqs 1 to 7) as one function with its own derivative.

The naive way holds eight responses of every class and their derivatives. Here loss and gradients are made together, a
few classes at a time, so that beside the gradient itself only the J weight maps take memory.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from lib.context_reg import block_form
from lib.context_reg.block_form import Wanted, coefficients, of_taps


def weight_maps(guide: Tensor, kernels: Tensor, *, sigma: float) -> Tensor:
    """W_j = exp(-sum over channels of (D_j * I)^2 / (2 sigma^2)), eq. 6: (N, J, H, W), within 0..1, no gradient.

    guide: (N, C, H, W), the picture within 0..1 or scaled features. kernels: (J, 3, 3). Borders are replicated.
    """
    guide, taps = guide.detach(), coefficients(kernels.detach().to(guide))
    return block_form.weight_exponents(guide, taps, None).mul_(-0.5 / sigma**2).exp_()


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
    matter, and across its border a difference is 0.
    """
    exact = torch.float64 if probabilities.dtype == torch.float64 else torch.float32
    parts = (each.to(exact) for each in (probabilities, guide, kernels, guide_kernels))
    loss: Tensor = _ContextLoss.apply(*parts, ignore, sigma, scale)
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
        taps, guide_taps = coefficients(kernels), coefficients(guide_kernels)
        counted = None if ignore is None else _counted_neighbours(ignore, guide.dtype)
        weights = block_form.weight_exponents(guide, guide_taps, counted).mul_(-0.5 / sigma**2).exp_().mul_(scale)
        if ignore is not None:
            weights.masked_fill_(ignore[:, None], 0)
        loss, magnitudes, on_probabilities, on_kernels = block_form.class_terms(
            probabilities, weights, taps, counted, wanted
        )
        on_guide = on_guide_kernels = None
        if wanted.weights:
            of_energy = weights.mul_(magnitudes).mul_(-0.5 / sigma**2)
            on_guide, on_guide_kernels = block_form.guide_terms(guide, of_energy, guide_taps, counted, wanted)
        on_taps = [None if each is None else of_taps(each).view_as(kernels) for each in (on_kernels, on_guide_kernels)]
        ctx.save_for_backward(on_probabilities, on_guide, *on_taps)
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_loss: Tensor) -> tuple[Tensor | None, ...]:
        # a pass over a big gradient for a factor that is nearly always 1; on a GPU looking would wait for it
        is_one = of_loss.device.type == "cpu" and of_loss.item() == 1
        gradients = [each if each is None or is_one else each * of_loss for each in ctx.saved_tensors]
        return *gradients, None, None, None


def _counted_neighbours(ignore: Tensor, dtype: torch.dtype) -> Tensor:
    """1 where a neighbour counts and 0 where it is ignored: (9, N, 1, H, W)."""
    height, width = ignore.shape[-2:]
    padded = F.pad((~ignore).to(dtype)[:, None], (1, 1, 1, 1), mode="replicate")
    return torch.stack([padded[..., y : y + height, x : x + width] for y in range(3) for x in range(3)])
