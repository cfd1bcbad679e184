"""Registration: known shifts, real day and night pictures, and what cannot be registered."""

import pytest
import torch
import torch.nn.functional as F

from lib.context_fusion.registration import register_day, translate
from lib.data.images import read_image
from lib.errors import LabError, ShapeError

# median shifts of matched key points that the reference material states, night against day, pixels
STATED = {"20130930_205414": (0.57, -1.19), "20131107_112408": (-0.70, 0.02), "20130904_092414": (0.57, -1.01)}


def scene(seed=0):
    coarse = torch.rand(1, 3, 24, 30, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(coarse, size=(192, 240), mode="bicubic")[0].clamp(0, 1)


def inner(image):
    """The part that a shift fills with picture, not with a repeated border."""
    return image[:, 24:-24, 24:-24]


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.5, -1.25), (6.3, 2.8)])
def test_known_shift_under_another_exposure_is_found(shift):
    day, night = inner(scene()), inner(translate(scene(), *shift)) * 0.3 + 0.02
    before = day.clone(), night.clone()
    found = register_day(day, night)
    assert (found.dx, found.dy) == pytest.approx(shift, abs=0.05)
    assert found.correlation > 0.9
    assert torch.equal(day, before[0])
    assert torch.equal(night, before[1])


def test_whole_pixel_translation_is_a_roll():
    image = scene()
    moved = translate(image, 3, -2)
    assert torch.allclose(moved[:, :-2, 3:], image[:, 2:, :-3], atol=1e-4)


@pytest.mark.parametrize("name", STATED)
def test_real_camera_shifts_are_those_of_key_points(reference, name):
    root = reference / "realdata" / "daynight" / "frankfurt"
    if not root.is_dir():
        pytest.skip("the reference material has no realdata/daynight/frankfurt")
    moving = next(root.glob(f"*/{name}.png"))
    found = register_day(read_image(root / "day" / "20131016_132409.png"), read_image(moving))
    assert (found.dx, found.dy) == pytest.approx(STATED[name], abs=0.25)


def test_what_has_nothing_in_common_is_refused():
    with pytest.raises(LabError, match="cannot be registered"):
        register_day(scene(), torch.zeros(3, 192, 240))
    for seed in range(1, 8):
        with pytest.raises(LabError, match="cannot be registered"):
            register_day(scene(), scene(seed))
    with pytest.raises(LabError, match="16 pixels"):
        register_day(torch.zeros(3, 8, 8), torch.zeros(3, 8, 8))
    with pytest.raises(ShapeError, match="share a grid"):
        register_day(scene(), scene()[:, :-1])
