import dataclasses
from itertools import islice

import pytest
import torch

from lib.data.images import read_image
from lib.data.samples import sample_clip
from lib.data.simulate import LowLightSettings, UnderwaterSettings, UnderwaterVideo, underwater
from lib.data.simulate.sensor import to_linear
from lib.data.simulate.water import WATERS, through_water
from lib.errors import ShapeError, SpecError


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def walk():
    return sample_clip("walk", max_frames=3).video


def test_one_pixel_by_hand():
    settings = UnderwaterSettings(water="II", depth_m=2.0, near_m=1.0, far_m=3.0, veil=0.4)
    light = through_water(torch.full((3, 1, 1), 0.5), torch.full((1, 1), 3.0), settings=settings)
    for channel, left in enumerate((0.800, 0.925, 0.940)):
        seen = (0.5 * left**3 + 0.4 * (1 - left**3)) * left**2
        assert light[channel].item() == pytest.approx(seen * 0.5 / 0.940**3, rel=1e-5)


def test_at_no_distance_and_no_depth_only_the_camera_is_left(walk):
    settings = UnderwaterSettings(depth_m=0.0, near_m=0.0, far_m=0.0)
    light = through_water(to_linear(walk), torch.zeros(walk.shape[-2:]), settings=settings)
    assert torch.allclose(light, to_linear(walk) * settings.camera.exposure, atol=1e-6)


def test_far_things_fade_into_the_veil():
    settings = UnderwaterSettings(water="7", veil=0.3)
    far = torch.full((1, 1), 200.0)
    black, white = (through_water(torch.full((3, 1, 1), level), far, settings=settings) for level in (0.0, 1.0))
    assert torch.allclose(black, white, rtol=1e-4)


def test_the_water_takes_the_red(walk):
    grey = walk.mean(dim=1, keepdim=True).expand_as(walk)
    for water in WATERS:
        means = underwater(grey, generator=rng(), settings=UnderwaterSettings(water=water)).video.mean(dim=(0, 2, 3))
        # the most turbid coastal waters are brown: they take the blue before the red
        assert means[0] < 0.8 * means[1] or (water in ("5", "7", "9") and means[2] < means[1])


def test_channel_means_lie_among_those_of_real_underwater_pictures(walk, reference):
    folder = reference / "realdata" / "underwater" / "euvp_pairs" / "input"
    if not folder.is_dir():
        pytest.skip("realdata/underwater is not in the reference material")
    real = torch.stack([read_image(path).mean(dim=(1, 2)) for path in sorted(folder.iterdir())])
    bright = dataclasses.replace(UnderwaterSettings().camera, exposure=1.0)
    ours = underwater(walk, generator=rng(), settings=UnderwaterSettings(camera=bright)).video.mean(dim=(0, 2, 3))
    assert (real.min(dim=0).values <= ours).all()
    assert (ours <= real.max(dim=0).values).all()


def test_the_stream_gives_the_same_frames_and_the_same_noise_each_pass(walk):
    clip = underwater(walk, generator=rng(2))
    stream = UnderwaterVideo(walk, generator=rng(2))
    for _ in range(2):
        assert torch.equal(torch.stack(list(stream)), clip.video)
    assert torch.equal(torch.stack(list(islice(stream, 1))), clip.video[:1])
    assert torch.equal(underwater(walk[0], generator=rng(2)).video, clip.video[0])
    assert not torch.equal(underwater(walk, generator=rng(3)).video, clip.video)


def test_truth_distance_and_origin(walk):
    clip = underwater(walk, generator=rng())
    assert clip.truth is walk
    assert clip.distance.shape == walk.shape[-2:]
    assert (clip.distance[0].unique().item(), clip.distance[-1].unique().item()) == (6.0, 1.0)
    assert clip.origin.kind == "simulated"
    own = torch.full(walk.shape[-2:], 2.5)
    assert torch.equal(underwater(walk, generator=rng(), distance=own).distance, own)


def test_a_given_map_equals_the_slope_of_the_settings(walk, device):
    clip = underwater(walk.to(device), generator=rng())
    again = underwater(walk.to(device), generator=rng(), distance=clip.distance.cpu())
    assert clip.video.device.type == device.type
    assert torch.equal(clip.video, again.video)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("water", "Thames"),
        ("depth_m", -1.0),
        ("near_m", float("nan")),
        ("far_m", 0.5),
        ("veil", 1.5),
        ("veil", "thick"),
    ],
)
def test_settings_out_of_range_are_refused(field, value):
    with pytest.raises(SpecError, match=field):
        UnderwaterSettings(**{field: value})


def test_wrong_clips_and_maps_are_refused(walk):
    with pytest.raises(ShapeError, match="finite"):
        underwater(torch.full((3, 4, 4), float("nan")), generator=rng())
    with pytest.raises(ShapeError, match="got shape"):
        underwater(torch.zeros(4, 4), generator=rng())
    with pytest.raises(ShapeError, match="share a grid"):
        underwater(walk, generator=rng(), distance=torch.ones(4, 4))
    with pytest.raises(SpecError, match="at least 0 metres"):
        underwater(walk, generator=rng(), distance=-torch.ones(walk.shape[-2:]))


def test_black_and_white_stay_finite_and_in_range():
    camera = LowLightSettings(exposure=1.0)
    for level in (0.0, 1.0):
        wet = underwater(
            torch.full((3, 5, 1), level), generator=rng(), settings=UnderwaterSettings(camera=camera)
        ).video
        assert torch.isfinite(wet).all()
        assert 0 <= wet.min() <= wet.max() <= 1
