"""Region selection step by step is the tracker's; layers, tables and figures show what they promise."""

import io
from copy import deepcopy

import numpy as np
import pytest
import torch
from PIL import Image

from lib.errors import SpecError
from lib.ir_tracking import figures, look, scan_parts
from lib.ir_tracking import walkthrough as walk
from lib.ir_tracking.network_settings import NetworkSettings
from lib.ir_tracking.select import select
from lib.ir_tracking.settings import FilterSettings
from lib.ir_tracking.tracker import Tracker
from lib.ir_tracking.tracker_settings import TrackerSettings
from lib.ir_tracking.weights import load_network
from tests.ir_tracking.moving_spots import spot_clip, straight

FRAME = 6


@pytest.fixture(scope="module")
def network():
    return load_network()


@pytest.fixture(scope="module")
def clip():
    return spot_clip(straight(10), noise=0.5)


@pytest.fixture(scope="module")
def seen(network, clip):
    centre = clip.boxes[FRAME, :2] + clip.boxes[FRAME, 2:] / 2
    start = (clip.frames[0], clip.boxes[0])
    return look.look_at(network, start, clip.frames[FRAME], centre + 1, spread_px=2.0, truth=clip.boxes[FRAME])


def titles(figure):
    return [axes.get_title(loc="left") for axes in figure.axes if axes.get_title(loc="left")]


def test_the_choice_is_that_of_select(network, clip, seen):
    assert seen.template.shape == (3, 79, 79)
    assert seen.search.shape == (3, 143, 143)
    with torch.no_grad():
        maps = network.search(network.template(seen.template[None]), seen.search[None])
    settings = TrackerSettings()
    ranked = {"penalty_strength": settings.penalty_strength, "window_influence": settings.window_influence}
    best = select(maps, seen.anchors, seen.before[None], spreads=torch.tensor([2.0 * seen.zoom]), **ranked)
    assert int(best.idx) == seen.chosen
    assert float(best.ranks) == pytest.approx(float(seen.ranks.max()), abs=1e-6)
    torch.testing.assert_close(best.boxes[0], seen.boxes.reshape(4, -1)[:, seen.chosen])
    assert look.is_near(seen, within_px=1.0)
    cosine = look.look_at(
        network, (clip.frames[0], clip.boxes[0]), clip.frames[FRAME], clip.boxes[FRAME, :2] + 1.5, spread_px=None
    )
    best = select(maps, seen.anchors, seen.before[None], **ranked)
    assert cosine.window.shape == seen.window.shape
    assert torch.equal(cosine.window[0], cosine.window[1])
    assert float(cosine.window.max()) == pytest.approx(1)
    with pytest.raises(SpecError, match="true box"):
        look.is_near(cosine)


def test_the_choice_is_that_of_the_tracker(network, clip, seen):
    tracker = Tracker(network, TrackerSettings(motion_prior=False, refine_below_px=0.0))
    tracker.start(clip.frames[0], clip.boxes[0])
    tracker.step(clip.frames[1])
    expected = clip.boxes[0, :2] + clip.boxes[0, 2:] / 2
    here = look.look_at(network, (clip.frames[0], clip.boxes[0]), clip.frames[1], expected, spread_px=None)
    x, y = (here.boxes.reshape(4, -1)[:2, here.chosen] / here.zoom + expected).tolist()
    # SiamRPN's window reads the same crop, without filtering more than the crop needs
    assert tracker.motion.centres[0].tolist() == pytest.approx([x, y], abs=1e-3)


