"""Readers of videos with masks: layouts made here, and the real sequences where they are."""

from pathlib import Path

import pytest
import torch

from lib.data.images import write_image
from lib.data.masks import write_mask
from lib.data.object_videos import FBMS59, VAL, Davis2016, SegTrackV2
from lib.errors import DataMissing, LabError, SpecError

SIZE = (6, 8)


def picture(folder: Path, name: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_image(folder / name, torch.full((3, *SIZE), 0.5))


def truth(folder: Path, name: str, column: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    mask = torch.zeros(SIZE, dtype=torch.bool)
    mask[:, column] = True
    write_mask(folder / name, mask)


@pytest.fixture
def davis(tmp_path: Path) -> Path:
    for name in ("dog", "bear"):
        for idx in range(3):
            picture(tmp_path / "JPEGImages/480p" / name, f"{idx:05d}.jpg")
            truth(tmp_path / "Annotations/480p" / name, f"{idx:05d}.png", idx)
    return tmp_path


def test_davis_subset_says_what_is_missing(davis: Path) -> None:
    data = Davis2016(davis)
    assert data.names == ["dog"]
    assert data.missing == [name for name in VAL if name != "dog"]
    assert Davis2016(davis, "train").names == ["bear"]
    video = Davis2016(davis, ["bear"])[0]
    assert len(video) == 3
    assert video.annotated == (0, 1, 2)
    assert [frame.shape for frame in video.frames()] == [(3, *SIZE)] * 3
    assert [int(mask.int().sum(0).argmax()) for mask in video.masks()] == [0, 1, 2]
    assert video.origin().name == "DAVIS-2016 bear"
    assert len(VAL) == 20


def test_davis_names_what_is_absent(davis: Path) -> None:
    with pytest.raises(DataMissing, match=r"no sequence cow; it has bear, dog.*CC BY"):
        Davis2016(davis, ["cow"])
    with pytest.raises(SpecError, match="val, train or a list"):
        Davis2016(davis, "test")
    (davis / "Annotations/480p/dog/00001.png").unlink()
    with pytest.raises(DataMissing, match=r"dog has no mask for 00001\.jpg"):
        Davis2016(davis)
    with pytest.raises(DataMissing, match="not a folder"):
        Davis2016(davis / "nowhere")


def test_segtrack_merges_objects(tmp_path: Path) -> None:
    for idx in range(2):
        picture(tmp_path / "JPEGImages/bmx", f"bmx_{idx}.png")
        truth(tmp_path / "GroundTruth/bmx/1", f"bmx_{idx}.png", 0)
        truth(tmp_path / "GroundTruth/bmx/2", f"bmx_{idx}.png", 3)
        picture(tmp_path / "JPEGImages/frog", f"f{idx}.png")
        truth(tmp_path / "GroundTruth/frog", f"f{idx}.png", 5)
    bmx, frog = SegTrackV2(tmp_path)
    assert bmx.mask(1).any(dim=0).nonzero().flatten().tolist() == [0, 3]
    assert frog.mask(0).any(dim=0).nonzero().flatten().tolist() == [5]
    with pytest.raises(DataMissing, match="SegTrack v2 comes from"):
        SegTrackV2(tmp_path / "GroundTruth")


def test_fbms_has_masks_for_some_frames(tmp_path: Path) -> None:
    for idx in range(1, 4):
        picture(tmp_path / "Testset/cats01", f"cats01_{idx:02d}.jpg")
    white = torch.ones(3, *SIZE)
    white[:, :, 2] = 0.2
    folder = tmp_path / "Testset/cats01/GroundTruth"
    folder.mkdir()
    write_image(folder / "cats01_02_gt.png", white)
    video = FBMS59(tmp_path)[0]
    assert video.annotated == (1,)
    assert video.mask(1).any(dim=0).nonzero().flatten().tolist() == [2]
    with pytest.raises(DataMissing, match="no mask for its frame 0"):
        video.mask(0)
    with pytest.raises(LabError, match="split must be one of train, test"):
        FBMS59(tmp_path, "val")


def test_real_sequences(reference: Path) -> None:
    root = reference / "realdata" / "davis2016"
    if not root.is_dir():
        pytest.skip("no DAVIS sequences in the reference material")
    data = Davis2016(root)
    assert len(data) == 7
    assert {name: len(video) for name, video in zip(data.names, data, strict=True)}["bmx-trees"] == 80
    assert next(data[0].frames()).shape == (3, 480, 854)
    assert 0.01 < next(data[0].masks()).float().mean() < 0.5
