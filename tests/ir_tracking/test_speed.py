"""The races' peers compute what ours does, and every row has one or says what is missing."""

import numpy as np
import pytest
import torch
from scipy.ndimage import grey_opening
from skimage.morphology import opening

from lib.ir_tracking.background import suppress_background
from lib.ir_tracking.settings import FilterSettings
from lib.ir_tracking.speed import OPENING_PX, cloudy_frame, compose, line_masks, opencv_filter, races


@pytest.mark.parametrize("length", [9, 15])
def test_peers_agree_inside(length: int) -> None:
    frame, square = cloudy_frame(90, 120), np.ones((OPENING_PX, OPENING_PX), np.uint8)
    ours = suppress_background(frame, settings=FilterSettings(length, opening_px=OPENING_PX))
    masks = line_masks(length)
    inner = slice(length + OPENING_PX, -length - OPENING_PX)  # other libraries mirror the frame at its border
    peers = [
        opencv_filter(frame.numpy(), masks, square),
        compose(frame.numpy(), masks, square, opening),
        compose(frame.numpy(), masks, square, lambda image, mask: grey_opening(image, footprint=mask)),
    ]
    for theirs in peers:
        for one, other in zip(ours, theirs, strict=True):
            assert np.array_equal(one.numpy()[inner, inner], other[inner, inner])


def test_every_row_has_its_peer_or_says_what_is_missing() -> None:
    rows = races()
    assert [row.goal for row in rows if "by shifts, L = 15" in row.work] == [0.7, 25, 25]
    assert all(callable(row.ours) or isinstance(row.ours, str) for row in rows)
    filters = [row for row in rows if row.work.startswith("filter")]
    assert {row.check() for row in filters if row.check} == {"same bits"}
    if not torch.cuda.is_available():
        assert [row.ours for row in rows if "GPU" in row.work] == ["needs a GPU"]


def test_networks_and_tracker_run() -> None:
    wide, small = races()[-2:]
    assert wide.check is not None
    assert float(wide.check().split()[2]) < 1e-3
    assert callable(small.ours)
    small.ours()
    assert small.peer == pytest.approx(20 / 60)
