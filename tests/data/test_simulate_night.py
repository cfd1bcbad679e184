import dataclasses
import itertools

import pytest
import torch

from lib.data.samples import sample_clip, sample_image
from lib.data.simulate import NightSettings, night, night_of_clip
from lib.data.simulate.light import find_sky
from lib.data.simulate.sensor import add_noise, expose, noise_variance, to_display, to_linear
from lib.errors import ShapeError, SpecError


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def day():
    image = sample_image("street").image
    return torch.nn.functional.interpolate(image[None], size=(120, 160), mode="area")[0]


@pytest.fixture(scope="module")
def scene(day):
    return night(day, num_frames=12, generator=rng(3))


def test_the_same_generator_gives_the_same_night_and_another_one_another(day, scene):
    again = night(day, num_frames=12, generator=rng(3))
    other = night(day, num_frames=12, generator=rng(4))
    for field in ("video", "clean", "reference", "movers", "truth"):
        assert torch.equal(getattr(scene, field), getattr(again, field))
    assert not torch.equal(scene.clean, other.clean)


def test_shapes_types_and_ranges(scene):
    assert scene.video.shape == scene.clean.shape == scene.truth.shape == (12, 3, 120, 160)
    assert scene.reference.shape == scene.day.shape == (3, 120, 160)
    assert scene.movers.shape == scene.matte.shape == (12, 120, 160)
    assert scene.movers.dtype == torch.bool
    for tensor in (scene.video, scene.clean, scene.reference, scene.truth, scene.matte):
        assert tensor.dtype == torch.float32
        assert 0 <= tensor.min() < tensor.max() <= 1
    assert scene.origin.kind == "simulated"


def test_the_day_is_not_changed(day):
    before = day.clone()
    night(day, num_frames=2, generator=rng())
    assert torch.equal(day, before)


def test_truth_is_the_day_outside_the_movers_and_the_night_where_they_cover_all(scene):
    outside = ~scene.movers[:, None].expand_as(scene.truth)
    assert torch.equal(scene.truth[outside], scene.day.expand_as(scene.truth)[outside])
    inside = (scene.matte == 1)[:, None].expand_as(scene.truth)
    assert inside.any()
    assert torch.equal(scene.truth[inside], scene.clean[inside])


def test_movers_are_where_the_truth_differs_from_the_day(scene):
    differs = (scene.truth - scene.day).abs().amax(dim=1) > 0
    assert not (differs & ~scene.movers).any()
    # a mover may match the day by chance at single pixels of its edge
    assert (differs & scene.movers).sum() > 0.98 * scene.movers.sum()


def test_movers_move_and_cover_a_plausible_share(scene):
    assert 0.005 < scene.movers.float().mean() < 0.25
    assert (scene.movers[0] ^ scene.movers[-1]).any()


def test_without_traffic_there_is_no_mover_and_the_night_stands_still(day):
    empty = night(day, num_frames=3, generator=rng(), settings=NightSettings(num_cars=0, num_people=0))
    assert not empty.movers.any()
    assert torch.equal(empty.truth, day.expand_as(empty.truth))
    assert torch.equal(empty.clean[0], empty.clean[2])
    assert not torch.equal(empty.video[0], empty.video[2])


def test_reference_is_the_empty_night_with_the_noise_of_a_frame(day):
    quiet = NightSettings(read_noise_electrons=0, electrons_at_white=1e12, levels=65536)
    scene = night(day, num_frames=12, generator=rng(3), settings=quiet)
    far = ~scene.movers.any(dim=0) & (scene.clean - scene.reference).abs().amax(dim=(0, 1)).lt(1e-3)
    assert far.float().mean() > 0.2
    assert (scene.clean.amin(dim=0) - scene.reference)[:, ~scene.movers.any(dim=0)].min() > -1e-3


def test_more_exposure_never_darkens_a_pixel(day):
    scenes = [
        night(day, num_frames=2, generator=rng(1), settings=NightSettings(exposure=exposure)).clean
        for exposure in (0.25, 0.5, 1.0, 2.0, 4.0)
    ]
    for darker, brighter in itertools.pairwise(scenes):
        assert (brighter >= darker - 1e-6).all()
        assert brighter.mean() > darker.mean()


@pytest.mark.parametrize("level", [0.0, 0.01, 0.1, 0.5])
def test_noise_has_the_stated_mean_and_variance(level):
    settings = NightSettings()
    light = torch.full((3, 400, 500), level)
    noisy = add_noise(light, generator=rng(), settings=settings)
    variance = noise_variance(light, settings)[:, 0, 0]
    gain = torch.tensor(settings.white_balance)
    read = gain * settings.read_noise_electrons / settings.electrons_at_white
    assert torch.allclose(variance, gain * level / settings.electrons_at_white + read**2)
    # 200000 samples: the mean is known to sigma/447, the variance to 0.32 %; five times that
    assert ((noisy.mean(dim=(1, 2)) - level).abs() < 5 * variance.sqrt() / 447).all()
    assert torch.allclose(noisy.var(dim=(1, 2)), variance, rtol=0.016)


