"""Exercises of the night watch: each check runs the student's function on cases whose answer is known."""

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from lib.metrics import jaccard
from lib.night_watch.chain import background
from lib.seeds import paired_change
from lib.show.answers import Answer, NotYetError, ask, graded, number_from, tensor_from

CLOSE = 1e-6


def check_overlap(answer: Callable[[Tensor, Tensor], Tensor]) -> Answer:
    """`overlap(mask, truth)`: J of two masks (H, W), one number; 1 where both are empty."""

    def examine() -> str:
        generator = Generator().manual_seed(0)
        mask, truth = (torch.rand(12, 16, generator=generator) > 0.6 for _ in range(2))
        if not abs(number_from(answer, mask, truth) - jaccard(mask, truth)) <= CLOSE:
            raise NotYetError("divide the pixels that both have by those that at least one has")
        empty = torch.zeros_like(mask)
        if not abs(number_from(answer, empty, empty) - 1) <= CLOSE:  # also where it is NaN
            raise NotYetError("two empty masks agree: give 1 instead of dividing by 0")
        return "this is what tells a mask that covers the walker from one that covers the picture"

    return graded(examine)


def check_background(answer: Callable[[Tensor, Tensor], Tensor]) -> Answer:
    """`empty(video, masks)`: mean (3, H, W) of a video (T, 3, H, W) where no mask (T, H, W) covers a pixel."""

    def examine() -> str:
        generator = Generator().manual_seed(1)
        video = torch.rand(5, 3, 6, 7, generator=generator)
        masks = torch.rand(5, 6, 7, generator=generator) > 0.5
        masks[0] = False
        wanted = background(video, range(5), masks)
        ask(tensor_from(answer, video, masks), wanted, "weigh each pixel by 1 - mask and divide by the sum of weights")
        masks[:, 2, 3] = True
        wanted = background(video, range(5), masks)
        ask(tensor_from(answer, video, masks), wanted, "a pixel that is never free keeps the mean of all frames")
        return "the labeller sees a room without the walker and without most of the noise"

    return graded(examine)


def check_effect(answer: Callable[[Tensor, Tensor], Tensor]) -> Answer:
    """`effect(before, after)`: mean change and half the width of its 95 % interval (2,), from one value a room."""

    def examine() -> str:
        before, after = torch.tensor([10.0, 20.0, 60.0]), torch.tensor([13.0, 22.0, 61.0])
        change = paired_change(*(dict(enumerate(one.tolist())) for one in (before, after)))
        ours = tensor_from(answer, before, after)
        if ours.shape != (2,):
            raise NotYetError(f"two numbers are wanted, mean and half width: got shape {tuple(ours.shape)}")
        ask(ours[:1], torch.tensor([change.mean]), "take the change room by room first, then its mean")
        hint = "Student's t of n - 1 = 2 degrees of freedom is 4.303; times the deviation of the changes over sqrt(n)"
        if abs(float(ours[1]) - (change.high - change.mean)) > 1e-2:
            raise NotYetError(hint)
        return "three rooms as different as these still show a change, because each is compared with itself"

    return graded(examine)
