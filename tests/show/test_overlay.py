"""A mask drawn into its frame: tinted inside, outlined on both sides, untouched elsewhere."""

import pytest
import torch
from torch import Tensor

from lib.errors import ShapeError, SpecError
from lib.show.overlay import COLOUR, draw_mask

LUMA = torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)


def scene(grey: float = 0.5) -> tuple[Tensor, Tensor]:
    mask = torch.zeros(20, 31, dtype=torch.bool)
    mask[6:14, 10:20] = True
    return torch.full((3, 20, 31), grey), mask


def test_inside_is_tinted_and_outside_is_the_frame(device: torch.device) -> None:
    frame, mask = (part.to(device) for part in scene())
    before = frame.clone()
    drawn = draw_mask(frame, mask, strength=0.25, line_px=0)
    assert (drawn.device, drawn.dtype, drawn.shape) == (frame.device, frame.dtype, frame.shape)
    assert torch.equal(frame, before)
    assert torch.equal(drawn[:, ~mask], frame[:, ~mask])
    expected = 0.75 * 0.5 + 0.25 * torch.tensor(COLOUR, device=device)
    torch.testing.assert_close(drawn[:, 9, 15], expected)


def test_outline_is_white_inside_and_black_outside() -> None:
    frame, mask = scene()
    drawn = draw_mask(frame, mask, line_px=2)
    row = drawn[:, 9]
    assert (row[:, 10:12] == 1).all()
    assert (row[:, 18:20] == 1).all()
    assert (row[:, 8:10] == 0).all()
    assert (row[:, 20:22] == 0).all()
    assert torch.equal(row[:, :8], frame[:, 9, :8])
    assert torch.equal(row[:, 22:], frame[:, 9, 22:])
    assert ((drawn == 1).all(0) == (mask & ~inner(mask, 2))).all()


def inner(mask: Tensor, width: int) -> Tensor:
    """Mask without its outermost pixels, by shifting."""
    kept = mask.clone()
    for dy in range(-width, width + 1):
        for dx in range(-width, width + 1):
            kept &= mask.roll((dy, dx), (0, 1))
    return kept


@pytest.mark.parametrize("grey", [0.0, 0.2, 0.5, 0.8, 1.0])
def test_outline_shows_in_grey_on_any_ground(grey: float) -> None:
    """Across the outline two neighbours differ by the whole range, whatever the frame."""
    frame, mask = scene(grey)
    luma = (draw_mask(frame, mask, line_px=1) * LUMA).sum(0)
    assert (luma[9, 10] - luma[9, 9]).item() == pytest.approx(1)


def test_border_of_the_picture_is_no_outline() -> None:
    frame, mask = scene()[0], torch.ones(20, 31, dtype=torch.bool)
    everywhere = draw_mask(frame, mask)
    assert everywhere.amax((1, 2)).tolist() == everywhere.amin((1, 2)).tolist()
    assert torch.equal(draw_mask(frame, ~mask), frame)


def test_outline_grows_with_the_frame() -> None:
    small, large = torch.zeros(3, 100, 160), torch.zeros(3, 960, 1200)
    for frame, width in ((small, 1), (large, 4)):
        mask = torch.zeros(frame.shape[1:], dtype=torch.bool)
        mask[:, : mask.shape[1] // 2] = True
        white = (draw_mask(frame, mask) == 1).all(0)
        assert white[0].sum() == width


def test_one_pixel() -> None:
    frame = torch.zeros(3, 1, 1)
    drawn = draw_mask(frame, torch.ones(1, 1, dtype=torch.bool), strength=1)
    assert drawn.flatten().tolist() == pytest.approx(COLOUR)


def test_bad_input() -> None:
    frame, mask = scene()
    with pytest.raises(
        ShapeError, match=r"mask must be bool of the frame's size \(20, 31\): got torch.bool \(19, 31\)"
    ):
        draw_mask(frame, mask[1:])
    with pytest.raises(ShapeError, match=r"got torch\.float32"):
        draw_mask(frame, mask.float())
    with pytest.raises(ShapeError, match=r"frame must lie within 0\.\.1"):
        draw_mask(255 * frame, mask)
    with pytest.raises(SpecError, match="colour and strength must lie within"):
        draw_mask(frame, mask, strength=1.5)
    with pytest.raises(SpecError, match="line_px must be at least 0: got -1"):
        draw_mask(frame, mask, line_px=-1)