def test_every_device_sees_the_same(device, network, clip, seen):
    there = deepcopy(network).to(device)
    frames, boxes = clip.frames.to(device), clip.boxes.to(device)
    centre = boxes[FRAME, :2] + boxes[FRAME, 2:] / 2
    found = look.look_at(there, (frames[0], boxes[0]), frames[FRAME], centre + 1, spread_px=2.0, truth=boxes[FRAME])
    assert found.ranks.device.type == device.type
    torch.testing.assert_close(found.ranks.cpu(), seen.ranks, atol=1e-3, rtol=1e-3)
    assert look.is_near(found)
    followed = walk.follow(there, frames[:4], boxes[:4, None], clip.visible[:4, None].to(device))
    assert float(followed.errors.max()) < 1
    values = {"length": 11, "opening": 2}
    assert len(figures.filtered(frames[2, 0], boxes[2], values)) > 100
    layers = [look.fused_layers(there, crop) for crop in (found.template, found.search)]
    assert titles(figures.features_figure(found, *layers))


def test_other_weights_of_window_and_penalty(seen):
    same = look.look_again(seen, influence=0.4, strength=0.16)
    torch.testing.assert_close(same.ranks, seen.ranks)
    assert torch.equal(look.look_again(seen, influence=1.0, strength=0.16).ranks, seen.window)
    torch.testing.assert_close(look.look_again(seen, influence=0.0, strength=0.0).ranks, seen.scores)


def test_only_networks_with_fusion_and_regions_are_looked_at(clip):
    without = load_network("ir_siamese_no_regions")
    with pytest.raises(SpecError, match="region selection"):
        look.look_at(without, (clip.frames[0], clip.boxes[0]), clip.frames[1], clip.boxes[1, :2], spread_px=2.0)
    with pytest.raises(SpecError, match="no fusion"):
        look.fused_layers(load_network("ir_siamese_no_fusion"), torch.zeros(3, 79, 79))


def test_fused_layers_are_the_networks(network, seen):
    layers = look.fused_layers(network, seen.template)
    assert [name for name, one in layers.items() if one.shape[1:] == (5, 5)] == ["conv3", "conv4", "conv5", "fused"]
    with torch.no_grad():
        assert torch.equal(layers["fused"], network.features(seen.template[None])[0])
        mixed = network.fusion.conv(torch.cat([layers[name] for name in look.TRUNK_LAYERS])[None])[0]
    torch.testing.assert_close(layers["fused"], mixed)


def test_energy_and_similarity_by_hand():
    features = torch.zeros(2, 3, 3)
    features[0, 1, 1], features[1, 0, 0] = 2.0, 1.0
    strong = look.energy(features)
    assert strong.argmax() == 4
    assert float(strong.max()) == 1
    template = torch.zeros(2, 1, 1)
    template[0] = 2.0
    like = look.similarity(template, features)
    assert like.argmax() == 4
    assert float(like[1, 1]) == pytest.approx(1)
    assert float(like[0, 0]) < 0
    # what all cells share changes nothing
    torch.testing.assert_close(look.similarity(template + 5, features + 5), like)


def test_tables(network, seen):
    layers = look.layer_table(network.settings, NetworkSettings())
    # the fact sheet's sizes of AlexNet for 127 and 287 px
    assert [row[5] for row in layers.rows] == ["10 / 30", "8 / 28", "6 / 26", "6 / 26"]
    assert [row[4] for row in layers.rows] == ["384", "384", "256", "256"]
    adapted = look.adaptation_table(3.0, network.settings, tracker=TrackerSettings())
    # s_z is 6 px, magnified 21 times, and the window reaches 6.8 px
    assert adapted.rows[0] == ("SiamRPN, literally", "6.0", "21.2", "6.8", "3.0", "10.0")
    assert float(adapted.rows[1][1]) == network.settings.context_floor_px
    proposals = look.proposal_table(seen, number=4)
    assert [row[-1] for row in proposals.rows] == ["chosen", "", "", ""]
    places = [[float(part) for part in row[0].split(",")] for row in proposals.rows]
    # one pixel beside what was expected
    assert places[0] == pytest.approx([-1, -1], abs=0.6)
    gaps = torch.pdist(torch.tensor(places))
    assert float(gaps.min()) > 2.8