def test_noise_is_independent_between_pixels_channels_and_frames():
    noisy = add_noise(torch.full((2, 3, 200, 200), 0.1), generator=rng(), settings=NightSettings())
    planes = (noisy - noisy.mean(dim=(-2, -1), keepdim=True)).flatten(0, 1).flatten(1)
    correlation = torch.corrcoef(planes)
    assert (correlation - torch.eye(6)).abs().max() < 0.03
    assert torch.corrcoef(torch.stack([planes[0, :-1], planes[0, 1:]]))[0, 1].abs() < 0.03


def test_the_camera_stores_whole_grey_levels_and_clips():
    light = torch.linspace(-0.1, 3, 300).expand(3, 2, 300)
    stored = expose(light, generator=rng(), settings=NightSettings()) * 255
    assert (stored - stored.round()).abs().max() < 1e-3
    assert stored.min() == 0
    assert stored.max() == 255


def test_display_and_linear_are_inverse_and_monotone():
    steps = torch.linspace(0, 1, 1001)
    assert (to_display(to_linear(steps)) - steps).abs().max() < 1e-5
    assert (to_linear(steps).diff() > 0).all()
    assert to_linear(torch.tensor(0.5)) == pytest.approx(0.21404, abs=1e-4)


def test_sky_is_found_at_the_top_only():
    picture = torch.full((3, 90, 120), 0.3)
    picture[:, :40] = 0.9
    picture[:, 20:40, 50:60] = 0.2
    picture[:, 70:80, 30:40] = 0.9
    sky = find_sky(picture)
    assert (sky[:38, :45] > 0.95).all()
    assert (sky[40:] == 0).all()
    assert (sky[20:40, 50:60] == 0).all()


def test_night_statistics_are_those_of_the_real_nights(reference):
    from lib.data.fixed_camera import FixedCamera

    root = reference / "realdata" / "daynight" / "frankfurt"
    if not root.is_dir():
        pytest.skip("realdata/daynight/frankfurt is not in the reference material")
    data = FixedCamera(root)
    luma = torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)
    shares = torch.tensor([0.1, 0.25, 0.5, 0.75, 0.9])

    def percentiles(image):
        return torch.quantile((image * luma).sum(dim=0).flatten() * 255, shares)

    # the fifth picture is a blue dawn
    real = torch.stack([percentiles(data[index].night) for index in range(4)])
    scene = night(data[0].day, num_frames=1, generator=rng(1), settings=NightSettings(num_cars=0, num_people=0))
    assert (percentiles(scene.clean[0]) - real.mean(dim=0)).abs().max() < 20
    assert ((scene.clean[0].mean(dim=(1, 2)) - data[0].night.mean(dim=(1, 2))).abs() < 12 / 255).all()


def test_the_night_of_a_real_clip_keeps_its_movers():
    clip = sample_clip("street", max_frames=20).video
    scene = night_of_clip(clip, generator=rng())
    assert scene.video.shape == clip.shape
    outside = ~scene.movers[:, None].expand_as(clip)
    assert torch.equal(scene.truth[outside], scene.day.expand_as(clip)[outside])
    assert 0.05 < scene.movers.float().mean() < 0.4
    still = (clip - scene.day).abs().amax(dim=1) < 8 / 255
    assert scene.matte[still].mean() < 0.1
    strong = (clip - scene.day).abs().amax(dim=1) > 80 / 255
    assert scene.matte[strong].mean() > 0.85
    assert scene.clean.mean() < 0.5 * clip.mean()


def test_a_clip_that_stands_still_has_no_movers(day):
    scene = night_of_clip(day.expand(4, -1, -1, -1), generator=rng())
    assert not scene.movers.any()
    assert torch.equal(scene.day, day)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (13, 7)])
def test_tiny_pictures_have_nights_too(size):
    day = torch.rand(3, *size, generator=rng())
    assert night(day, num_frames=3, generator=rng()).video.shape == (3, 3, *size)
    assert night_of_clip(day.expand(2, -1, -1, -1), generator=rng()).video.shape == (2, 3, *size)


def test_the_night_stays_on_the_device_of_the_day(device):
    day = torch.rand(3, 24, 32, generator=rng()).to(device)
    scene = night(day, num_frames=2, generator=rng())
    assert scene.video.device == scene.movers.device == day.device
    assert night_of_clip(day.expand(3, -1, -1, -1), generator=rng()).matte.device == day.device


def test_lamps_stand_at_the_places_that_are_asked_for(day):
    settings = NightSettings(lamp_places=((0.25, 0.5),), num_cars=0, num_people=0)
    with_lamp = night(day, num_frames=1, generator=rng(), settings=settings).clean[0].mean(dim=0)
    brightest = int(with_lamp.argmax())
    assert (brightest % 160, brightest // 160) == (40, 60)
    assert with_lamp[60, 40] > 0.8


def test_wrong_settings_and_inputs_are_one_sentence(day):
    for name, value in (("exposure", 0), ("ambient", -1), ("num_cars", -1), ("lanes", ()), ("levels", 1)):
        with pytest.raises(SpecError):
            dataclasses.replace(NightSettings(), **{name: value})
    with pytest.raises(SpecError, match="num_frames"):
        night(day, num_frames=0, generator=rng())
    for wrong in (day[:2], day[None], day * float("nan"), day * 255, (day * 255).byte()):
        with pytest.raises(ShapeError):
            night(wrong, num_frames=1, generator=rng())
    with pytest.raises(ShapeError):
        night_of_clip(day, generator=rng())
