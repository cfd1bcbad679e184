"""Figures: what they show, their labels, and that they leave matplotlib's state alone."""

import io
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch
from matplotlib import rcParams
from PIL import Image

from lib.errors import ShapeError, SpecError
from lib.show.canvas import PALETTE, ShownFigure, method_colours, pixels
from lib.show.figures import film_figure, image_grid, plane_grid, signed_map, time_slices, vector_field
from lib.show.plots import interval_plot, mean_interval, profile_plot, score_plot


def picture(height: int = 12, width: int = 16) -> torch.Tensor:
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(0))


def test_image_grid_shows_each_picture_under_its_title() -> None:
    images = [picture(), picture(20, 9), torch.zeros(5, 7, dtype=torch.bool), torch.ones(1, 4, 4)]
    figure = image_grid(images, ["a", "b", "mask", "plane"], columns=3)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["a", "b", "mask", "plane"]
    np.testing.assert_allclose(figure.axes[0].images[0].get_array(), picture().permute(1, 2, 0), atol=1e-7)
    assert all(axes.images[0].get_clim() == (0, 1) for axes in figure.axes)


def test_pictures_outside_0_to_1_are_clipped_and_gradients_dropped() -> None:
    image = (3 * picture() - 1).requires_grad_()
    shown = pixels(image)
    assert shown.min() == 0
    assert shown.max() == 1


def test_planes_share_one_bar_with_its_unit() -> None:
    planes = [torch.tensor([[0.0, -2.0]]), torch.tensor([[1.0, 0.5]])]
    figure = plane_grid(planes, ["x", "y"], unit="grey levels / px", signed=True, columns=2)
    *maps, bar = figure.axes
    assert {axes.images[0].get_clim() for axes in maps} == {(-2.0, 2.0)}
    assert bar.get_ylabel() == "grey levels / px"
    assert plane_grid(planes, ["x", "y"], unit="px", limit=5).axes[0].images[0].get_clim() == (0, 5)


def test_a_plane_of_zeros_has_a_range() -> None:
    assert signed_map(torch.zeros(4, 4), "difference", "grey levels").axes[0].images[0].get_clim() == (-1, 1)


def test_vector_field_draws_block_means_in_grey_levels() -> None:
    field_x, field_y = torch.full((16, 24), 0.1), torch.zeros(16, 24)
    figure = vector_field(field_x, field_y, "constant field", step_px=8)
    (arrows,) = [item for item in figure.axes[0].collections if hasattr(item, "U")]
    assert arrows.N == 2 * 3
    np.testing.assert_allclose(arrows.U, 25.5, rtol=1e-5)
    np.testing.assert_allclose(arrows.V, 0, atol=1e-9)
    vector_field(field_x * 0, field_y, "nothing", background=picture(16, 24), step_px=50).savefig(io.BytesIO())


def test_profile_plot_labels_axes_and_keeps_a_methods_look() -> None:
    colours = method_colours(["ours", "average", "blend"])
    lines = {"blend": ([0, 1, 2], [0.0, 1.0, 0.5]), "ours": ([0, 1, 2], [0.0, 0.1, 0.0])}
    figure = profile_plot(
        lines,
        x_label="distance (px)",
        y_label="deviation (grey levels)",
        colours=colours,
        published={"ours": ([1], [0.2])},
    )
    (axes,) = figure.axes
    drawn = {line.get_label(): line for line in axes.lines}
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("distance (px)", "deviation (grey levels)")
    assert drawn["blend"].get_color() == colours["blend"] == PALETTE[2]
    assert drawn["blend"].get_marker() == "^"
    assert drawn["ours, published"].get_markerfacecolor() == "white"


def test_score_plot_shows_means_intervals_and_hollow_published_values() -> None:
    figure = score_plot({"a": [1.0, 2.0, 3.0], "b": 4.0}, label="score (dB)", published={"a": 2.5})
    (axes,) = figure.axes
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["a", "b"]
    assert [container.lines[0].get_xdata()[0] for container in axes.containers] == [2.0, 4.0]
    hollow = [line for line in axes.lines if line.get_markerfacecolor() == "none"]
    assert [line.get_xdata()[0] for line in hollow] == [2.5]