def test_figures_have_their_panels(network, clip, seen):
    settings = walk.scan_settings("sky", scr=4.0, oversampling=[2, 2], height_px=96, num_frames=6)
    assert len(titles(figures.scan_figure(settings, [(1, 1), (2, 2)]))) == 3
    parts = scan_parts.formation(settings, seed=0, frame=1)
    assert titles(figures.formation_figure(parts))[-1] == "sum: the stored frame"
    frame, box = clip.frames[2, 0], clip.boxes[2]
    assert len(titles(figures.frame_figure(frame, box))) == 3
    openings = walk.line_openings(frame, FilterSettings())
    assert len(titles(figures.openings_figure(frame, openings, box))) == 9
    assert titles(figures.stages_figure(walk.filter_stages(frame, FilterSettings()), box))[2] == "U = I - E"
    sizes = figures.opening_sizes_figure(frame, box, sizes=(1, 4), settings=FilterSettings())
    assert titles(sizes) == ["s = 1 x 1", "s = 4 x 4"]
    assert float(np.asarray(sizes.axes[1].images[0].get_array()).max()) < float(
        np.asarray(sizes.axes[0].images[0].get_array()).max()
    )
    assert len(titles(figures.crops_figure(seen))) == 6
    layers = [look.fused_layers(network, crop) for crop in (seen.template, seen.search)]
    assert len(titles(figures.features_figure(seen, *layers))) == 10
    assert len(figures.anchors_figure(seen).axes[0].patches) == network.settings.num_anchors
    assert titles(figures.regions_figure(seen)) == ["score", "penalty", "window", "rank", "the choice"]


def test_films_and_curves_mark_what_was_not_seen(network, clip):
    truths, visible = clip.boxes[:, None], clip.visible[:, None].clone()
    visible[4:6] = False
    followed = walk.follow(network, clip.frames, truths, visible)
    film = figures.film(clip.frames, followed, [0, 4, 9])
    assert titles(film) == ["frame 0", "frame 4", "frame 9"]
    assert [len(axes.patches) for axes in film.axes] == [2, 2, 2]
    course = figures.course_figure(followed, scr=torch.linspace(1, 2, 10))
    assert [text.get_text() for text in course.axes[1].get_legend().get_texts()] == ["score", "true strength"]
    assert len(course.axes[0].patches) == 1
    start, expected = (clip.frames[0], clip.boxes[0]), followed.expected[5, 0]
    again = look.look_at(network, start, clip.frames[5], expected, spread_px=2.0)
    search = figures.search_figure(clip.frames[5, 0], followed, 5, again, settings=TrackerSettings())
    assert titles(search)[0] == "frame 5, the truth dotted"
    # the strongest spot is the target, in the middle of the circle
    x, y = (float(values[0]) for values in search.axes[1].lines[0].get_data())
    circle = search.axes[1].patches[0]
    assert abs(x - circle.center[0]) < 1.5
    assert abs(y - circle.center[1]) < 1.5
    unknown = walk.follow(network, clip.frames, truths.where(visible[..., None], torch.nan), visible)
    assert [len(axes.patches) for axes in figures.film(clip.frames, unknown, [0, 4]).axes] == [2, 1]


def test_sliders_change_their_pictures(clip, seen):
    frame, box = clip.frames[2, 0], clip.boxes[2]
    values = {"length": 11, "opening": 2}
    first = figures.filtered(frame, box, values)
    assert first == figures.filtered(frame, box, values)
    assert first != figures.filtered(frame, box, values | {"opening": 4})
    picture = np.asarray(Image.open(io.BytesIO(first)))
    assert picture.shape[1] == 3 * picture.shape[0]
    chosen = {"influence": 0.4, "strength": 0.16}
    assert figures.chosen(seen, chosen) != figures.chosen(seen, chosen | {"influence": 1.0})
    names = [one.name for one in (*figures.filter_sliders(FilterSettings()), *figures.choice_sliders(0.4, 0.16))]
    assert names == ["length", "opening", "influence", "strength"]
