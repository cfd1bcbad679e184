import dataclasses
from itertools import islice

import pytest
import torch

from lib.data.samples import sample_clip
from lib.data.simulate import LowLightSettings, LowLightVideo, lowlight
from lib.data.simulate.lowlight_clip import darkened, row_noise
from lib.data.simulate.sensor import noise_variance, to_display, to_linear
from lib.errors import ShapeError, SpecError

# no gain, no tint: the physics by hand
PLAIN = LowLightSettings(colour_shift=(1.0, 1.0, 1.0), white_balance=(1.0, 1.0, 1.0))


def rng(seed=0, device="cpu"):
    return torch.Generator(device).manual_seed(seed)


@pytest.fixture(scope="module")
def walk():
    return sample_clip("walk", max_frames=4).video


def test_the_same_generator_gives_the_same_noise_and_another_one_another(walk):
    first, again, other = (lowlight(walk, generator=rng(seed)).video for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    # two clips from one generator don't share their noise either
    generator = rng(3)
    assert torch.equal(lowlight(walk, generator=generator).video, first)
    assert not torch.equal(lowlight(walk, generator=generator).video, first)


def test_truth_is_the_clip_itself_and_stays_unchanged(walk):
    before = walk.clone()
    clip = lowlight(walk, generator=rng())
    assert clip.truth is walk
    assert torch.equal(walk, before)
    assert (clip.exposure, clip.origin.kind) == (0.2, "simulated")
    assert clip.video.dtype == torch.float32
    assert 0 <= clip.video.min() < clip.video.max() <= 1
    steps = clip.video * 255
    assert (steps - steps.round()).abs().max() < 1e-4


def test_the_stream_gives_the_same_frames_again_and_again_and_reads_no_more_than_asked(walk):
    read = []

    def endless():
        for index in range(10**9):
            read.append(index)
            yield walk[index % 4]

    expected = lowlight(walk, generator=rng(5)).video
    stream = LowLightVideo(walk, generator=rng(5))
    for _ in range(2):
        assert torch.equal(torch.stack(list(stream)), expected)
    long = LowLightVideo(endless(), generator=rng(5))
    assert torch.equal(torch.stack(list(islice(long, 4))), expected)
    assert read == [0, 1, 2, 3]


def test_one_picture_stays_one_picture(walk):
    picture = lowlight(walk[0], generator=rng(5))
    assert torch.equal(picture.video, lowlight(walk, generator=rng(5)).video[0])


def test_mean_and_variance_in_linear_light_are_those_of_the_physics():
    grey, exposure = 0.5, 0.2
    settings = dataclasses.replace(PLAIN, exposure=exposure, row_noise_electrons=0.0, levels=1 << 16)
    dark = to_linear(lowlight(torch.full((3, 400, 400), grey), generator=rng(), settings=settings).video.double())
    light = float(to_linear(torch.tensor(grey))) * exposure
    electrons = light * settings.electrons_at_white
    sigma = (electrons + settings.read_noise_electrons**2) ** 0.5 / settings.electrons_at_white
    # 480 000 samples: 5 standard errors of the mean, 1 % of the deviation
    assert dark.mean().item() == pytest.approx(light, abs=5 * sigma / 480_000**0.5)
    assert dark.std().item() == pytest.approx(sigma, rel=0.01)
    assert noise_variance(torch.tensor(light).view(1, 1, 1), settings).sqrt().flatten()[0].item() == pytest.approx(
        sigma
    )


def test_row_noise_is_constant_along_a_row_and_has_its_deviation():
    settings = dataclasses.replace(LowLightSettings(), row_noise_electrons=2.0)
    rows = row_noise(torch.zeros(3, 20_000, 1), generator=rng(), settings=settings)
    assert rows.shape == (3, 20_000, 1)
    gain = torch.tensor(settings.white_balance)
    assert torch.allclose(rows.std(dim=(1, 2)), gain * 2.0 / settings.electrons_at_white, rtol=0.03)
    # in the picture: the row means of a grey card scatter by the row noise beside what is left of the pixel noise
    heavy = dataclasses.replace(PLAIN, row_noise_electrons=20.0)
    dark = to_linear(lowlight(torch.full((3, 800, 300), 0.7), generator=rng(), settings=heavy).video)
    assert dark.mean(dim=2).std().item() * heavy.electrons_at_white == pytest.approx(20, rel=0.1)


def test_without_noise_the_dark_picture_is_the_exposure_times_the_light(walk):
    settings = dataclasses.replace(PLAIN, electrons_at_white=1e12, read_noise_electrons=0.0, row_noise_electrons=0.0)
    dark = lowlight(walk, generator=rng(), settings=settings).video
    assert (dark - to_display(to_linear(walk) * 0.2)).abs().max() <= 0.5 / 255 + 1e-4
    assert torch.equal(darkened(walk, settings=settings), to_display(to_linear(walk) * 0.2))


def test_strong_is_darker_and_noisier_than_mild(walk):
    mild = lowlight(walk, generator=rng(), settings=LowLightSettings.mild())
    strong = lowlight(walk, generator=rng(), settings=LowLightSettings.strong())
    assert strong.video.mean() < 0.8 * mild.video.mean() < 0.8 * 0.6 * walk.mean()

    def noise_after_brightening(clip):
        error = clip.video - darkened(clip.truth, settings=clip.settings)
        return (error.std() / clip.video.mean()).item()

    assert noise_after_brightening(strong) > 2 * noise_after_brightening(mild)


def test_colour_shift_tints_towards_its_colour(walk):
    grey = walk.mean(dim=1, keepdim=True).expand_as(walk)
    means = darkened(grey, settings=LowLightSettings()).mean(dim=(0, 2, 3))
    assert means[0] > means[1] > means[2]


def test_black_and_white_stay_finite_and_in_range(device):
    for level in (0.0, 1.0):
        clip = lowlight(torch.full((2, 3, 1, 7), level, device=device), generator=rng(), settings=PLAIN)
        assert clip.video.device.type == device.type
        assert torch.isfinite(clip.video).all()
        assert clip.video.max() <= to_display(torch.tensor(0.2)) + 0.05


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (torch.zeros(3, 3), "got shape"),
        (torch.zeros(1, 2, 4, 4), "3 channels"),
        (torch.full((3, 4, 4), 200.0), r"within 0\.\.1"),
        (torch.full((3, 4, 4), float("nan")), "finite"),
        (torch.zeros(3, 4, 4, dtype=torch.uint8), "float tensor"),
        (torch.zeros(0, 3, 4, 4), "at least one pixel"),
        ([1.0], "torch tensor"),
    ],
)
def test_a_wrong_clip_is_refused(bad, message):
    with pytest.raises(ShapeError, match=message):
        lowlight(bad, generator=rng())


def test_a_wrong_frame_in_a_stream_is_refused_after_the_good_ones():
    stream = iter(LowLightVideo([torch.zeros(3, 2, 2), torch.full((3, 2, 2), float("inf"))], generator=rng()))
    next(stream)
    with pytest.raises(ShapeError, match="finite"):
        next(stream)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("exposure", 0.0),
        ("exposure", 1.5),
        ("exposure", float("nan")),
        ("exposure", "dark"),
        ("electrons_at_white", 0.0),
        ("read_noise_electrons", -1.0),
        ("row_noise_electrons", -1.0),
        ("row_noise_electrons", True),
        ("colour_shift", (1.0, 0.0, 1.0)),
        ("colour_shift", (1.0, 1.0)),
        ("white_balance", (0.5, 1.0, 1.0)),
        ("white_balance", 1.0),
        ("levels", 1),
        ("levels", 8.5),
    ],
)
def test_settings_out_of_range_are_refused(field, value):
    with pytest.raises(SpecError, match=field):
        LowLightSettings(**{field: value})
