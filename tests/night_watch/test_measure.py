"""Scores of steps: perfect ones are perfect, and by hand."""

from dataclasses import replace

import pytest
import torch

from lib.data.labels import VOID
from lib.data.nyuv2_classes import SUPERCLASSES
from lib.errors import SpecError
from lib.ir_tracking import load_network
from lib.night_watch.chain import DAYLIGHT, ENHANCED, Course, Tools, discovery_frames, film_frames
from lib.night_watch.measure import (
    BLIND,
    DAY,
    MEAN_OF_ALL,
    MEAN_OF_STILL,
    MEASURES,
    Seen,
    blind_scores_of,
    moving,
    room_classes,
    room_iu,
    scores_of,
    start_box,
    way_back,
)


@pytest.fixture(scope="module")
def perfect(watch):
    """What steps without error would have found."""
    truth = watch.truth
    course = Course(truth.boxes.double(), torch.ones(9), torch.ones(9, dtype=torch.bool))
    return Seen(truth.walker[discovery_frames(9)], course, course, truth.labels.expand(3, -1, -1))


def test_perfect_steps_score_perfectly(watch, perfect, labeller):
    videos = {ENHANCED: watch.truth.bright + 0.1 * (watch.truth.bright < 0.5), DAYLIGHT: watch.truth.bright}
    rows = scores_of(watch, videos, {name: perfect for name in videos}, labeller)
    assert set(rows) == {ENHANCED, DAYLIGHT, DAY, MEAN_OF_ALL, MEAN_OF_STILL}
    for name in videos:
        assert rows[name]["j"] == rows[name]["iu"] == 100
        assert rows[name]["aor"] == rows[name]["aor_without"] == pytest.approx(1)
    assert set(rows[ENHANCED]) == set(MEASURES)
    assert "psnr" not in rows[DAYLIGHT]  # infinite
    assert rows[DAY] == {"iu": 100}


def test_a_course_is_scored_after_its_first_frame(watch, perfect, labeller):
    boxes = perfect.course.boxes.clone()
    boxes[0] += 50  # given, so that it doesn't count
    boxes[1:5, 0] += 50
    seen = {ENHANCED: replace(perfect, course=replace(perfect.course, boxes=boxes))}
    row = scores_of(watch, {ENHANCED: watch.night}, seen, labeller)[ENHANCED]
    assert row["aor"] == pytest.approx(0.5)
    assert row["aor_without"] == pytest.approx(1)


def test_pixels_behind_movers_are_not_asked_of_the_labeller(watch, perfect, labeller):
    frames = film_frames(9, 3)
    labels = watch.truth.labels.expand(3, -1, -1).masked_fill(moving(watch.truth)[frames], 7)
    seen = {ENHANCED: replace(perfect, labels=labels)}
    assert scores_of(watch, {ENHANCED: watch.night}, seen, labeller)[ENHANCED]["iu"] == 100


def test_moving_holds_walker_and_box(watch):
    found = moving(watch.truth)
    left, top, wide, high = watch.truth.boxes[2].tolist()
    assert (found & watch.truth.walker).sum() == watch.truth.walker.sum()
    assert found[2, int(top + high / 2), int(left + wide / 2)]
    extra = (found & ~watch.truth.walker)[2].sum()
    assert 0 < extra <= (wide + 1) * (high + 1)


def test_room_iu_by_hand():
    truth = torch.tensor([[[0, 0, 1, VOID]]])
    assert room_iu(torch.tensor([[[0, 0, 1, 5]]]), truth) == 100
    # class 0: 1 of 2, class 1: 1 of 1; class 3 is not in the truth and has no IU of its own
    assert room_iu(torch.tensor([[[0, 3, 1, 0]]]), truth) == pytest.approx(75)
    # class 0: 1 of 2, class 1: 1 of 2
    assert room_iu(torch.tensor([[[0, 1, 1, 0]]]), truth) == pytest.approx(50)


def test_rooms_in_forty_or_four_classes(watch):
    labels = watch.truth.labels
    assert torch.equal(room_classes(labels, 40), labels)
    four = room_classes(labels, 4)
    assert four.max() <= 3
    assert int(four[0, 0]) == SUPERCLASSES[int(labels[0, 0])]
    with pytest.raises(SpecError, match="40 or 4"):
        room_classes(labels, 13)


def test_without_truth_scores_are_refused_and_the_start_is_detected(watch, perfect, labeller):
    blind = replace(watch, truth=None)
    with pytest.raises(SpecError, match="no truth"):
        scores_of(blind, {}, {}, labeller)
    video = torch.full((9, 3, 72, 96), 0.2)
    video[:, :, 30:33, 40:43] = 0.9
    box = start_box(blind, {ENHANCED: video})
    assert (box[:2] + box[2:] / 2 - torch.tensor([41.5, 31.5])).abs().max() < 0.3
    assert torch.equal(start_box(watch, {}), watch.truth.boxes[0])


def test_blind_scores_of_a_still_day(watch, perfect, labeller):
    tools = Tools(None, load_network("ir_siamese_short"), None, labeller)
    still = watch.day.expand(9, -1, -1, -1)
    rows = blind_scores_of(watch, {ENHANCED: still}, {ENHANCED: perfect}, tools)
    assert set(rows[ENHANCED]) == set(BLIND)
    assert rows[ENHANCED]["flicker"] == 0
    assert rows[ENHANCED]["like_day"] == 100
    assert 0 < rows[ENHANCED]["steady"] < 100  # the masks walk


def test_way_back_of_a_spot_that_goes_and_of_one_that_is_lost(watch, labeller):
    tools = Tools(None, load_network("ir_siamese_short"), None, labeller)
    x, y = torch.arange(96) + 0.5, torch.arange(72) + 0.5
    across = 30 + torch.arange(9.0)
    spot = torch.exp(-((x - across[:, None]).square()[:, None, :] + (y - 30).square()[None, :, None]) / 2.4)
    video = (0.2 + 0.6 * spot)[:, None].expand(-1, 3, -1, -1)
    boxes = torch.stack([torch.tensor([float(a) - 1.8, 28.2, 3.6, 3.6]) for a in across]).double()
    course = Course(boxes, torch.ones(9), torch.ones(9, dtype=torch.bool))
    assert way_back(video, course, tools) < 0.5
    boxes = boxes.clone()
    boxes[0, 0] += 20
    assert way_back(video, replace(course, boxes=boxes), tools) == pytest.approx(20, abs=0.5)
