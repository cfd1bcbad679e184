"""Spots beside a target: which are followed, and what they say where one of them is taken for the target."""

import pytest
import torch
from torch import Tensor

from lib.ir_tracking.companions import FORGET_AFTER, REACH_PX, SURE_AFTER, Around, Companions, Expected, Verdict
from lib.ir_tracking.kalman import MotionSettings

SIZE = (48, 56)
CORNER = torch.tensor([100.0, 200.0], dtype=torch.float64)


def plane(*spots: tuple[float, float, float], seed: int = 0) -> Tensor:
    """Spots x, y, height in the frame, on noise of deviation 1."""
    rows, columns = torch.arange(SIZE[0]) + 0.5 + CORNER[1], torch.arange(SIZE[1]) + 0.5 + CORNER[0]
    found = torch.randn(SIZE, generator=torch.Generator().manual_seed(seed)).abs()
    for x, y, height in spots:
        found += height * torch.exp(-((rows[:, None] - y).square() + (columns - x).square()) / 2)
    return found


def around(*spots: tuple[float, float, float], seed: int = 0) -> Around:
    found = plane(*spots, seed=seed)
    return Around(found, found, CORNER)


def target(x: float, y: float, *, height: float = 40.0, was_seen: bool = True, spread: float = 0.3) -> Expected:
    centre = torch.tensor([x, y], dtype=torch.float64)
    return Expected(centre, spread**2, centre, spread**2, height, 3.0, was_seen)


def point(x: float, y: float) -> Tensor:
    return torch.tensor([x, y], dtype=torch.float64)


def settled(*, height: float = 40.0) -> Companions:
    """One companion at (134, 222) that stands still, ten pixels right of the target at (124, 222)."""
    companions = Companions(MotionSettings())
    for seed in range(SURE_AFTER):
        seen = around((124, 222, 40), (134, 222, height), seed=seed)
        assert companions.step(seen, target(124, 222), point(124, 222)) == Verdict()
    return companions


def test_a_spot_that_stays_is_a_companion_and_the_target_is_none() -> None:
    companions = settled()
    assert len(companions.centres) == 1
    torch.testing.assert_close(companions.centres[0], point(134, 222), atol=0.2, rtol=0)
    assert len(companions.motion.centres) == 1


@pytest.mark.parametrize(("height", "number"), [(15.0, 0), (30.0, 1), (90.0, 1)])
def test_only_spots_that_could_be_mistaken_are_followed(height: float, number: int) -> None:
    assert len(settled(height=height).centres) == number


def test_spots_far_off_and_those_that_vanish_are_forgotten() -> None:
    companions = Companions(MotionSettings())
    for seed in range(SURE_AFTER + 1):
        companions.step(
            around((110, 222, 40), (110 + REACH_PX + 2, 222, 40), seed=seed), target(110, 222), point(110, 222)
        )
    assert not len(companions.motion.centres)
    companions = settled()
    for seed in range(FORGET_AFTER):
        companions.step(around((124, 222, 40), seed=seed), target(124, 222), point(124, 222))
        assert len(companions.motion.centres) == 1
    assert not len(companions.centres)  # seen too seldom to count
    companions.step(around((124, 222, 40)), target(124, 222), point(124, 222))
    assert not len(companions.motion.centres)


def test_clutter_that_comes_and_goes_does_not_count() -> None:
    companions = Companions(MotionSettings())
    for number in range(24):
        seen = [(124, 222, 40.0), (134, 222, 40.0 if number % 3 else 0.0)]
        companions.step(around(*seen, seed=number), target(124, 222), point(124, 222))
    assert companions.num_seen.tolist() == [16]
    assert not len(companions.centres)
    # so that the network is believed which says that the target is there
    verdict = companions.step(
        around((134, 222, 40), seed=30), target(126, 222, was_seen=False, spread=4.0), point(134, 222)
    )
    assert verdict == Verdict()


def test_the_network_that_chose_a_companion_is_sent_back_to_the_target() -> None:
    verdict = settled().step(around((124.4, 222, 40), (134, 222, 40), seed=9), target(124.3, 222), point(134, 222))
    assert not verdict.is_hidden
    assert verdict.instead is not None
    torch.testing.assert_close(verdict.instead, point(124.4, 222), atol=0.3, rtol=0)


def test_the_network_that_chose_a_companion_saw_no_target_where_there_is_none() -> None:
    companions = settled()
    verdict = companions.step(around((134, 222, 40), seed=9), target(124.3, 222), point(134, 222))
    assert verdict == Verdict(is_hidden=True)
    # and the target that comes back near by isn't taken for a companion of its own
    for seed in range(10, 20):
        companions.step(
            around((134, 222, 40), (126, 223, 40), seed=seed), target(124.3, 222, was_seen=False), point(126, 223)
        )
    assert len(companions.motion.centres) == 1


def test_spots_that_overlap_are_told_apart() -> None:
    companions = settled()
    for number in range(1, 9):  # the target comes up to three pixels
        x = 124 + number * 7 / 8
        verdict = companions.step(around((x, 222, 40), (134, 222, 40), seed=number), target(x, 222), point(x, 222))
    assert verdict.touches
    assert verdict.overlap is not None
    torch.testing.assert_close(verdict.overlap.centre, point(131, 222), atol=0.3, rtol=0)
    assert 0.7 < verdict.overlap.share < 1.4
    torch.testing.assert_close(companions.centres[0], point(134, 222), atol=0.3, rtol=0)


def test_of_two_that_should_overlap_the_one_that_is_gone_is_hidden() -> None:
    alone = around((134, 222, 40), seed=3)
    companions = settled()
    verdict = companions.step(alone, target(130.5, 222), point(134, 222))
    assert verdict == Verdict(is_hidden=True, touches=True)
    assert companions.num_unseen.tolist() == [0]
    companions = settled()
    verdict = companions.step(around((130.5, 222, 40), seed=3), target(130.5, 222), point(130.5, 222))
    assert verdict.overlap is not None
    assert not verdict.is_hidden
    assert companions.num_unseen.tolist() == [1]


def test_a_target_outside_of_what_is_seen_gets_no_verdict() -> None:
    companions = settled()
    assert companions.step(around((134, 222, 40)), target(400, 400), point(400, 400)) == Verdict()
    assert not len(companions.motion.centres)
