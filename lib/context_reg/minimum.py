"""Cleaning of a finished prediction: it moves to where cross-entropy to it and context loss together are least.

Used so, the context loss does what a conditional random field does. Choice: ours; the paper uses it in training alone.
Of opposite difference kernels, the one at a pixel and the other at its neighbour have the same response and weight. So
the eight kernels are four pairs of neighbours a, b, each counted twice, with weights that no step changes (eqs 6, 7):

    sqrt 2 x exp(-|I_a - I_b|^2 / (4 sigma^2)) x |f_a - f_b|.
"""

import math

import torch
from torch import Tensor

from lib.checks import check_image
from lib.errors import ShapeError

# of 0.3 to 30 and 0.01 to 0.1: the best for the shipped network on 10 rooms of seed 41, which no reported number has
WEIGHT, SIGMA = 10.0, 0.02
NUM_STEPS, STEP = 80, 0.3  # of Adam; the step in logits
PAIRS = ((0, 1), (1, -1), (1, 0), (1, 1))  # rows and columns from a to b


@torch.no_grad()
def free_minimum(probabilities: Tensor, image: Tensor, *, weight: float = WEIGHT, sigma: float = SIGMA) -> Tensor:
    """The prediction (C, H, W) that both losses like best where no network stands between: logits by 80 steps of Adam.

    It starts from `probabilities` (C, H, W), float, 0..1, to which its cross-entropy is held, plus `weight` times the
    mean context loss of fixed difference kernels. image: (3, H, W), 0..1, on the same device. With a large sigma,
    `walkthrough.NO_EDGES`, the picture has no say.
    Choice: steps of one size. They end near the least value, which is one as the sum is convex, but not in it.
    Holds some six arrays of the probabilities' size. Raises ShapeError where the sizes differ.
    """
    check_image("image", image)
    if probabilities.ndim != 3 or probabilities.shape[1:] != image.shape[1:]:
        raise ShapeError(
            f"probabilities must be (C, H, W) of the image's size {tuple(image.shape[1:])}: "
            f"got {tuple(probabilities.shape)}"
        )
    num_pixels = image[0].numel()
    weights = [each * (weight / num_pixels) for each in pair_weights(image.to(probabilities), sigma=sigma)]
    # a probability of 0 has no logit
    logits = probabilities.clamp_min(torch.finfo(probabilities.dtype).tiny).log()
    optimizer = torch.optim.Adam([logits], lr=STEP)
    for _ in range(NUM_STEPS):
        logits.grad = _gradient(logits.softmax(0), probabilities, weights)
        optimizer.step()
    return logits.softmax(0)


def pair_weights(image: Tensor, *, sigma: float) -> list[Tensor]:
    """Of each of PAIRS, W_ab x sqrt 2 where both pixels lie in the image (3, H, W): smaller than it by the pair.

    Along the image's border, diagonal neighbours outside are replaced by the nearest pixels inside, as everywhere in
    the context loss: pairs along the border count once more.
    """
    weights = []
    for pair in PAIRS:
        one, other = _ends(image, pair)
        squares = (one - other).square().sum(0)
        weights.append(math.sqrt(2) * torch.exp(squares / (-4 * sigma**2)))
    for along in (weights[0], weights[2].T):  # rows, and columns
        once = along[[0, -1]]
        along[0] += once[0]
        along[-1] += once[1]
    return weights


def _gradient(found: Tensor, start: Tensor, weights: list[Tensor]) -> Tensor:
    """Of both losses on the logits of `found`; weights: with the context loss's factor. All (C, H, W)."""
    pushes = torch.zeros_like(found)
    for pair, weight in zip(PAIRS, weights, strict=True):
        one, other = _ends(found, pair)
        push = (one - other).sign_().mul_(weight)
        push_one, push_other = _ends(pushes, pair)
        push_one += push
        push_other -= push
    through_softmax = (pushes - (pushes * found).sum(0)).mul_(found)
    return through_softmax.add_(found - start, alpha=1 / start[0].numel())


def _ends(planes: Tensor, pair: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Views of planes (C, H, W): the pixels a, and their b, of all pairs that lie within."""
    down, right = pair
    height, width = planes.shape[1:]
    upper, lower = planes[:, : height - down], planes[:, down:]
    left, shifted = slice(max(0, -right), width - max(0, right)), slice(max(0, right), width - max(0, -right))
    return upper[..., left], lower[..., shifted]
