"""Figures show what they were given: how many pictures, which numbers, which colours."""

from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

from lib.context_reg import figures
from lib.context_reg import walkthrough as walk
from lib.context_reg.directional import initial_kernels
from lib.context_reg.networks import LoadedNetwork, NetworkSettings
from lib.context_reg.train import Step
from lib.data.labels import LabelledPicture
from lib.data.origin import Origin
from lib.show.labels import class_colours
from lib.show.panel import GAP_PX, TITLE_ROOM_PX

HEIGHT, WIDTH = 20, 24
KERNELS = initial_kernels("differences").float()


@pytest.fixture
def room():
    labels = torch.zeros(HEIGHT, WIDTH, dtype=torch.int64)
    labels[:, WIDTH // 2 :] = 1
    image = (0.3 + 0.4 * labels.float()).expand(3, -1, -1).clone()
    depth = torch.full((1, HEIGHT, WIDTH), figures.FAR_M / 2)
    return LabelledPicture("halves", image, labels, Origin("halves", "simulated", "MIT", "", "test"), depth=depth)


def shown(figure):
    return [np.asarray(axes.images[0].get_array()) for axes in figure.axes if axes.images]


def titles(figure):
    return [axes.get_title(loc="left") or axes.get_title() for axes in figure.axes if axes.images]


def test_a_room_is_shown_with_classes_and_depth(room):
    pictures = shown(figures.room_figure(room, 4))
    assert len(pictures) == 4
    assert np.allclose(pictures[1][0, 0], class_colours(4)[0], atol=0.01)
    assert np.allclose(pictures[1][0, -1], class_colours(4)[1], atol=0.01)
    assert np.allclose(pictures[3], 0.5, atol=0.01)


def test_a_room_without_depth_has_three(room):
    from dataclasses import replace

    assert len(shown(figures.room_figure(replace(room, depth=None), 4))) == 3


def test_the_legend_names_every_class():
    figure = figures.legend_figure(["floor", "prop"])
    assert [text.get_text() for text in figure.axes[0].texts] == ["floor", "prop"]


def test_kernels_are_shown_with_their_numbers():
    figure = figures.kernel_figure(KERNELS)
    assert len(shown(figure)) == 8
    assert {text.get_text() for text in figure.axes[0].texts} == {"0.71", "-0.71", "0.00"}
    assert len(shown(figures.kernel_figure(initial_kernels("kirsch")))) == 9


def test_weights_are_dark_at_the_edge_and_sigma_pales_them(room):
    pictures = shown(figures.weight_figure(room.image, KERNELS, sigma=0.25, shown=[1, 4]))
    assert len(pictures) == 4
    north, east = pictures[1], pictures[2]
    assert north.min() > 0.99
    assert east[5, WIDTH // 2 - 1] < 0.5
    pale = [one.min() for one in shown(figures.sigma_figure(room.image, KERNELS, [0.05, 0.25, 5.0]))]
    assert pale == sorted(pale)


def test_the_panel_draws_picture_and_weights(room):
    def moved(**values):
        return Image.open(BytesIO(figures.turned(room.image, KERNELS, values)))

    east = moved(sigma=0.25, kernel=5)
    zoom = figures.ENLARGED
    assert east.size == (3 * WIDTH * zoom + HEIGHT * zoom + 3 * GAP_PX, TITLE_ROOM_PX + HEIGHT * zoom)
    north, mean = moved(sigma=0.25, kernel=2), moved(sigma=0.25, kernel=0)
    row, edge = TITLE_ROOM_PX + 15, (WIDTH // 2 - 1) * zoom + 1
    answer, weight = ((count * WIDTH + HEIGHT) * zoom + (count + 1) * GAP_PX for count in (1, 2))
    # the edge runs upwards: only the kernel towards the east answers to it, and gives it a small weight
    assert east.getpixel((answer + edge, row))[0] > 240
    assert north.getpixel((answer + edge, row))[0] < 15
    assert east.getpixel((weight + edge, row))[0] < 150
    assert north.getpixel((weight + edge, row))[0] > 240
    assert 150 < mean.getpixel((weight + edge, row))[0] < 255
    # the kernel itself: light in the middle, dark towards the east, grey elsewhere
    middle = WIDTH * zoom + GAP_PX + HEIGHT * zoom // 2, TITLE_ROOM_PX + HEIGHT * zoom // 2
    step = HEIGHT * zoom // 3
    levels = [east.getpixel((middle[0] + dx, middle[1]))[0] for dx in (-step, 0, step)]
    assert abs(levels[0] - 128) < 10
    assert levels[1] > 245
    assert levels[2] < 10


def test_what_is_paid_is_fainter_at_the_edge_of_the_picture(room):
    rough = walk.rough_prediction(room.labels, 4, num_blobs=0, seed=0)
    _, _, plain, paid = shown(figures.cost_figure(room, rough, KERNELS, sigma=0.25))
    edge = WIDTH // 2
    assert plain[5, edge] == pytest.approx(1, abs=0.05)
    assert paid[5, edge] < 0.7 * plain[5, edge]
    assert paid[5, 2] == pytest.approx(0, abs=1e-6)


def test_the_overview_has_six_pictures(room):
    rough = walk.rough_prediction(room.labels, 4, num_blobs=0, seed=0)
    figure = figures.overview_figure(room.image, rough, KERNELS, sigma=0.25, kernel=4, class_idx=0)
    assert titles(figure) == ["picture I", "|D * I|", "weight W", "probability f", "|D * f|", "W |D * f|"]


def test_push_predictions_and_rooms(room):
    rough = walk.rough_prediction(room.labels, 4, num_blobs=2, seed=0)
    assert len(shown(figures.push_figure(walk.push_on(rough, room.image, 0, sigma=0.25), rough, 0, "floor"))) >= 2
    assert titles(figures.predictions_figure(room, {"a": rough, "b": rough})) == ["a", "b", "truth"]
    table = figures.rooms_figure([room, room], {"alone": [rough, rough]})
    assert titles(table) == ["halves", "alone", "truth"] * 2


def test_a_loaded_network_is_shown_beside_the_truth(room):
    class Third(torch.nn.Module):
        """A network that says "furniture" everywhere."""

        def __init__(self):
            super().__init__()
            self.one = torch.nn.Parameter(torch.ones(()))

        def forward(self, image):
            return self.one * torch.eye(4)[2].view(1, 4, 1, 1).expand(1, 4, *image.shape[-2:])

    loaded = LoadedNetwork(Third(), NetworkSettings("segnet", 4, class_names=("a", "b", "c", "d")))
    figure = figures.segmented_figure(loaded, [room])
    assert titles(figure) == ["halves", "classes", "both", "truth"]
    classes = shown(figure)[1]
    assert (classes == classes[0, 0]).all()


def test_losses_are_drawn_for_every_training():
    steps = [Step(number, 1.0, {"softmax": 1.0, "context": 0.5, "kernel": 0.1}) for number in range(1, 11)]
    bare = [Step(number, 1.0, {"softmax": 1.0, "context": 0.0, "kernel": 0.0}) for number in range(1, 11)]
    left, right = figures.loss_figure({"alone": bare, "regularised": steps}).axes
    assert [line.get_label() for line in left.lines] == ["alone", "regularised"]
    assert [line.get_label() for line in right.lines] == ["context loss", "kernel loss"]
