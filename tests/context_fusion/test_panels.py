"""Thresholds and the border of the fused picture, as the sliders set them."""

import io
import time
from typing import get_args

import numpy as np
import pytest
import torch
from PIL import Image

from lib.context_fusion.panels import BORDERS, CUT_AWAY, HEIGHT_PX, explored, explorer_sliders
from lib.context_fusion.settings import ImageSettings, Padding
from lib.context_fusion.still import fuse_image
from lib.show.panel import GAP_PX, TITLE_ROOM_PX, panel

HEIGHT, WIDTH = 48, 64
START = {slider.name: slider.value for slider in explorer_sliders(ImageSettings(gradient_threshold=20.0))}


@pytest.fixture(scope="module")
def pair():
    """A textured day, and a night with a lamp, noise, and a car that the picture's middle cuts in two."""
    generator = torch.Generator().manual_seed(0)
    day = torch.linspace(0.3, 0.7, WIDTH) + 0.2 * torch.rand(HEIGHT, WIDTH, generator=generator)
    day = day.expand(3, -1, -1)
    night = 0.1 * day + 0.15 * torch.rand(HEIGHT, WIDTH, generator=generator)
    night[:, 8:14, 6:12] = 0.9
    night[:, 30:40, 20:44] = 0.4
    return night, day


def pictures(encoded):
    """W, the enhanced picture and what the border changes, (H, W, 3) each, 0..1."""
    sheet = np.asarray(Image.open(io.BytesIO(encoded))).astype(float) / 255
    width = (sheet.shape[1] - 2 * GAP_PX) // 3
    return [sheet[TITLE_ROOM_PX:, at : at + width] for at in (0, width + GAP_PX, 2 * (width + GAP_PX))]


def test_the_panel_shows_what_fuse_image_gives(pair, device):
    night, day = (picture.to(device) for picture in pair)
    importance, image, changed = pictures(explored(night, day, START))
    settings = ImageSettings(gradient_threshold=20.0)
    fusion = fuse_image(*pair, settings=settings)
    assert image.shape == (HEIGHT, WIDTH, 3)
    assert np.abs(importance[..., 0] - fusion.importance.numpy()).mean() < 0.02
    assert np.abs(image - fusion.image.permute(1, 2, 0).numpy()).mean() < 0.02
    # the whole picture with nothing flowing through its border is what the border is compared with
    assert changed.mean() < 0.01


def test_a_higher_threshold_keeps_less_of_the_night(pair):
    shares = [pictures(explored(*pair, START | {"threshold": level}))[0].mean() for level in (0, 20, 100)]
    assert shares[0] > shares[1] > shares[2]
    lamps = [pictures(explored(*pair, START | {"intensity": level, "threshold": 100}))[0].mean() for level in (0, 255)]
    assert lamps[0] > 0.9
    assert lamps[1] < lamps[0]


def test_the_border_changes_a_picture_that_is_cut_through_a_car(pair):
    cut = START | {"width": 50}
    changes = {}
    for number, padding in enumerate(get_args(Padding)):
        importance, image, changed = pictures(explored(*pair, cut | {"border": number}))
        changes[padding] = changed[:, : WIDTH // 2 - 2].mean()
        assert np.abs(image[:, WIDTH // 2 + 8 :] - CUT_AWAY).max() < 0.1
        assert importance.shape == (HEIGHT, WIDTH, 3)
    assert min(changes.values()) > 0.005
    assert len({round(float(value), 4) for value in changes.values()}) == len(BORDERS)


def test_the_sliders_start_at_the_settings_and_move_the_picture(pair):
    sliders = explorer_sliders(ImageSettings(gradient_threshold=17.0, padding="black", feather_px=1.5))
    box = panel(lambda values: explored(*pair, values), sliders)
    threshold, _, feather, width, border, picture = box.children
    assert (threshold.value, feather.value, width.value, border.value) == (17, 1.5, 100, 1)
    assert border.max == len(get_args(Padding)) - 1 == len(BORDERS) - 1
    for slider, value in ((threshold, 40), (feather, 4.0), (width, 60), (border, 0)):
        before = picture.value
        slider.value = value
        assert picture.value != before


def test_a_large_pair_is_shrunk_so_that_a_move_is_quick():
    night, day = torch.rand(2, 3, 500, 700, generator=torch.Generator().manual_seed(0))
    first = explored(night, day, START)
    assert pictures(first)[0].shape[:2] == (HEIGHT_PX, round(700 * HEIGHT_PX / 500))
    started = time.process_time()
    assert explored(night, day, START) == first
    assert time.process_time() - started < 5
