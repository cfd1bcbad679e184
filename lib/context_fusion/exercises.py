"""Checks of the exercises: each takes a student's function and says in one sentence how far it is.

A check never raises because of the function that it is given: an unfinished or wrong answer is an answer too.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from lib.context_fusion.importance import strong_gradient_or_light
from lib.context_fusion.scenes import staged_pair
from lib.context_fusion.settings import ImageSettings
from lib.context_fusion.walkthrough import curl, fuse_by
from lib.metrics import psnr
from lib.show.answers import TOLERANCE, Answer, NotYetError, ask, called, graded, near, tensor_from
from lib.solvers.poisson import divergence, gradient, solve_poisson

Planes = Callable[[Tensor, Tensor], Tensor]
SCENE_HEIGHT_PX = 120


def check_divergence(answer: Callable[[Tensor, Tensor], object]) -> Answer:
    """Exercise 1: divergence(gx, gy) -> (H, W), the backward differences of a field, zero outside the picture."""

    def examine() -> str:
        gx, gy = _noise(2, 7, 9)
        ours, wanted = tensor_from(answer, gx, gy), divergence(gx, gy)
        if ours.shape != wanted.shape:
            raise NotYetError(f"the divergence has the field's shape {tuple(wanted.shape)}: got {tuple(ours.shape)}")
        if near(ours, F.pad(gx.diff(dim=1), (0, 1)) + F.pad(gy.diff(dim=0), (0, 0, 0, 1))):
            raise NotYetError("those are forward differences; the gradient already took those, now step backwards")
        if near(ours[1:, 1:], wanted[1:, 1:]):
            ask(ours, wanted, "the inside is right, the first row or column is not: outside the picture G is 0")
        if near(ours, -wanted):
            raise NotYetError("the sign is reversed: a bright spot must have a negative Laplacian at its peak")
        ask(ours, wanted, "compare with gx(x, y) - gx(x-1, y) + gy(x, y) - gy(x, y-1); x runs along the last axis")
        return "forward gradient and backward divergence are negative adjoints, so the Poisson equation fits exactly"

    return graded(examine)


def check_curl(answer: Callable[[Tensor, Tensor], object]) -> Answer:
    """Exercise 2: curl(gx, gy) -> (H - 1, W - 1), what a field sums to around each 2x2 block of pixels."""

    def examine() -> str:
        gx, gy = _noise(2, 7, 9)
        ours = tensor_from(answer, gx, gy)
        if ours.shape != (6, 8):
            raise NotYetError(f"a picture of 7x9 pixels has 6x8 blocks: got {tuple(ours.shape)}")
        still = tensor_from(answer, *gradient(_noise(1, 7, 9)[0]))
        ask(still, torch.zeros_like(still), "the gradient of a picture must give 0 around every block")
        if not near(ours.abs(), curl(gx, gy).abs()):
            raise NotYetError("0 for gradients is right; now each of the four sides of a block must count once")
        return "a field with curl belongs to no picture, therefore the best we can do is least squares"

    return graded(examine)


def check_colour_fit(answer: Callable[[Tensor, Tensor], object]) -> Answer:
    """Exercise 3: fit(reconstruction, target) -> (c1, c2) of one plane, with c1 = 1 where the slope isn't positive."""

    def examine() -> str:
        picture, noise = _noise(2, 12, 10)
        target = 0.4 * picture + 0.3 + 0.05 * noise
        mean, slope = picture.mean(), ((picture - picture.mean()) * target).mean() / picture.var(unbiased=False)
        c1, c2 = _two_numbers(answer, picture, target)
        if abs(c1 - float(slope)) > TOLERANCE:
            raise NotYetError(
                f"c1 is {c1:.3f}, expected {float(slope):.3f}: covariance of I' and T over variance of I'"
            )
        if abs(c2 - float(target.mean() - slope * mean)) > TOLERANCE:
            raise NotYetError("c1 is right; c2 must make the means of c1 I' + c2 and of T agree")
        if abs(_two_numbers(answer, picture, 1 - picture)[0] - 1) > TOLERANCE:
            raise NotYetError("a negative slope would turn the picture into its negative: take c1 = 1 there")
        flat = _two_numbers(answer, torch.zeros_like(picture), target)
        if flat[0] != 1 or abs(flat[1] - float(target.mean())) > TOLERANCE:
            raise NotYetError("a flat I' has no slope at all (0 / 0): take c1 = 1 there as well")
        return "two numbers a channel, and the guard that keeps them sane"

    return graded(examine)


