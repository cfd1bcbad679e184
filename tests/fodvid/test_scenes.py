"""The scenes that discovery is measured on: what they give, what they say of themselves."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lib.data.object_videos import VAL
from lib.errors import DataMissing
from lib.fodvid.scenes import coverage, davis_scenes, origin_of_all, own_scene, sample_scene, scene_of, simulated_scene


def write_davis(root: Path, names: list[str], count: int = 4) -> Path:
    for name in names:
        for part, suffix in (("JPEGImages", "jpg"), ("Annotations", "png")):
            folder = root / part / "480p" / name
            folder.mkdir(parents=True)
            for idx in range(count):
                values = np.full((24, 32, 3) if suffix == "jpg" else (24, 32), 40 * idx, dtype=np.uint8)
                Image.fromarray(values).save(folder / f"{idx:05d}.{suffix}")
    return root


def test_simulated_scene_repeats_by_its_seed_and_can_be_read_twice() -> None:
    scene = simulated_scene("horse", seed=1, num_frames=3, height_px=64)
    again = simulated_scene("horse", seed=1, num_frames=3, height_px=64)
    other = simulated_scene("horse", seed=2, num_frames=3, height_px=64)
    first = torch.stack(list(scene.frames()))
    assert torch.equal(first, torch.stack(list(scene.frames())))
    assert torch.equal(first, torch.stack(list(again.frames())))
    assert not torch.equal(first, torch.stack(list(other.frames())))
    assert scene.truths is not None
    masks = list(scene.truths())
    assert len(masks) == scene.num_frames == 3
    assert all(mask.dtype == torch.bool and 0 < mask.float().mean() < 0.5 for mask in masks)
    assert scene.origin.kind == "simulated"


def test_davis_is_read_whole_or_its_first_frames(tmp_path: Path) -> None:
    root = write_davis(tmp_path, ["blackswan", "libby"])
    scenes = davis_scenes(str(root))
    assert [(scene.name, scene.num_frames) for scene in scenes] == [("blackswan", 4), ("libby", 4)]
    short = davis_scenes(str(root), sequences=["libby"], max_frames=2)
    assert [len(list(scene.frames())) for scene in short] == [2]
    assert short[0].truths is not None
    assert len(list(short[0].truths())) == 2
    assert davis_scenes("") == []
    with pytest.raises(DataMissing, match="no sequence bear"):
        davis_scenes(str(root), sequences=["bear"])


def test_coverage_says_what_scores_rest_on(tmp_path: Path) -> None:
    part = davis_scenes(str(write_davis(tmp_path / "part", ["blackswan", "libby"])))
    assert coverage(part) == "2 of 20 sequences: blackswan, libby"
    whole = davis_scenes(str(write_davis(tmp_path / "whole", list(VAL), count=1)))
    assert coverage(whole) == ""
    video = torch.zeros(2, 3, 8, 8)
    other = scene_of("mine", video, None, simulated_scene("horse", seed=0, num_frames=1, height_px=64).origin)
    assert "other clips: mine" in coverage([other])


def test_several_origins_become_one_that_names_them() -> None:
    scenes = [simulated_scene(name, seed=0, num_frames=1, height_px=64) for name in ("horse", "motorcycle")]
    joined = origin_of_all(scenes)
    assert joined.kind == "simulated"
    assert "horse" in joined.name
    assert "motorcycle" in joined.name
    assert origin_of_all(scenes[:1]) == scenes[0].origin


def test_clips_without_truth_have_none(tmp_path: Path) -> None:
    assert sample_scene("walk", num_frames=2, height_px=64).truths is None
    for idx in range(3):
        Image.fromarray(np.zeros((20, 30, 3), dtype=np.uint8)).save(tmp_path / f"{idx}.png")
    own = own_scene(str(tmp_path), num_frames=2, height_px=64)
    assert (own.num_frames, own.truths) == (2, None)
    assert own.origin.kind == "sample"
