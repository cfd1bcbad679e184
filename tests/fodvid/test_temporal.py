"""Algorithm 1: the draw, the direction of the warp, and what counts."""

from collections import Counter

import pytest
import torch
from torch import Generator, Tensor

from lib.errors import ShapeError, SpecError
from lib.fodvid.temporal import draw_offset, same_frame_loss, targets_of, temporal_loss, visible, warped_loss

ALL = [True] * 9


def draws(frame: int, trusted: list[bool], num: int = 4000, **settings: float) -> Counter[int | None]:
    generator = Generator().manual_seed(0)
    return Counter(draw_offset(frame, trusted, generator=generator, **settings) for _ in range(num))


def square(left: int, width: int = 12) -> Tensor:
    mask = torch.zeros(1, 1, 10, width, dtype=torch.float64)
    mask[..., 3:7, left : left + 4] = 1
    return mask


def flow_of(x: float, width: int = 12) -> Tensor:
    return torch.tensor([x, 0.0], dtype=torch.float64).view(1, 2, 1, 1).expand(1, 2, 10, width)


def test_half_of_the_draws_are_the_frame_itself_and_the_rest_even() -> None:
    found = draws(4, ALL)
    assert set(found) == {-2, -1, 0, 1, 2}
    assert found[0] == pytest.approx(2000, abs=5 * 32)  # five standard deviations
    for offset in (-2, -1, 1, 2):
        assert found[offset] == pytest.approx(500, abs=5 * 21)


@pytest.mark.parametrize(("frame", "inside"), [(0, {0, 1, 2}), (1, {-1, 0, 1, 2}), (8, {-2, -1, 0})])
def test_neighbours_outside_the_clip_are_drawn_again(frame: int, inside: set[int]) -> None:
    found = draws(frame, ALL)
    assert set(found) == inside
    assert found[0] == pytest.approx(2000, abs=5 * 32)


def test_probability_of_a_warp_can_be_set() -> None:
    assert set(draws(4, ALL, warp_probability=0.0)) == {0}
    assert 0 not in draws(4, ALL, warp_probability=1.0)
    assert draws(4, ALL, warp_probability=0.2)[0] == pytest.approx(3200, abs=5 * 26)


def test_masks_that_are_not_trusted_teach_nothing() -> None:
    trusted = [True, False, True, False]
    assert set(draws(1, trusted)) == {-1, 1}
    assert set(draws(2, trusted)) == {0, -2}
    assert targets_of(3, trusted) == [-1]
    assert draw_offset(1, trusted, generator=Generator(), warp_probability=0.0) is None
    assert draw_offset(0, [False, False], generator=Generator()) is None
    assert draw_offset(0, [True], generator=Generator()) == 0


def test_every_draw_takes_the_same_numbers_from_the_generator() -> None:
    first, second = Generator().manual_seed(1), Generator().manual_seed(1)
    draw_offset(0, [True], generator=first)
    draw_offset(0, [False, False], generator=second, warp_probability=0.0)
    assert torch.equal(first.get_state(), second.get_state())


def test_warp_goes_from_the_neighbour_back_to_the_frame() -> None:
    """The object is at column 2 in f1 and at 5 in f2: seen from f2, f1's content lies 3 px to the left."""
    logits, mask = 20 * square(2) - 10, square(5)
    assert warped_loss(logits, mask, flow_of(-3)).item() < 1e-3
    assert warped_loss(logits, mask, flow_of(3)).item() > 1
    assert warped_loss(logits, mask, flow_of(0)).item() > 1


def test_no_motion_is_the_loss_of_the_frame_itself() -> None:
    logits = torch.randn(3, 1, 6, 7, dtype=torch.float64, generator=Generator().manual_seed(0))
    masks = (logits > 0.3).double()
    still = torch.zeros(3, 2, 6, 7, dtype=torch.float64)
    torch.testing.assert_close(warped_loss(logits, masks, still), same_frame_loss(logits, masks))


def test_loss_of_one_pixel_by_hand() -> None:
    logit, one = torch.zeros(1, 1, 1, 1), torch.ones(1, 1, 1, 1)
    assert same_frame_loss(logit, one).item() == pytest.approx(0.693147, abs=1e-6)
    assert warped_loss(logit, one, torch.zeros(1, 2, 1, 1)).item() == pytest.approx(0.693147, abs=1e-6)


def test_border_repeats_outside_the_picture() -> None:
    logits = torch.full((1, 1, 10, 12), -10.0, dtype=torch.float64)
    logits[..., -1] = 10
    mask = torch.ones(1, 1, 10, 12, dtype=torch.float64)
    assert warped_loss(logits, mask, flow_of(40)).item() < 1e-3


def test_gradient_passes_through_the_warp_to_the_place_it_came_from() -> None:
    generator = Generator().manual_seed(0)
    logits = torch.randn(1, 1, 4, 5, dtype=torch.float64, generator=generator, requires_grad=True)
    flow = torch.rand(1, 2, 4, 5, dtype=torch.float64, generator=generator)
    mask = torch.zeros(1, 1, 4, 5, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: warped_loss(x, mask, flow), logits)
    valid = torch.zeros(1, 1, 10, 12, dtype=torch.float64)
    valid[..., 4, 6] = 1
    wide = torch.zeros(1, 1, 10, 12, dtype=torch.float64, requires_grad=True)
    warped_loss(wide, square(2), flow_of(-3), valid=valid).sum().backward()
    assert wide.grad is not None
    assert wide.grad.nonzero().tolist() == [[0, 0, 4, 3]]


def test_only_valid_pixels_count() -> None:
    logits, mask = 20 * square(2) - 10, square(5)
    seen = (mask == square(2)).double()
    assert warped_loss(logits, mask, flow_of(0), valid=seen).item() < 1e-3
    assert warped_loss(logits, mask, flow_of(0), valid=torch.zeros_like(mask)).item() == 0


def test_what_goes_there_and_back_is_visible() -> None:
    there = torch.full((1, 2, 8, 12), 0.0)
    there[:, 0] = 3
    seen = visible(there, -there)
    assert seen.shape == (1, 1, 8, 12)
    assert seen[..., :9].all()
    assert not seen[..., 10:].any()  # leaves the picture
    assert not visible(there, there)[..., :9].any()


def test_parts_sum_to_the_mean_over_the_samples(device: torch.device) -> None:
    generator = Generator().manual_seed(0)
    logits = torch.randn(4, 1, 6, 7, generator=generator).to(device)
    masks = (torch.rand(4, 1, 6, 7, generator=generator) > 0.5).float().to(device)
    flow = torch.randn(2, 2, 6, 7, generator=generator).to(device)
    offsets = torch.tensor([0, 2, 0, -1], device=device)
    parts = temporal_loss(logits, masks, offsets, flow)
    same = same_frame_loss(logits[[0, 2]], masks[[0, 2]])
    warped = warped_loss(logits[[1, 3]], masks[[1, 3]], flow)
    torch.testing.assert_close(parts["same"] + parts["warped"], torch.cat([same, warped]).mean())
    torch.testing.assert_close(parts["warped"], warped.sum() / 4)


def test_missing_flow_is_told() -> None:
    logits = torch.zeros(2, 1, 4, 4)
    with pytest.raises(SpecError, match="1 warped samples need as many flows: got 0"):
        temporal_loss(logits, logits, torch.tensor([0, 1]))
    with pytest.raises(ShapeError, match="finite"):
        warped_loss(logits, logits, torch.full((2, 2, 4, 4), float("nan")))
