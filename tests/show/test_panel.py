import io

import numpy as np
import pytest
import torch
from PIL import Image

from lib.errors import ShapeError, SpecError
from lib.show.panel import GAP_PX, TITLE_ROOM_PX, Slider, captioned, jpeg, panel

SLIDERS = [Slider("row", "row", 0, 7, 3), Slider("alpha", "share", 0.0, 1.0, 0.4, step=0.1)]


def test_the_picture_follows_the_sliders():
    calls = []

    def render(values):
        calls.append(dict(values))
        return b"picture %d" % len(calls)

    box = panel(render, SLIDERS)
    row, alpha, picture = box.children
    assert calls == [{"row": 3, "alpha": 0.4}]
    assert picture.value == b"picture 1"
    row.value = 5
    assert calls[-1] == {"row": 5, "alpha": 0.4}
    assert isinstance(calls[-1]["row"], int)
    alpha.value = 1.0
    assert calls[-1] == {"row": 5, "alpha": 1.0}
    assert picture.value == b"picture 3"
    assert box.children[2] is picture


def test_a_page_without_a_kernel_shows_one_line():
    shown = panel(lambda _: b"", SLIDERS)._repr_mimebundle_()
    assert shown["text/plain"] == "A panel: row, alpha; it moves where the notebook runs"
    assert "application/vnd.jupyter.widget-view+json" in shown


def test_sliders_keep_to_their_bounds():
    row, alpha, _ = panel(lambda _: b"", SLIDERS).children
    row.value = 99
    assert row.value == 7
    assert (alpha.min, alpha.max, alpha.step, alpha.description) == (0.0, 1.0, 0.1, "share")
    assert not row.continuous_update


def test_errors_of_the_picture_are_not_hidden():
    def render(values):
        if values["row"] > 3:
            raise SpecError("no such row")
        return b""

    row = panel(render, SLIDERS).children[0]
    with pytest.raises(SpecError, match="no such row"):
        row.value = 4


def test_bad_sliders_are_refused():
    with pytest.raises(SpecError, match=r"row must start within 0..7"):
        Slider("row", "row", 0, 7, 8)
    with pytest.raises(SpecError, match="step above 0"):
        Slider("row", "row", 0, 7, 1, step=0)
    with pytest.raises(SpecError, match="different names: got row, row"):
        panel(lambda _: b"", [SLIDERS[0], SLIDERS[0]])


def test_jpeg_holds_the_image():
    image = torch.tensor([0.8, 0.4, 0.1]).view(3, 1, 1).expand(3, 16, 24)
    decoded = np.asarray(Image.open(io.BytesIO(jpeg(image))))
    assert decoded.shape == (16, 24, 3)
    assert np.abs(decoded.astype(float) - 255 * np.array([0.8, 0.4, 0.1])).max() < 4


def test_a_playing_slider_has_a_button_that_moves_it_and_the_picture():
    seen = []

    def render(values):
        seen.append(values["frame"])
        return b"frame %d" % values["frame"]

    row, picture = panel(render, [Slider("frame", "frame", 0, 9, 4, plays=True)]).children
    slider, button = row.children
    assert (button.min, button.max, button.step, button.value) == (0, 9, 1, 4)
    button.value = 5
    assert slider.value == 5
    assert picture.value == b"frame 5"
    slider.value = 8
    assert button.value == 8
    assert seen == [4, 5, 8]
    with pytest.raises(SpecError, match="alpha must have whole numbers to play"):
        Slider("alpha", "share", 0.0, 1.0, 0.5, step=0.1, plays=True)


def test_captioned_pictures_stand_side_by_side_under_their_titles():
    red = torch.tensor([1.0, 0.0, 0.0]).view(3, 1, 1).expand(3, 8, 10)
    encoded = captioned({"red": red, "grey": torch.full((8, 12), 0.5), "black": torch.zeros(1, 8, 4)}, zoom=4)
    sheet = np.asarray(Image.open(io.BytesIO(encoded))).astype(int)
    assert sheet.shape == (TITLE_ROOM_PX + 32, 40 + 48 + 16 + 2 * GAP_PX, 3)
    pictures = sheet[TITLE_ROOM_PX + 8 : -8]
    assert np.abs(pictures[:, 8:32] - [255, 0, 0]).max() < 8
    assert np.abs(pictures[:, 40 + GAP_PX + 8 : 80] - 128).max() < 8
    assert pictures[:, -8:].max() < 8
    # each title is dark on white, above the left edge of its picture
    titles = sheet[:TITLE_ROOM_PX].min(axis=(0, 2))
    assert titles[:20].min() < 100
    assert titles[40 + GAP_PX : 60 + GAP_PX].min() < 100
    assert encoded == captioned({"red": red, "grey": torch.full((8, 12), 0.5), "black": torch.zeros(1, 8, 4)}, zoom=4)


def test_pictures_that_fit_no_row_are_refused():
    with pytest.raises(ShapeError, match=r"share a height: got \[4, 5\]"):
        captioned({"a": torch.zeros(4, 4), "b": torch.zeros(5, 4)})
    with pytest.raises(ShapeError, match=r"got \(2, 4, 4\)"):
        captioned({"a": torch.zeros(2, 4, 4)})
