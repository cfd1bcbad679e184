"""Every figure has the pictures that it should, under their titles."""

import pytest
import torch

from lib.data.nyuv2_classes import SUPERCLASS_NAMES, class_names
from lib.night_watch import figures
from lib.night_watch.chain import ENHANCED, NIGHT, Course, discovery_frames
from lib.night_watch.measure import Seen


@pytest.fixture
def videos(watch):
    return {NIGHT: watch.night, ENHANCED: watch.truth.bright}


@pytest.fixture(scope="module")
def seen(watch):
    course = Course(watch.truth.boxes.double(), torch.ones(9), torch.ones(9, dtype=torch.bool))
    labels = torch.zeros(3, 72, 96, dtype=torch.int64)
    one = Seen(watch.truth.walker[discovery_frames(9)], course, course, labels)
    return {NIGHT: one, ENHANCED: one}


def titles(figure):
    return [axes.get_title(loc="left") for axes in figure.axes]


def test_watch_shows_the_truth_only_where_it_is_known(watch):
    assert len(titles(figures.watch_figure(watch, 4))) == 4
    blind = type(watch)("own", watch.night, watch.day, None, watch.origin)
    assert titles(figures.watch_figure(blind, 4)) == ["day picture", "night", "night, times 4"]


def test_masks_show_three_frames_of_each_version(videos, seen):
    found = titles(figures.masks_figure(videos, seen))
    assert found[:3] == [f"night, frame {idx}" for idx in (0, 4, 8)]
    assert len(found) == 6


def test_courses_show_true_and_both_found_ones(videos, seen, watch):
    figure = figures.courses_figure(videos, seen, watch.truth.boxes)
    assert titles(figure) == [NIGHT, ENHANCED]
    assert [line.get_label() for line in figure.axes[0].lines] == ["true", "with filter", "without filter"]
    centre = watch.truth.boxes[3, 0] + watch.truth.boxes[3, 2] / 2 - 0.5
    assert figure.axes[0].lines[0].get_xdata()[3] == pytest.approx(float(centre))
    assert len(figures.courses_figure(videos, seen, None).axes[0].lines) == 2


def test_labels_have_their_scores_and_a_legend_for_few_classes(seen):
    scores = {NIGHT: {"iu": 41.6}, ENHANCED: {"j": 3.0}}
    figure = figures.labels_figure(seen, {"truth": torch.zeros(72, 96, dtype=torch.int64)}, scores, SUPERCLASS_NAMES)
    assert titles(figure) == ["night: 42 %", "enhanced", "truth"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(SUPERCLASS_NAMES)
    assert not figures.labels_figure(seen, {}, scores, class_names(40)).legends


def test_backgrounds_stand_beside_their_classes(watch):
    maps = [torch.zeros(72, 96, dtype=torch.int64)] * 2
    figure = figures.backgrounds_figure({"a": watch.day, "b": watch.day}, maps, SUPERCLASS_NAMES)
    assert titles(figure) == ["a", "classes seen in it", "b", "classes seen in it"]


def test_scores_leave_out_what_a_version_lacks():
    scores = {NIGHT: {"psnr": [7.0, 8.0], "j": [20.0, 30.0]}, ENHANCED: {"j": [40.0, 50.0]}}
    figure = figures.scores_figure(scores, [NIGHT, ENHANCED])
    rooms = [[list(line.get_xdata()) for line in axes.lines if line.get_marker() == "."] for axes in figure.axes]
    assert rooms == [[[7.0, 8.0]], [[20.0, 30.0], [40.0, 50.0]], [], []]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == [NIGHT, ENHANCED]
