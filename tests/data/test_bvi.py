import pytest
import torch

from lib.data.bvi import BVIRLV, BVICoral
from lib.data.images import write_image
from lib.data.video import VideoWriter
from lib.errors import DataMissing, SpecError


def frames(folder, count, level):
    folder.mkdir(parents=True)
    for index in range(count):
        write_image(folder / f"{index:05d}.png", torch.full((3, 4, 6), level))


@pytest.fixture
def rlv(tmp_path):
    for scene in ("S01_toys", "S02", "S11_gift_wrap"):
        for level in (10, 20):
            frames(tmp_path / "input" / scene / f"low_light_{level}", 3, level / 100)
            frames(tmp_path / "gt" / scene / f"normal_light_{level}", 3, 0.8)
    (tmp_path / "train_list.txt").write_text("S02\n", encoding="utf-8")
    (tmp_path / "test_list.txt").write_text("\ufeffS11_gift_wrap\r\nS01_toys\r\n\r\n", encoding="utf-8")
    return tmp_path


def test_scenes_come_in_the_order_of_the_list_level_by_level(rlv):
    data = BVIRLV(rlv, "test")
    assert data.names == ["S11_gift_wrap/10", "S11_gift_wrap/20", "S01_toys/10", "S01_toys/20"]
    assert BVIRLV(rlv, "train", 20).names == ["S02/20"]
    assert BVIRLV(rlv, "all", 10).names == ["S01_toys/10", "S02/10", "S11_gift_wrap/10"]
    assert len(data) == 4
    assert [scene.level for scene in data] == [10, 20, 10, 20]


def test_frames_are_streams_with_their_references(rlv):
    scene = BVIRLV(rlv, "test", 20)[0]
    assert scene.num_frames == 3
    with scene.open() as dark, scene.open_truth() as truth:
        assert dark.num_frames == truth.num_frames == 3
        for image, reference in zip(dark, truth, strict=True):
            assert image.mean().item() == pytest.approx(0.2, abs=0.01)
            assert reference.mean().item() == pytest.approx(0.8, abs=0.01)
        assert len(list(dark)) == 3
    assert (scene.origin.kind, scene.origin.name) == ("benchmark", "BVI-RLV S11_gift_wrap/20")
    assert len(scene.origin.sha256) == 64


def test_no_frame_is_decoded_before_it_is_asked_for(rlv):
    (rlv / "input" / "S02" / "low_light_10" / "00000.png").write_bytes(b"broken")
    scene = BVIRLV(rlv, "train", 10)[0]
    with pytest.raises(DataMissing, match="cannot read"):
        scene.open()


def test_missing_parts_are_named_with_source_and_licence(rlv, tmp_path):
    with pytest.raises(DataMissing, match=r"not a folder; expected input/.*mzny-8c77.*licence"):
        BVIRLV(tmp_path / "none")
    (rlv / "gt" / "S02" / "normal_light_10" / "00001.png").unlink()
    with pytest.raises(DataMissing, match=r"1 frames of S02 at 10 % lack their partner: 00001\.png"):
        BVIRLV(rlv, "train")
    (rlv / "train_list.txt").write_text("S77\n", encoding="utf-8")
    with pytest.raises(DataMissing, match="lacks the folder input/S77/low_light_10/"):
        BVIRLV(rlv, "train")
    (rlv / "train_list.txt").write_text("\n", encoding="utf-8")
    with pytest.raises(DataMissing, match=r"train_list\.txt in .* holds no scene"):
        BVIRLV(rlv, "train")
    (rlv / "train_list.txt").unlink()
    with pytest.raises(DataMissing, match=r"lacks train_list\.txt; write it, or take split='all'"):
        BVIRLV(rlv, "train")
    empty = tmp_path / "empty"
    (empty / "input").mkdir(parents=True)
    with pytest.raises(DataMissing, match="lacks the folder gt/"):
        BVIRLV(empty)
    (empty / "gt").mkdir()
    with pytest.raises(DataMissing, match=r"input/ in .* holds no scene"):
        BVIRLV(empty, "all")


def test_an_empty_scene_is_named(rlv):
    for part in ("input/S02/low_light_10", "gt/S02/normal_light_10"):
        for picture in (rlv / part).iterdir():
            picture.unlink()
    with pytest.raises(DataMissing, match="holds no frame"):
        BVIRLV(rlv, "train", 10)


def test_other_splits_and_levels_are_refused(rlv):
    with pytest.raises(SpecError, match="train, test, all: got 'val'"):
        BVIRLV(rlv, "val")
    with pytest.raises(SpecError, match="10, 20 or None for both: got 50"):
        BVIRLV(rlv, "all", 50)


def test_coral_holds_videos_and_folders_in_natural_order(tmp_path):
    frames(tmp_path / "clip10", 2, 0.3)
    with VideoWriter(tmp_path / "clip2.mp4", fps=25.0) as writer:
        for _ in range(4):
            writer.write(torch.full((3, 16, 16), 0.4))
    (tmp_path / "notes.txt").write_text("", encoding="utf-8")
    (tmp_path / "void").mkdir()
    data = BVICoral(tmp_path)
    assert data.names == ["clip2", "clip10"]
    assert [len(list(clip.open())) for clip in data] == [4, 2]
    assert all(len(clip.origin.sha256) == 64 for clip in data)


def test_coral_says_what_is_missing_and_reads_late(tmp_path):
    with pytest.raises(DataMissing, match=r"holds no clip; expected video files.*Zero-TIG.*ask the authors"):
        BVICoral(tmp_path)
    with pytest.raises(DataMissing, match="not a folder"):
        BVICoral(tmp_path / "none")
    (tmp_path / "a.MOV").write_bytes(b"no video")
    clip = BVICoral(tmp_path)[0]
    with pytest.raises(DataMissing, match="cannot read"):
        clip.open()
