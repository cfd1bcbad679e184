"""Figures of the walkthrough: panels, titles and data that arrive in them."""

import pytest
import torch
from torch import Generator

from lib.context_fusion.figures import (
    colour_fit_figure,
    convergence_figure,
    failures_figure,
    failures_table,
    field_figure,
    gradients_figure,
    integrability_figure,
    reconstruction_figure,
)
from lib.context_fusion.walkthrough import COLOUR_EDGES, Failure

SIZE = (24, 36)


@pytest.fixture(scope="module")
def pictures():
    night, day = torch.rand(2, 3, *SIZE, generator=Generator().manual_seed(0))
    weight = torch.zeros(SIZE)
    weight[8:16, 8:20] = 1
    return night, day, weight


def titles(figure):
    return [axes.get_title(loc="left") for axes in figure.axes if axes.images]


def test_field_figures_have_a_panel_for_each_plane(pictures):
    assert titles(gradients_figure(*pictures[:2])) == [
        "night, along x",
        "night, along y",
        "day, along x",
        "day, along y",
    ]
    assert titles(field_figure(*pictures)) == ["night |∇N|", "day |∇D|", "mixed |G|"]


def test_the_curl_panel_of_a_gradient_is_empty_and_that_of_the_mix_is_not(pictures):
    day, mixed, div = (axes.images[0].get_array() for axes in integrability_figure(*pictures).axes[:3])
    assert abs(day).max() < 1e-3
    assert abs(mixed).max() > 1
    assert div.shape == SIZE


def test_the_reconstruction_is_shown_with_the_mean_of_the_target(pictures):
    night, day, weight = pictures
    shown = reconstruction_figure(day - day.mean(), day, night, day, 0 * weight).axes
    assert abs(shown[0].images[0].get_array() - day.movedim(0, -1).numpy()).max() < 0.01
    assert abs(shown[1].images[0].get_array()).max() < 1e-4


def test_errors_by_cycle_are_drawn_on_a_logarithmic_axis():
    (axes,) = convergence_figure({"one": [10.0, 1.0, 0.1], "two": [20.0, 5.0, 1.0]}).axes
    assert axes.get_yscale() == "log"
    assert [line.get_label() for line in axes.lines[:2]] == ["one", "two"]
    assert list(axes.lines[0].get_xdata()) == [1, 2, 3]


def test_each_channel_shows_its_fitted_line(pictures):
    _, day, _ = pictures
    c1, c2 = torch.tensor([2.0, 1.0, 0.5]), torch.tensor([0.0, 0.1, 0.2])
    figure = colour_fit_figure(day, day, c1, c2)
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "red: T = 2.00 I' + 0",
        "green: T = 1.00 I' + 26",
        "blue: T = 0.50 I' + 51",
    ]


def test_failures_stand_left_of_the_papers_way_and_in_the_table(pictures):
    case = Failure("halo: blend", COLOUR_EDGES, pictures[0], pictures[1], 2.0, 1.0)
    assert titles(failures_figure([case, case])) == ["halo: blend", "the paper's way"] * 2
    assert failures_table([case]).rows == (("halo: blend", "colour edges", "grey levels", "2.00", "1.00"),)
