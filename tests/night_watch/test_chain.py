"""The five steps on a small watch."""

import pytest
import torch

from lib.ir_tracking import load_network
from lib.metrics import average_overlap
from lib.metrics.planes import luma
from lib.night_watch.chain import (
    BRIGHTENED,
    DAYLIGHT,
    ENHANCED,
    VERSIONS,
    background,
    discovered,
    discovery_frames,
    enhanced,
    film_frames,
    followed,
    labelled,
    make_discoverer,
    versions,
)
from lib.night_watch.scene import Watch


def test_versions_have_the_form_of_the_night(watch, videos):
    assert tuple(videos) == VERSIONS
    for video in videos.values():
        assert video.shape == watch.night.shape
        assert video.min() >= 0
        assert video.max() <= 1


def test_the_gain_reaches_the_brightness_of_the_enhanced_video(videos):
    means = [float(luma(videos[name]).mean()) for name in (BRIGHTENED, ENHANCED)]
    assert means[0] == pytest.approx(means[1], abs=0.05)  # but for what is clipped at white


def test_without_truth_there_is_no_daylight(watch):
    blind = Watch("own", watch.night[:4], watch.day, None, watch.origin)
    assert DAYLIGHT not in versions(blind, epochs=0)


def test_enhancing_leaves_the_global_generator_alone(watch, videos):
    before = torch.random.get_rng_state()
    again = enhanced(watch.night, epochs=0, seed=5)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.allclose(again, videos[ENHANCED], atol=1e-6)  # the shipped weights draw nothing


def test_fine_tuning_changes_the_result_and_repeats(watch):
    clip = watch.night[:4, :, :48, :48]
    first, again = (enhanced(clip, epochs=1, seed=1) for _ in range(2))
    assert torch.allclose(first, again, atol=1e-5)
    assert (first - enhanced(clip, epochs=0)).abs().max() > 1e-4


def test_background_by_hand():
    video = torch.tensor([0.2, 0.4, 0.9]).view(3, 1, 1, 1).expand(3, 3, 1, 2)
    masks = torch.tensor([[[False, True]], [[False, True]], [[True, True]]])
    assert torch.allclose(background(video, [0, 1, 2])[0], torch.tensor([[0.5, 0.5]]))
    assert torch.allclose(background(video, [0, 1, 2], masks)[0], torch.tensor([[0.3, 0.5]]))
    assert torch.allclose(background(video, [0, 2], masks[[0, 2]])[0], torch.tensor([[0.2, 0.55]]))


def test_chosen_frames_by_hand():
    assert discovery_frames(9) == [0, 4, 8]
    assert film_frames(9, 3) == [1, 4, 7]
    assert film_frames(3, 3) == [0, 1, 2]


def test_the_walker_is_found_and_the_small_thing_followed_by_daylight(watch):
    bright, truth = watch.truth.bright, watch.truth
    frames = discovery_frames(9)
    masks = discovered(bright, make_discoverer(device="cpu"), frames)
    both = (masks & truth.walker[frames]).sum().item() / (masks | truth.walker[frames]).sum().item()
    assert masks.shape == (3, 72, 96)
    assert both > 0.4
    course = followed(bright, load_network("ir_siamese_short"), truth.boxes[0])
    assert course.boxes.shape == (9, 4)
    assert course.scores.shape == course.seen.shape == (9,)
    assert average_overlap(course.boxes[1:], truth.boxes[1:].double()) > 0.5


def test_labels_are_those_of_the_labeller(watch, labeller):
    found = labelled(watch.night[:2], labeller)
    assert torch.equal(found, watch.truth.labels.expand(2, -1, -1))
