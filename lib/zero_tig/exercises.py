"""Checks of the exercises: each takes a student's function and says in one sentence how far it is."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from lib.flow import warp
from lib.metrics import mabd
from lib.metrics.planes import luma
from lib.show.answers import Answer, NotYetError, ask, called, graded, near, number_from, tensor_from
from lib.zero_tig.downsample import pair_downsample
from lib.zero_tig.filters import LUMA

Halves = Callable[[Tensor], object]


def check_halves(answer: Halves) -> Answer:
    """Exercise 1: halves(image) -> (g1, g2) of (3, H, W): mean of the anti-diagonal and of the main-diagonal pair."""

    def examine() -> str:
        image = _noise(3, 7, 9)
        first, second = (half[0] for half in pair_downsample(image[None]))
        ours = called(answer, image.clone())
        if not isinstance(ours, tuple) or len(ours) != 2 or not all(isinstance(half, Tensor) for half in ours):
            raise NotYetError("return two tensors: g1, g2")
        if ours[0].shape != first.shape:
            raise NotYetError(
                f"a picture of 7x9 pixels has halves of {tuple(first.shape)}, the odd row and column dropped: "
                f"got {tuple(ours[0].shape)}"
            )
        if near(ours[0], second) and near(ours[1], first):
            raise NotYetError("the two diagonals are swapped: g1 is the mean of top right and bottom left")
        block = F.avg_pool2d(image[None], 2)[0]
        if near(ours[0], block) or near(ours[1], block):
            raise NotYetError("that is the mean of all four pixels; each half takes two of them, no pixel twice")
        ask(ours[0], first, "g1 is the mean of top right and bottom left of each 2x2 block")
        ask(ours[1], second, "g1 is right; g2 is the mean of top left and bottom right")
        return "no pixel is in both halves, so their noise is independent, though they show the same picture"

    return graded(examine)


def check_alpha(answer: Callable[[Tensor], object]) -> Answer:
    """Exercise 2: alpha(dark) of (3, H, W): 0.5 over its mean luma, within 1..25 (eq. 6)."""

    def examine() -> str:
        dark = 0.2 * _noise(3, 8, 12) * torch.tensor([1.5, 0.5, 1.0]).view(3, 1, 1)
        mean = float((dark * torch.tensor(LUMA).view(3, 1, 1)).sum(0).mean())
        ours = number_from(answer, dark)
        if abs(ours - 0.5 / float(dark.mean())) < 1e-3:
            raise NotYetError("that takes the plain mean of the channels; luma weighs green most")
        if abs(ours - 0.5 / mean) > 1e-3:
            raise NotYetError(f"for a mean luma of {mean:.3f} alpha is {0.5 / mean:.3f}: got {ours:.3f}")
        if abs(number_from(answer, torch.full((3, 4, 4), 0.9)) - 1) > 1e-4:
            raise NotYetError("a bright frame must not be darkened: alpha is at least 1")
        if abs(number_from(answer, torch.full((3, 4, 4), 1e-3)) - 25) > 1e-3:
            raise NotYetError("in near darkness alpha would explode: it is at most 25")
        if abs(number_from(answer, torch.zeros(3, 4, 4)) - 25) > 1e-3:
            raise NotYetError("a black frame divides by zero: add a tiny number to the mean")
        return "one number a frame says how much light is missing; everything else is left to the networks"

    return graded(examine)


def check_crossed(answer: Callable[..., object]) -> Answer:
    """Exercise 3: residual(g1, g2, n1, n2) -> eq. 4 with plain means: what is left of one half predicts the other.

    g1, g2: halves of the frame; n1, n2: LD-Net's noise estimates for them; all (3, h, w).
    """

    def examine() -> str:
        g1, g2, n1, n2 = _noise(4, 3, 6, 8)
        wanted = F.mse_loss(g1 - n1, g2) + F.mse_loss(g2 - n2, g1)
        ours = number_from(answer, g1, g2, n1, n2)
        if abs(ours - float(F.mse_loss(g1 - n1, g1) + F.mse_loss(g2 - n2, g2))) < 1e-5:
            raise NotYetError("each half is compared with itself: the best estimate would then be no noise at all")
        if abs(ours - float(F.mse_loss(g1 - n1, g2))) < 1e-5:
            raise NotYetError("one way is right; add the other, from the second half to the first")
        if abs(ours - float(F.l1_loss(g1 - n1, g2) + F.l1_loss(g2 - n2, g1))) < 1e-5:
            raise NotYetError("absolute differences have the median as their best answer; the mean needs squares")
        if abs(ours - float(wanted)) > 1e-5:
            raise NotYetError(f"for these halves it is {float(wanted):.4f}: got {ours:.4f}")
        return "the noise of the other half can't be predicted, so the best prediction is the clean picture"

    return graded(examine)


def check_warp(answer: Callable[[Tensor, Tensor], object]) -> Answer:
    """Exercise 4: bring(image, flow) -> image (3, H, W) seen from the grid of flow (2, H, W).

    flow: whole pixels, x then y. Pixels whose source is outside are 0.
    """

    def examine() -> str:
        image = _noise(3, 7, 9)
        flow = torch.zeros(2, 7, 9)
        flow[0], flow[1] = 2, -1
        flow[0, 3:, :4] = -1
        wanted = warp(image[None], flow[None], padding="zeros")[0]
        still = tensor_from(answer, image, torch.zeros(2, 7, 9))
        ask(still, image, "flow 0 must give the image back, bit for bit")
        ours = tensor_from(answer, image, flow)
        if near(ours, warp(image[None], -flow[None], padding="zeros")[0]):
            raise NotYetError("the sign is reversed: the flow says where a pixel of the result *comes from*")
        if near(ours, warp(image[None], flow[None].flip(1), padding="zeros")[0]):
            raise NotYetError("x and y are swapped: the first plane moves along the last axis")
        if near(ours, warp(image[None], flow[None], padding="border")[0]):
            raise NotYetError("outside the picture there is nothing: 0, not the border repeated")
        ask(ours, wanted, "result(y, x) = image(y + flow_y(y, x), x + flow_x(y, x)), 0 where that is outside")
        return "backward warping leaves no holes: every pixel of the result asks where it came from"

    return graded(examine)


def check_mabd(answer: Callable[[Tensor], object]) -> Answer:
    """Exercise 5: mabd(video) -> (T - 1,) grey levels, mean |Y(k+1) - Y(k)| of a video (T, 3, H, W)."""

    def examine() -> str:
        video = _noise(5, 3, 6, 8)
        wanted = mabd(video).float()
        ours = tensor_from(answer, video)
        if ours.shape != wanted.shape:
            raise NotYetError(f"five frames have four neighbours in time: expected shape (4,), got {tuple(ours.shape)}")
        if near(255 * ours, wanted):
            raise NotYetError("right but for the unit: grey levels are 0..255")
        if near(ours.abs(), 255 * luma(video).mean((-2, -1)).diff().abs()):
            raise NotYetError("ups and downs cancel: take the absolute value before the mean")
        if near(ours, 255 * video.mean(1).diff(dim=0).abs().mean((-2, -1))):
            raise NotYetError("that takes the plain mean of the channels; luma is 0.299 R + 0.587 G + 0.114 B")
        if not bool(torch.allclose(ours, wanted, rtol=1e-4)):
            raise NotYetError("compare with 255 mean |Y(k+1) - Y(k)|, Y the luma of a frame")
        return "low means steady, or dark, or blurred: never read it alone"

    return graded(examine)


def check_white_balance(answer: Callable[[Tensor], object]) -> Answer:
    """Exercise 6: factors(dark) -> (3,) of (3, H, W): eq. 8, 0.3 over the mean of each channel, within 1..25."""

    def examine() -> str:
        dark = 0.2 * _noise(3, 8, 12) * torch.tensor([0.1, 1.0, 1.2]).view(3, 1, 1)
        wanted = 0.3 / dark.mean((-2, -1))
        ours = tensor_from(answer, dark)
        if ours.shape != (3,):
            raise NotYetError(f"one factor a channel, shape (3,): got {tuple(ours.shape)}")
        if near(ours, wanted * 0.5 / 0.3):
            raise NotYetError("under water the aim is 0.3, not 0.5")
        if near(ours, wanted):
            raise NotYetError("right, but the red of deep water needs the limit: at most 25, at least 1")
        ask(ours, wanted.clamp(1, 25), "0.3 / mean of the channel, clamped to 1..25")
        if bool((tensor_from(answer, torch.full((3, 4, 4), 0.6)) < 1).any()):
            raise NotYetError("right for the dark, but a bright channel must not be darkened: at least 1")
        return "three factors instead of one: brightening and white balance in the same loss"

    return graded(examine)


def _noise(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=Generator().manual_seed(5))
