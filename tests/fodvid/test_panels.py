"""The live cut: the mask is the discoverer's own, and follows tau and alpha."""

import io
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from lib.data.origin import Origin
from lib.fodvid import panels
from lib.fodvid import walkthrough as walk
from lib.fodvid.evaluate import see
from lib.fodvid.scenes import scene_of
from lib.show.panel import GAP_PX, TITLE_ROOM_PX, panel
from tests.fodvid.discovery_scene import HEIGHT, WIDTH, discoverer, truth, video

ORIGIN = Origin("block", "simulated", "MIT", "", "drawn by the test")


@pytest.fixture(scope="module")
def look():
    masks = torch.stack([truth(idx) for idx in range(4)])
    return walk.look_at(see(discoverer(), scene_of("block", torch.stack(list(video(4))), masks, ORIGIN)), 1)


@pytest.fixture(scope="module")
def start(look):
    return {slider.name: slider.value for slider in panels.cut_sliders(look.discoverer.settings)}


def pictures(encoded):
    """Neighbours, eigenvector and mask, (H, W, 3) each, 0..1."""
    sheet = np.asarray(Image.open(io.BytesIO(encoded))).astype(float) / 255
    assert sheet.shape == (TITLE_ROOM_PX + HEIGHT, 3 * WIDTH + 2 * GAP_PX, 3)
    return [sheet[TITLE_ROOM_PX:, at : at + WIDTH] for at in (0, WIDTH + GAP_PX, 2 * (WIDTH + GAP_PX))]


def test_at_the_settings_it_is_the_discoverers_cut(look, start):
    _, found = panels.cut_at(look, look.discoverer.settings)
    cut = look.discoverer.cut(look.features, look.flow_features)
    assert torch.equal(found.mask, cut.mask)
    neighbours, vector, mask = pictures(panels.cut_live(look, start))
    inside = truth(1).numpy()
    # the block is joined to itself alone, the rest to all the rest; the eigenvector is light on the object
    assert neighbours[inside].mean() < 0.3
    assert neighbours[~inside].mean() > 0.7
    assert vector[inside].mean() > 0.9
    assert vector[~inside].mean() < 0.6
    frame = look.frame.permute(1, 2, 0).numpy()
    assert np.abs(mask - frame)[inside].mean() > 3 * np.abs(mask - frame)[~inside].mean()


def test_the_cut_follows_the_sliders(look, start):
    # flow sees the block somewhere else than appearance does
    divided = replace(look, flow_features=look.flow_features.flip(0))
    box = panel(lambda values: panels.cut_live(divided, values), panels.cut_sliders(look.discoverer.settings))
    tau, alpha, picture = box.children
    assert (tau.value, alpha.value) == (start["tau"], start["alpha"])
    first = bytes(picture.value)
    tau.value = 0.0
    assert bytes(picture.value) != first
    # with a tau that all pairs reach, everybody is everybody's neighbour
    assert pictures(panels.cut_live(divided, start | {"tau": -1.0}))[0].min() > 0.9
    tau.value, alpha.value = 0.9, 1.0
    by_appearance = bytes(picture.value)
    alpha.value = 0.0
    assert by_appearance != bytes(picture.value)
    alpha.value, tau.value = start["alpha"], start["tau"]
    assert bytes(picture.value) == first


def test_without_truth_the_mask_has_no_score_and_the_same_move_gives_the_same_bytes(look, start):
    blind = replace(look, truth=None)
    first = panels.cut_live(blind, start)
    assert first != panels.cut_live(look, start)
    started = time.process_time()
    assert panels.cut_live(blind, start) == first
    assert time.process_time() - started < 2
