import io

import numpy as np
import pytest
import torch
from PIL import Image

from lib.errors import SpecError
from lib.show.panel import Slider, jpeg, panel

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