def check_mask_average(answer: Callable[[Tensor, int], object]) -> Answer:
    """Exercise 4: average(masks, c) -> W' (T, H, W), the mean of the frames i-c..i+c that are there."""

    def examine() -> str:
        masks = torch.zeros(9, 2, 3)
        masks[4, 0, 0] = masks[0, 1, 2] = 1
        ours = tensor_from(answer, masks, 2)
        if ours.shape != masks.shape:
            raise NotYetError(f"one W' for each of the 9 frames: got shape {tuple(ours.shape)}")
        window = [masks[max(0, i - 2) : i + 3] for i in range(9)]
        whole = torch.stack([frames.sum(0) / 5 for frames in window])
        if near(ours, whole):
            raise NotYetError("near the ends fewer frames are there: divide by their number, not by 2 c + 1")
        ask(ours, torch.stack([frames.mean(0) for frames in window]), "W'_i is the mean of M_(i-c) to M_(i+c)")
        return "a mover now fades in and out over c frames instead of popping up"

    return graded(examine)


def check_solver(answer: Callable[[Tensor], object], *, size_px: int = 16) -> Answer:
    """Exercise 5: solve(div) -> (H, W), any way you like, to a thousandth of the exact solution's spread."""

    def examine() -> str:
        gx, gy = _noise(2, size_px, size_px) - 0.5
        gx[:, -1] = gy[-1] = 0  # nothing flows over the border, so that there is an exact solution
        div = divergence(gx, gy)
        exact = solve_poisson(div)
        ours = tensor_from(answer, div)
        if ours.shape != exact.shape:
            raise NotYetError(f"the solution has the shape of div, {tuple(exact.shape)}: got {tuple(ours.shape)}")
        if not bool(torch.isfinite(ours).all()):
            raise NotYetError("the sweeps blow up: divide by the number of neighbours, which is 3 or 2 at the border")
        ours = ours - ours.mean()
        if (ours + exact).norm() < 0.05 * exact.norm():
            raise NotYetError(
                "the sign is reversed: the Laplacian is neighbours minus centre, not centre minus neighbours"
            )
        chequered = (ours - exact) * (-1) ** (torch.arange(size_px)[:, None] + torch.arange(size_px))
        if (chequered.mean().abs() > 0.9 * chequered.abs().mean()) and not near(ours, exact):
            raise NotYetError("the error swings between the two colours of a chessboard: go only part of each step")
        error = float((ours - exact).abs().max() / exact.std())
        if error > 1e-3:
            raise NotYetError(
                f"largest error {error:.1e} of the spread, wanted 1.0e-03: more sweeps, or look at the border"
            )
        return f"largest error {error:.0e} of the spread; count your sweeps and compare with the curve above"

    return graded(examine)


def check_importance(answer: Callable[[Tensor, Tensor, Tensor], object]) -> Answer:
    """Exercise 6: importance(night, day, reference) -> W (H, W), better than the rule `threshold` on unseen nights.

    Protocol: PSNR of the fusion against the truth, whole picture, mean over three nights with other lamps and cars.
    """

    def examine() -> str:
        tensor_from(answer, *_noise(3, 3, 8, 12))
        ours, theirs = [], []
        for seed in (11, 12, 13):
            pair = staged_pair("pagoda", height_px=SCENE_HEIGHT_PX, generator=Generator().manual_seed(seed))
            if pair.reference is None or pair.truth is None:
                continue
            weight = tensor_from(answer, pair.night, pair.day, pair.reference)
            if weight.shape != pair.night.shape[-2:]:
                raise NotYetError(f"W is one plane of {tuple(pair.night.shape[-2:])}: got {tuple(weight.shape)}")
            if not 0 <= float(weight.min()) <= float(weight.max()) <= 1:
                raise NotYetError("W must stay within 0..1: clamp it")
            if float(weight.max()) < 0.5:
                raise NotYetError("W is nowhere above 0.5, so that nothing of the night is left")
            rule = strong_gradient_or_light(pair.night, ImageSettings())
            ours.append(psnr(fuse_by(pair.night, pair.day, weight), pair.truth))
            theirs.append(psnr(fuse_by(pair.night, pair.day, rule), pair.truth))
        gain = sum(ours) / len(ours) - sum(theirs) / len(theirs)
        if gain <= 0:
            raise NotYetError(f"{-gain:.1f} dB below the rule `threshold`: where is the night worth keeping?")
        return f"{gain:.1f} dB above the rule `threshold`; the paper's rule with a reference is the next to beat"

    return graded(examine)


def _two_numbers(answer: Callable[[Tensor, Tensor], object], picture: Tensor, target: Tensor) -> tuple[float, float]:
    result = called(answer, picture.clone(), target.clone())
    if not isinstance(result, tuple) or len(result) != 2:
        raise NotYetError("return two numbers: c1, c2")
    return float(result[0]), float(result[1])


def _noise(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=Generator().manual_seed(5))
