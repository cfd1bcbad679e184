"""Pedestrians and VID as tracks: layouts made here; boxes without names linked to the tracks they were made of."""

import math
from pathlib import Path

import pytest
import torch

from lib.data.imagenet_vid import AIRPLANE, ImageNetVID
from lib.data.images import write_image
from lib.data.pedestrians import KAIST, OTCBVS
from lib.data.tracks import Box, link_boxes, read_grey
from lib.errors import DataMissing, SpecError

SIZE = (6, 8)


def picture(folder: Path, name: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_image(folder / name.replace(".JPEG", ".png"), torch.full((3, *SIZE), 0.5))


def test_boxes_are_linked_to_the_tracks_they_come_from() -> None:
    generator = torch.Generator().manual_seed(0)
    starts, steps = torch.rand(4, 2, generator=generator) * 100, torch.rand(4, 2, generator=generator) * 2 - 1
    tracks = [
        [(float(start[0] + t * step[0]), float(start[1] + t * step[1]), 8.0, 12.0) for t in range(20)]
        for start, step in zip(starts, steps, strict=True)
    ]
    by_frame = []
    for t in range(20):
        order = torch.randperm(4, generator=generator).tolist()
        by_frame.append([tracks[which][t] for which in order])
    found = link_boxes(by_frame)
    assert sorted(found) == sorted(tracks)


def test_gaps_end_a_track_and_each_box_has_one() -> None:
    box: Box = (1.0, 1.0, 4.0, 4.0)
    near: Box = (2.0, 1.0, 4.0, 4.0)
    found = link_boxes([[box], [], [box], [near, box]])
    assert [[not math.isnan(entry[0]) for entry in track] for track in found] == [
        [True, False, False, False],
        [False, False, True, True],
        [False, False, False, True],
    ]
    assert found[1][3] == box  # the higher overlap goes first
    assert link_boxes([[], []]) == []


def test_grey_of_colours_and_of_grey(tmp_path: Path) -> None:
    write_image(tmp_path / "red.png", torch.stack([torch.ones(SIZE), torch.zeros(SIZE), torch.zeros(SIZE)]))
    assert torch.allclose(read_grey(tmp_path / "red.png"), torch.tensor(0.299))
    write_image(tmp_path / "grey.png", torch.full((3, *SIZE), 100 / 255))
    assert (read_grey(tmp_path / "grey.png") == 100 / 255).all()


@pytest.fixture
def kaist(tmp_path: Path) -> Path:
    for idx in range(25):
        for camera in ("lwir", "visible"):
            picture(tmp_path / "images/set06/V000" / camera, f"I{idx:05d}.png")
        folder = tmp_path / "annotations/set06/V000"
        folder.mkdir(parents=True, exist_ok=True)
        short = f"person {idx} 1 4 4 0 0 0 0 0 0 0\n" if idx < 3 else ""
        text = f"% bbGt version=3\nperson {100 + idx} 20 10 30 0 0 0 0 0 0 0\npeople 1 1 9 9 0 0 0 0 0 0 0\n{short}"
        (folder / f"I{idx:05d}.txt").write_text(text, encoding="utf-8")
    return tmp_path


def test_kaist_people_become_tracks(kaist: Path) -> None:
    data = KAIST(kaist)
    assert data.names == ["set06/V000/0"]
    assert len(data[0]) == 25
    assert data[0].boxes[24].tolist() == [124, 20, 10, 30]
    assert data[0].frame_files[0].parent.name == "lwir"
    every = KAIST(kaist, camera="visible", labels=("person", "people"), least_frames=2)
    assert len(every) == 3
    assert {len(sequence) for sequence in every} == {25, 3}


def test_what_kaist_lacks_is_named(kaist: Path) -> None:
    with pytest.raises(DataMissing, match=r"none of images/set00.*KAIST multispectral pedestrian comes from"):
        KAIST(kaist, "train")
    with pytest.raises(DataMissing, match="no target in at least two frames"):
        KAIST(kaist, labels=("cyclist",))
    with pytest.raises(SpecError, match="split"):
        KAIST(kaist, "val")  # type: ignore[arg-type]
    with pytest.raises(SpecError, match="camera"):
        KAIST(kaist, camera="nir")  # type: ignore[arg-type]
    truth = kaist / "annotations/set06/V000/I00001.txt"
    truth.write_text("person 1 2 three 4\n", encoding="utf-8")
    with pytest.raises(DataMissing, match="a line without a box"):
        KAIST(kaist)
    truth.unlink()
    with pytest.raises(DataMissing, match=r"cannot read .*I00001\.txt"):
        KAIST(kaist)


def test_otcbvs(tmp_path: Path) -> None:
    place = tmp_path / "00001"
    for idx in range(1, 4):
        picture(place, f"img_{idx:05d}.png")
    text = (
        "% name number boxes\nimg_00001.png 1 (10 20 8 16)\n"
        "img_00002.png 2 (12 20 8 16) (90 50 8 16)\nimg_00003.png 1 ( 14  20  8  16 )\n"
    )
    (place / "groundTruth.txt").write_text(text, encoding="utf-8")
    data = OTCBVS(tmp_path)
    assert data.names == ["00001/0"]
    assert data[0].boxes.tolist() == [[10, 20, 8, 16], [12, 20, 8, 16], [14, 20, 8, 16]]
    (place / "groundTruth.txt").write_text("img_00001.png 2 (10 20 8 16)\n", encoding="utf-8")
    with pytest.raises(DataMissing, match="says 2 boxes and has 4 numbers"):
        OTCBVS(tmp_path)
    (place / "groundTruth.txt").write_text("img_00001.png 0\n", encoding="utf-8")
    with pytest.raises(DataMissing, match=r"img_00002\.png"):
        OTCBVS(tmp_path)
    (place / "groundTruth.txt").write_text("".join(f"img_0000{k}.png 0\n" for k in (1, 2, 3)), encoding="utf-8")
    with pytest.raises(DataMissing, match="no target in at least two frames"):
        OTCBVS(tmp_path)
    (place / "groundTruth.txt").unlink()
    with pytest.raises(DataMissing, match=r"has no groundTruth\.txt.*OTCBVS"):
        OTCBVS(tmp_path)
    with pytest.raises(SpecError, match="min_iou"):
        OTCBVS(tmp_path, min_iou=0)


@pytest.fixture
def vid(tmp_path: Path) -> Path:
    for idx in range(4):
        picture(tmp_path / "Data/VID/val/ILSVRC2015_val_00000000", f"{idx:06d}.png")
        folder = tmp_path / "Annotations/VID/val/ILSVRC2015_val_00000000"
        folder.mkdir(parents=True, exist_ok=True)
        objects = ""
        if idx != 2:
            objects += _entry(0, AIRPLANE, idx, occluded=idx == 1)
        if idx > 0:
            objects += _entry(1, "n02084071", idx + 3)
        (folder / f"{idx:06d}.xml").write_text(f"<annotation>{objects}</annotation>", encoding="utf-8")
    return tmp_path


def _entry(track: int, name: str, x: int, *, occluded: bool = False) -> str:
    return (
        f"<object><trackid>{track}</trackid><name>{name}</name><bndbox><xmax>{x + 3}</xmax><xmin>{x}</xmin>"
        f"<ymax>5</ymax><ymin>1</ymin></bndbox><occluded>{int(occluded)}</occluded></object>"
    )


def test_vid_tracks(vid: Path) -> None:
    data = ImageNetVID(vid)
    assert data.names == ["ILSVRC2015_val_00000000"]
    plane, dog = data[0]
    assert plane.name == "ILSVRC2015_val_00000000/0"
    assert plane.visible.tolist() == [True, False, False, True]
    assert plane.boxes[3].tolist() == [3, 1, 3, 4]
    assert len(dog) == 3
    assert dog.frame_files[0].stem == "000001"
    assert [one.name for one in ImageNetVID(vid, classes=[AIRPLANE])[0]] == [plane.name]
    assert ImageNetVID(vid, classes=["n00000000"])[0] == []


def test_what_vid_lacks_is_named(vid: Path) -> None:
    with pytest.raises(DataMissing, match=r"train is not a folder.*ILSVRC2015-VID comes from"):
        ImageNetVID(vid, "train")
    with pytest.raises(SpecError, match="train or val"):
        ImageNetVID(vid, "test")  # type: ignore[arg-type]
    truth = vid / "Annotations/VID/val/ILSVRC2015_val_00000000/000001.xml"
    truth.write_text("<annotation><object><trackid>0</trackid></object></annotation>", encoding="utf-8")
    with pytest.raises(DataMissing, match="an object without a box"):
        ImageNetVID(vid)[0]
    truth.unlink()
    with pytest.raises(DataMissing, match=r"cannot read .*000001\.xml"):
        ImageNetVID(vid)[0]
