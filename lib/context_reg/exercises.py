"""Checks of the exercises: each takes a student's function and says in one sentence how far it is."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from lib.context_reg.directional import initial_kernels, kernel_loss
from lib.context_reg.walkthrough import responses
from lib.show.answers import Answer, NotYetError, ask, graded, near, number_from, tensor_from

SIGMA = 0.25


def check_kernels(answer: Callable[[], object]) -> Answer:
    """Exercise 1: kernels() -> (8, 3, 3): centre minus one neighbour, norm 1, the neighbours row by row."""

    def examine() -> str:
        wanted = initial_kernels("differences").float()
        ours = tensor_from(answer)
        if near(ours, wanted * 2**0.5):
            raise NotYetError("the taps are 1 and -1, so their norm is the root of 2: divide by it")
        if near(ours, -wanted):
            raise NotYetError("plus in the centre, minus at the neighbour")
        ask(ours, wanted, "kernel j has 1 / sqrt(2) in the centre and the negative at neighbour j, from the upper left")
        return "every kernel adds up to 0, so that a flat region costs nothing"

    return graded(examine)


def check_response(answer: Callable[[Tensor, Tensor], object]) -> Answer:
    """Exercise 2: response(plane, kernel) -> (H, W): the kernel laid over each pixel, the border repeated outside."""

    def examine() -> str:
        plane, kernel = _noise(6, 7), _noise(3, 3) - 0.5
        wanted = responses(plane[None], kernel[None])[0, 0]
        ours = tensor_from(answer, plane, kernel)
        if near(ours, responses(plane[None], kernel.flip(0, 1)[None])[0, 0]):
            raise NotYetError("that flips the kernel; networks correlate: the upper left tap sees the upper left pixel")
        if near(ours, F.conv2d(plane[None, None], kernel[None, None], padding=1)[0, 0]):
            raise NotYetError("right inside; outside the picture repeat the border's pixel, or its frame is an edge")
        if ours.shape == (4, 5):
            raise NotYetError("the result is as large as the plane: pad by one pixel first")
        ask(ours, wanted, "sum over the nine taps of kernel[y, x] * plane, moved by (y - 1, x - 1)")
        return "with the border repeated a difference across it is exactly 0"

    return graded(examine)


def check_weight(answer: Callable[[Tensor, Tensor, float], object]) -> Answer:
    """Exercise 3: weight(image, kernel, sigma) -> W (H, W) of eq. 6, image (3, H, W)."""

    def examine() -> str:
        image, kernel = _noise(3, 5, 6), initial_kernels("differences")[3].float()
        squares = responses(image, kernel[None])[0].square()
        ours = tensor_from(answer, image, kernel, SIGMA)
        if near(ours, (-squares.mean(0) / (2 * SIGMA**2)).exp()):
            raise NotYetError("the sum over the channels, not their mean")
        if near(ours, (-squares.sum(0) / SIGMA**2).exp()):
            raise NotYetError("the exponent is divided by 2 sigma squared")
        if near(ours, (-squares.sum(0).sqrt() / (2 * SIGMA**2)).exp()):
            raise NotYetError("the differences are squared, and no root is taken")
        if near(ours, (-responses(image.mean(0, keepdim=True), kernel[None])[0, 0].square() / (2 * SIGMA**2)).exp()):
            raise NotYetError("not of the grey picture: each channel's difference is squared for itself")
        ask(ours, (-squares.sum(0) / (2 * SIGMA**2)).exp(), "exp(-sum over channels of (D * I)^2 / (2 sigma^2))")
        return "1 where nothing changes, nearly 0 across an edge"

    return graded(examine)


def check_context(answer: Callable[[Tensor, Tensor], object]) -> Answer:
    """Exercise 4: context(weights, differences) -> eq. 7 with lambda 1; (J, H, W) and D_j * f as (J, C, H, W)."""

    def examine() -> str:
        weights, differences = _noise(4, 5, 6), _noise(4, 3, 5, 6) - 0.5
        terms = weights[:, None] * differences.abs()
        wanted = float(terms.sum())
        ours = number_from(answer, weights, differences)
        if abs(ours - float((weights[:, None] * differences).sum())) < 1e-3:
            raise NotYetError("take the absolute value first: differences of both signs cancel")
        if abs(ours - float((weights[:, None] * differences.square()).sum())) < 1e-3:
            raise NotYetError("that is the square; the paper takes |.|, which lets one big step stand")
        if abs(ours - float(terms.mean())) < 1e-5:
            raise NotYetError("eq. 7 is a sum; a mean goes with a mean softmax loss")
        if abs(ours - wanted) > 1e-3:
            raise NotYetError(f"the sum over kernels, classes and pixels of W_j |D_j * f|: expected {wanted:.2f}")
        return "one weight map for all classes: that is why it need not be computed for each"

    return graded(examine)


def check_push(answer: Callable[[Tensor, float], object]) -> Answer:
    """Exercise 5: push(row, weight) -> gradient (W,) of weight * sum_i |f_i - f_(i+1)| for one row (W,)."""

    def examine() -> str:
        row = torch.tensor([0.1, 0.1, 0.9, 0.4, 0.4, 0.8])
        free = row.clone().requires_grad_()
        (0.5 * free.diff().abs().sum()).backward()
        assert free.grad is not None
        wanted = free.grad
        ours = tensor_from(answer, row, 0.5)
        if near(ours, -wanted):
            raise NotYetError("the sign is reversed: the gradient points to where the loss grows")
        if near(ours, 2 * wanted):
            raise NotYetError("times the weight")
        ask(ours, wanted, "each pixel gets weight * sign(f_i - f_next) from its right and from its left neighbour")
        return "only the sign counts: a small step is pushed as hard as a big one, so weak noise goes first"

    return graded(examine)


def check_kernel_loss(answer: Callable[[Tensor, float, float], object]) -> Answer:
    """Exercise 6: pinned(kernels, alpha, beta) -> sum over kernels of alpha (|d|^2 - 1)^2 + beta (sum d)^2."""

    def examine() -> str:
        kernels = _noise(3, 3, 3) - 0.4

        def value(form: str) -> float:
            return float(kernel_loss(kernels, form=form, norm_weight=2.0, sum_weight=3.0))  # type: ignore[arg-type]

        ours = number_from(answer, kernels, 2.0, 3.0)
        if abs(ours - value("printed")) < 1e-3:
            raise NotYetError("that is eq. 9 as printed; here the second term is the square of the sum of the taps")
        if abs(ours - value("recommended")) > 1e-3:
            raise NotYetError(f"expected {value('recommended'):.3f} for three kernels: got {ours:.3f}")
        return "it holds the norm at 1 and the sum at 0, and leaves the direction free"

    return graded(examine)


def check_minimum(answer: Callable[[float, float], object]) -> Answer:
    """Exercise 7: minimum(alpha, beta) -> the squared norm s at which alpha (s - 1)^2 + beta s is least, s >= 0."""

    def examine() -> str:
        for alpha, beta, wanted in ((1000.0, 1000.0, 0.5), (1000.0, 500.0, 0.75), (1.0, 3.0, 0.0)):
            ours = number_from(answer, alpha, beta)
            if wanted == 0 and ours < 0:
                raise NotYetError("a squared norm can't be negative: with so large a beta the kernel vanishes, s = 0")
            if abs(ours - wanted) > 1e-4:
                raise NotYetError(f"for alpha {alpha:g} and beta {beta:g}: set the derivative to 0; got {ours:.3f}")
        return "so eq. 9 as printed shrinks every kernel to a norm of 0.71, and lambda with it"

    return graded(examine)


def _noise(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=Generator().manual_seed(5))
