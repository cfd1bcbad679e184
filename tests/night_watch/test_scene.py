"""The simulated watch: its truth is what its pictures show; the reader of own footage."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from lib.data.images import write_image
from lib.data.simulate.sensor import to_linear
from lib.errors import DataMissing, SpecError
from lib.night_watch.scene import WatchSettings, own_watch, watched_room


def test_same_seed_same_watch_and_another_seed_another(watch):
    again = watched_room(seed=0, num_frames=9, height_px=72)
    other = watched_room(seed=1, num_frames=9, height_px=72)
    assert torch.equal(again.night, watch.night)
    assert torch.equal(again.truth.labels, watch.truth.labels)
    assert not torch.equal(other.truth.labels, watch.truth.labels)


def test_forms_of_all_parts(watch):
    truth = watch.truth
    assert watch.night.shape == truth.bright.shape == (9, 3, 72, 96)
    assert watch.day.shape == (3, 72, 96)
    assert truth.walker.shape == (9, 72, 96)
    assert truth.walker.dtype == torch.bool
    assert truth.boxes.shape == (9, 4)
    assert truth.labels.shape == (72, 96)
    assert watch.night.min() >= 0
    assert watch.night.max() <= 1
    assert watch.origin.kind == "simulated"


def test_nothing_moves_beside_the_walker_and_the_small_thing(watch):
    truth = watch.truth
    centres = truth.boxes[:, :2] + truth.boxes[:, 2:] / 2
    x, y = torch.arange(96) + 0.5, torch.arange(72) + 0.5
    square = (x - centres[:, 0, None]).square()[:, None, :] + (y - centres[:, 1, None]).square()[:, :, None]
    walker = F.max_pool2d(truth.walker[:, None].float(), 7, stride=1, padding=3)[:, 0] > 0
    free = ~(walker | (square < 8**2)).any(dim=0)
    assert free.float().mean() > 0.2
    assert truth.bright[:, :, free].std(dim=0).max() < 1e-6
    assert (truth.bright[0, :, free] - watch.day[:, free]).abs().mean() < 0.05  # the same room but for noise
    assert truth.walker.float().mean(dim=(1, 2)).min() > 0.05


def test_boxes_are_centred_on_the_spot():
    settings = WatchSettings(walker_height=0.1)  # out of the way
    found = watched_room(seed=3, num_frames=12, height_px=96, settings=settings)
    without = watched_room(seed=3, num_frames=12, height_px=96, settings=replace(settings, small_light=1e-6))
    light = (to_linear(found.truth.bright) - to_linear(without.truth.bright)).mean(dim=1)
    x, y = torch.arange(128) + 0.5, torch.arange(96) + 0.5
    total = light.sum(dim=(1, 2))
    seen = torch.stack([(light * x).sum(dim=(1, 2)), (light * y[:, None]).sum(dim=(1, 2))], dim=1) / total[:, None]
    wanted = found.truth.boxes[:, :2] + found.truth.boxes[:, 2:] / 2
    assert (seen - wanted).abs().max() < 0.1
    assert wanted.diff(dim=0).norm(dim=1).max() < 1.5  # no faster than a tracker can follow
    assert wanted.diff(dim=0).norm(dim=1).max() > 0.1


def test_half_the_light_is_half_the_signal():
    means = [
        to_linear(watched_room(seed=2, num_frames=9, height_px=64, settings=WatchSettings(light=light)).night).mean()
        for light in (0.2, 0.4)
    ]
    assert float(means[1] / means[0]) == pytest.approx(2, rel=0.1)


def test_night_is_much_darker_than_day(watch):
    assert watch.night.mean() < 0.35 * watch.truth.bright.mean()


@pytest.mark.parametrize(("field", "value"), [("light", 0.0), ("shade", 1.5), ("small_sigma_px", -1.0)])
def test_settings_out_of_range_are_named(field, value):
    with pytest.raises(SpecError, match=field):
        WatchSettings(**{field: value})


@pytest.mark.parametrize(("num_frames", "height_px"), [(8, 72), (9, 60)])
def test_too_small_a_watch_is_refused(num_frames, height_px):
    with pytest.raises(SpecError, match="at least 9 frames of height 64"):
        watched_room(seed=0, num_frames=num_frames, height_px=height_px)


def test_own_footage_is_read_and_the_day_brought_to_its_size(tmp_path, watch):
    (tmp_path / "film").mkdir()
    for idx, frame in enumerate(watch.night):
        write_image(tmp_path / "film" / f"{idx:03d}.png", frame)
    write_image(tmp_path / "day.png", F.interpolate(watch.day[None], scale_factor=2)[0])
    own = own_watch(str(tmp_path / "film"), str(tmp_path / "day.png"), num_frames=9, height_px=500)
    assert torch.equal(own.night, watch.night)
    assert own.day.shape == watch.day.shape
    assert (own.day - watch.day).abs().mean() < 0.02
    assert own.truth is None
    assert own.to("cpu").truth is None


def test_own_footage_without_day_or_with_too_few_frames_is_refused(tmp_path, watch):
    (tmp_path / "film").mkdir()
    for idx in range(2):
        write_image(tmp_path / "film" / f"{idx}.png", watch.night[idx])
    with pytest.raises(DataMissing, match="day picture"):
        own_watch(str(tmp_path / "film"), "", num_frames=5, height_px=72)
    write_image(tmp_path / "day.png", watch.day)
    with pytest.raises(DataMissing, match="at least 9 frames"):
        own_watch(str(tmp_path / "film"), str(tmp_path / "day.png"), num_frames=5, height_px=72)
