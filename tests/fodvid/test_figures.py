"""Figures of the walkthrough hold the pictures that they promise; the clicked picture is quick and marks its patch."""

import io
import time

import numpy as np
import pytest
import torch
from PIL import Image

from lib.data.origin import Origin
from lib.fodvid import figures
from lib.fodvid import walkthrough as walk
from lib.fodvid.affinity import cosine_similarity
from lib.fodvid.evaluate import see
from lib.fodvid.scenes import scene_of
from lib.fodvid.train import Step
from tests.fodvid.discovery_scene import HEIGHT, PATCH, WIDTH, discoverer, truth, video

ORIGIN = Origin("block", "simulated", "MIT", "", "drawn by the test")
COUNT = 4


@pytest.fixture(scope="module")
def seen():
    masks = torch.stack([truth(idx) for idx in range(COUNT)])
    return see(discoverer(), scene_of("block", torch.stack(list(video(COUNT))), masks, ORIGIN))


@pytest.fixture(scope="module")
def look(seen):
    return walk.look_at(seen, 1)


@pytest.fixture(scope="module")
def cut(seen, look):
    return seen.discoverer.cut(look.features, look.flow_features)


def titles(figure):
    return [axes.get_title(loc="left") for axes in figure.axes if axes.get_title(loc="left")]


def shown(figure, idx):
    return np.asarray(figure.axes[idx].images[0].get_array())


def test_each_figure_has_its_pictures(seen, look, cut):
    masks = [truth(idx) for idx in range(COUNT)]
    assert titles(figures.video_figure(seen, [0, 3])) == ["frame 0", "frame 3"]
    assert titles(figures.patch_figure(look)) == ["8 x 12 patches", "their features as colours"]
    assert len(titles(figures.similarity_figure(look, walk.three_patches(look), alpha=0.5))) == 9
    assert len(titles(figures.flow_figure(look, walk.raw_flow(seen, 1)))) == 3
    assert titles(figures.masks_figure(look.frame, {"a": masks[1], "b": masks[1]})) == ["a", "b"]
    assert titles(figures.overview_figure(look, cut))[-1] == "coarse mask"
    film = titles(figures.film(seen, {"ours": masks}, [0, 2]))
    assert film == ["ours, frame 0", "truth, frame 0", "ours, frame 2", "truth, frame 2"]
    assert titles(figures.frames_figure([look.frame], [masks[1]], ["alone"])) == ["alone"]


def test_flow_title_says_whether_the_camera_is_out(seen, look):
    assert "as the graph sees it" in titles(figures.flow_figure(look, walk.raw_flow(seen, 1)))


def test_the_grid_lies_between_patches(look):
    drawn = shown(figures.patch_figure(look), 0)
    frame = look.frame.permute(1, 2, 0).numpy()
    changed = np.abs(drawn - frame).max(axis=2) > 1e-6
    assert changed[PATCH].all()
    assert changed[:, PATCH].all()
    assert not changed[1:PATCH, 1:PATCH].any()


def test_sorting_by_the_eigenvector_gathers_the_object(look, cut):
    similarity = cosine_similarity(look.features.tokens[0], look.flow_features, alpha=0.5)
    graph = walk.graph_of(look, look.discoverer.settings)
    matrix = shown(figures.affinity_figure(similarity, graph.edges, cut), 2)
    joined = 1 - matrix
    assert joined.sum() == graph.edges.sum()
    # the nine patches of the block come last
    assert joined[-9:, -9:].all()
    assert not joined[:-9, -9:].any()
    large = torch.ones(700, 700, dtype=torch.bool)
    wide = type(cut)(cut.mask, torch.rand(20, 35), 0.1, (0, 0), False)
    assert shown(figures.affinity_figure(large.float(), large, wide), 1).shape == (175, 175)


def test_the_eigenvector_is_drawn_with_its_mean(cut):
    figure = figures.eigenvector_figure(cut)
    plane, counts = figure.axes[:2]
    assert plane.images[0].get_array().shape == (8, 12)
    unit = cut.eigenvector / cut.eigenvector.abs().max()
    assert counts.lines[0].get_xdata()[0] == pytest.approx(float(unit.mean()))
    assert sum(bar.get_height() for bar in counts.patches) == 96


def test_a_click_marks_its_patch_and_is_quick(look):
    values = {"row": 3, "column": 4, "alpha": 0.0}
    figures.clicked(look, values)
    started = time.process_time()
    encoded = figures.clicked(look, values)
    assert time.process_time() - started < 0.5
    picture = np.asarray(Image.open(io.BytesIO(encoded))).astype(int)
    assert picture.shape == (HEIGHT, WIDTH, 3)
    red = figures.heated(look, (3, 4), alpha=0.0)[0]
    assert red[3 * PATCH - 1, 4 * PATCH + 3] == pytest.approx(0.9)
    assert encoded != figures.clicked(look, values | {"alpha": 1.0})
    assert encoded == figures.clicked(look, values)


def test_alike_is_yellow_and_indifferent_is_grey(look):
    tinted = figures.heated(look, walk.object_patch(look), alpha=0.0)
    inside, outside = tinted[:, truth(1)], tinted[:, 60, :8]
    assert (inside[0] - inside[2]).median() > 0.5
    assert (outside[0] - outside[2]).abs().max() < 0.1
    corner = figures.heated(look, (0, 0), alpha=0.5)
    assert corner.shape == look.frame.shape
    assert torch.isfinite(corner).all()


def test_the_loss_starts_at_zero_and_names_its_halves():
    steps = [Step(number, 1 / number, {"same": 0.5 / number, "warped": 0.5 / number}) for number in range(1, 30)]
    axes = figures.loss_figure(steps).axes[0]
    assert axes.get_ylim()[0] == 0
    assert [text.get_text() for text in axes.get_legend().get_texts()] == list(walk.loss_lines(steps))


def test_a_handover_is_shown_in_both_frames(look):
    probability = truth(1).float()
    flow = torch.zeros(1, 2, HEIGHT, WIDTH)
    handed = walk.Handover(look.frame, look.frame, probability, flow, probability, 1 - probability, truth(1))
    figure = figures.handover_figure(handed)
    assert titles(figure)[-1] == "error of the wrong direction"
    assert shown(figure, 5).min() == 1
    assert figure.encoded()[0] == "image/jpeg"
