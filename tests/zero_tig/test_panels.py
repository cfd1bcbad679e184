"""The line between a frame as it was and as it became: what is left of it, what is right of it, and its sliders."""

import io
import time

import numpy as np
import pytest
import torch
from PIL import Image

from lib.errors import ShapeError
from lib.show.panel import TITLE_ROOM_PX, panel
from lib.zero_tig.panels import LEAST_WIDTH_PX, split, split_sliders

BEFORE, AFTER = 0.1, 0.6
HEIGHT, WIDTH = 24, 40
ZOOM = LEAST_WIDTH_PX // WIDTH


@pytest.fixture
def videos():
    return torch.full((3, 3, HEIGHT, WIDTH), BEFORE), torch.full((3, 3, HEIGHT, WIDTH), AFTER)


def levels(encoded):
    """One row of a panel's picture, 0..1."""
    sheet = np.asarray(Image.open(io.BytesIO(encoded))).astype(float) / 255
    assert sheet.shape == (TITLE_ROOM_PX + HEIGHT * ZOOM, WIDTH * ZOOM, 3)
    return sheet[TITLE_ROOM_PX + HEIGHT * ZOOM // 2, :, 0]


@pytest.mark.parametrize(("gain", "left"), [(1.0, BEFORE), (4.0, 4 * BEFORE), (20.0, 1.0)])
def test_left_of_the_line_is_the_input_with_its_gain(videos, gain, left):
    row = levels(split(*videos, {"line": 50, "gain": gain, "frame": 1}))
    middle = WIDTH * ZOOM // 2
    assert np.abs(row[: middle - 2 * ZOOM] - left).max() < 0.02
    assert np.abs(row[middle + ZOOM :] - AFTER).max() < 0.02
    assert row[middle - ZOOM // 2] > 0.9


@pytest.mark.parametrize(("line", "everywhere"), [(0, AFTER), (100, BEFORE)])
def test_at_its_ends_the_line_is_gone(videos, line, everywhere):
    row = levels(split(*videos, {"line": line, "gain": 1.0, "frame": 0}))
    assert np.abs(row - everywhere).max() < 0.02


def test_the_panel_shows_the_frame_that_the_slider_names(videos, device):
    before, after = (video.to(device) for video in videos)
    after[2] = 0.2
    kept = after.clone()
    box = panel(lambda values: split(before, after, values), split_sliders(3))
    line, gain, (frame, _), picture = *box.children[:2], box.children[2].children, box.children[3]
    line.value = 0
    assert np.abs(levels(picture.value) - AFTER).max() < 0.02
    frame.value = 2
    assert np.abs(levels(picture.value) - 0.2).max() < 0.02
    assert (gain.min, frame.max) == (1, 2)
    assert torch.equal(after, kept)


def test_a_move_is_quick_and_gives_the_same_again():
    before, after = torch.rand(2, 2, 3, 150, 266, generator=torch.Generator().manual_seed(0))
    values = {"line": 30, "gain": 3.0, "frame": 1}
    first = split(before, after, values)
    started = time.process_time()
    assert split(before, after, values) == first
    assert time.process_time() - started < 1


def test_videos_of_two_sizes_are_refused(videos):
    with pytest.raises(ShapeError, match="both videos must have one shape"):
        split(videos[0], videos[1][..., :-1], {"line": 50, "gain": 1, "frame": 0})
