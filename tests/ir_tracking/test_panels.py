"""The replay of a tracker: the frame that the slider names, boxes where they belong, red where nothing was seen."""

import io
import time

import numpy as np
import pytest
import torch
from PIL import Image

from lib.ir_tracking.panels import REACH_PX, ZOOM, replay_sliders, replayed
from lib.ir_tracking.walkthrough import Follow
from lib.show.panel import GAP_PX, TITLE_ROOM_PX, panel
from tests.ir_tracking.moving_spots import spot_clip, straight

NUM_FRAMES, GONE = 10, 6
SIDE = (2 * REACH_PX + 1) * ZOOM


@pytest.fixture(scope="module")
def clip():
    return spot_clip(straight(NUM_FRAMES), noise=0.5)


@pytest.fixture(scope="module")
def followed(clip):
    """A tracker that is right, two pixels off to the right from the frame on in which it goes on unseen."""
    truths = clip.boxes[:, None].double()
    boxes = truths.clone()
    boxes[GONE:, :, 0] += 2
    seen = torch.ones(NUM_FRAMES, 1, dtype=torch.bool)
    seen[GONE:] = False
    visible = seen.clone()
    centres = boxes[..., :2] + boxes[..., 2:] / 2
    return Follow(boxes, truths, visible, seen, seen.double(), centres, seen.double())


def near(encoded):
    """The enlarged place around the target, (H, W, 3), 0..255."""
    sheet = np.asarray(Image.open(io.BytesIO(encoded))).astype(int)
    assert sheet.shape[0] == TITLE_ROOM_PX + SIDE
    assert sheet.shape[1] > SIDE + GAP_PX
    return sheet[TITLE_ROOM_PX:, -SIDE:]


def redness(picture):
    return (picture[..., 0] - picture[..., 1] > 80) & (picture[..., 0] > 120) & (picture[..., 1] < 130)


def yellowness(picture):
    return (picture[..., 0] > 170) & (picture[..., 1] > 120) & (picture[..., 2] < 90)


def test_yellow_where_seen_and_red_where_not(clip, followed):
    seen, unseen = (near(replayed(clip.frames, followed, {"frame": number})) for number in (GONE - 1, GONE))
    assert yellowness(seen).sum() > 100
    assert redness(seen).sum() == 0
    assert redness(unseen).sum() > 100
    assert yellowness(unseen).sum() == 0


def test_the_box_stands_around_the_spot(clip, followed):
    picture = near(replayed(clip.frames, followed, {"frame": 3}))
    rows, columns = np.nonzero(yellowness(picture))
    middle = (rows.min() + rows.max()) / 2, (columns.min() + columns.max()) / 2
    light = picture.sum(axis=2) * ~yellowness(picture)
    bright_rows, bright_columns = np.nonzero(light > 0.9 * light.max())
    assert abs(bright_rows.mean() - middle[0]) < ZOOM
    assert abs(bright_columns.mean() - middle[1]) < ZOOM


def test_the_replay_plays_and_repeats_itself(clip, followed):
    box = panel(lambda values: replayed(clip.frames, followed, values), replay_sliders(NUM_FRAMES))
    row, picture = box.children
    slider, button = row.children
    assert (slider.value, slider.max, button.max) == (0, NUM_FRAMES - 1, NUM_FRAMES - 1)
    shown = [picture.value]
    for number in range(1, NUM_FRAMES):
        button.value = number
        shown.append(picture.value)
    assert len(set(shown)) == NUM_FRAMES
    started = time.process_time()
    assert replayed(clip.frames, followed, {"frame": 4}) == shown[4]
    assert time.process_time() - started < 2


def test_a_target_without_truth_is_followed_by_the_trackers_own_box(clip, followed, device):
    unknown = Follow(**(vars(followed) | {"truths": torch.full_like(followed.truths, torch.nan)}))
    blind = Follow(**(vars(unknown) | {"visible": torch.zeros_like(unknown.visible)}))
    picture = near(replayed(clip.frames.to(device), blind, {"frame": 3}))
    assert yellowness(picture).sum() > 100
    # two targets: two boxes, two states in the title
    twice = Follow(**{name: torch.cat([value, value], dim=1) for name, value in vars(followed).items()})
    assert replayed(clip.frames, twice, {"frame": 3}) != replayed(clip.frames, followed, {"frame": 3})