def test_interval_is_students() -> None:
    mean, half_width = mean_interval([1.0, 2.0, 3.0])
    assert mean == 2.0
    assert half_width == pytest.approx(4.3026527 / 3**0.5)  # t at 0.975 with 2 degrees of freedom
    assert mean_interval([7.0]) == (7.0, 0.0)


def grid() -> ShownFigure:
    return image_grid([picture()], ["a"])


def plot() -> ShownFigure:
    return score_plot({"a": 1.0}, label="score")


@pytest.mark.parametrize(("make", "mime_type"), [(grid, "image/jpeg"), (plot, "image/png")])
def test_encoding_is_the_same_every_time(make: Callable[[], ShownFigure], mime_type: str) -> None:
    first, second = make().encoded(), make().encoded()
    assert first == second
    assert first[0] == mime_type
    assert Image.open(io.BytesIO(first[1])).width > 300


def test_drawing_leaves_the_callers_matplotlib_alone() -> None:
    before = dict(rcParams)
    grid()
    plot()
    assert dict(rcParams) == before


def test_palette_gets_lighter_so_that_neighbours_differ_in_grey() -> None:
    levels = [np.dot([int(colour[i : i + 2], 16) for i in (1, 3, 5)], [0.299, 0.587, 0.114]) for colour in PALETTE[:6]]
    assert all(second - first >= 15 for first, second in pairwise(levels))
    assert levels[-1] < 200  # still seen on white


def test_bad_input_is_answered_in_one_sentence() -> None:
    with pytest.raises(ShapeError, match="a title for each"):
        image_grid([picture()], ["a", "b"])
    with pytest.raises(ShapeError, match="at least one picture"):
        image_grid([], [])
    with pytest.raises(ShapeError, match="take one frame"):
        image_grid([picture()[None]], ["a"])
    with pytest.raises(ShapeError, match="use image_grid"):
        plane_grid([picture()], ["a"], unit="px")
    with pytest.raises(ShapeError, match="one shape"):
        vector_field(torch.zeros(3, 4), torch.zeros(4, 3), "")
    with pytest.raises(SpecError, match="at least one line"):
        profile_plot({}, x_label="", y_label="")
    with pytest.raises(SpecError, match="at least one score"):
        score_plot({}, label="")


def test_a_film_has_a_row_for_each_clip_and_its_times():
    clip = torch.rand(6, 3, 24, 36, generator=torch.Generator().manual_seed(0))
    figure = film_figure({"night": clip, "W'": clip[:, 0]}, [0, 5], fps=25.0)
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "night, 0.00 s",
        "night, 0.20 s",
        "W', 0.00 s",
        "W', 0.20 s",
    ]


def test_a_time_slice_runs_downwards():
    clip = torch.zeros(5, 3, 24, 36)
    clip[4, :, 7] = 1
    image = time_slices({"night": clip}, row=7).axes[0].images[0].get_array()
    assert image.shape[1] == 36
    assert image[-1].min() == 1
    assert image[0].max() == 0


def test_an_interval_plot_sorts_its_points_and_gives_each_its_interval():
    axes = interval_plot({"a": {2.0: [5.0], 1.0: [1.0, 2.0, 3.0]}}, x_label="x", y_label="y").axes[0]
    line, _, (bars,) = axes.containers[0]
    assert line.get_xydata().tolist() == [[1.0, 2.0], [2.0, 5.0]]
    low, high = bars.get_segments()[0][:, 1]
    _, half_width = mean_interval([1.0, 2.0, 3.0])
    assert (low, high) == pytest.approx((2 - half_width, 2 + half_width))
    with pytest.raises(SpecError, match="interval_plot needs at least one line"):
        interval_plot({}, x_label="x", y_label="y")
