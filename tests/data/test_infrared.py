"""Readers of infrared targets: layouts made here, and the real material where it is."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from lib.data.images import write_image
from lib.data.infrared import LSOTBTIR, SIRST, InfraredSequences, SmallAircraft
from lib.data.masks import write_mask
from lib.errors import DataMissing, LabError, SpecError

SIZE = (6, 8)


def picture(folder: Path, name: str, level: float = 0.5) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_image(folder / name, torch.full((3, *SIZE), level))


def voc(folder: Path, name: str, *boxes: tuple[int, int, int, int]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    objects = "".join(
        f"<object><name>car</name><bndbox><xmin>{x}</xmin><ymin>{y}</ymin><xmax>{x + w}</xmax><ymax>{y + h}</ymax>"
        "</bndbox></object>"
        for x, y, w, h in boxes
    )
    (folder / name).write_text(f"<annotation>{objects}</annotation>", encoding="utf-8")


def numbers(boxes: Tensor) -> list[list[float]]:
    return [[round(value, 4) for value in row] for row in boxes.tolist()]


@pytest.fixture
def rect(tmp_path: Path) -> Path:
    for name in ("b10", "b2"):
        for idx in range(1, 4):
            picture(tmp_path / name, f"{idx:05d}.png", idx / 10)
        (tmp_path / name / "groundtruth_rect.txt").write_text(
            "3,2,3,3\n4\t2\t3\t3\nNaN, NaN, NaN, NaN\n", encoding="utf-8"
        )
    (tmp_path / "notes").mkdir()
    return tmp_path


def test_sequences_with_one_box_a_line(rect: Path) -> None:
    data = InfraredSequences(rect)
    assert data.names == ["b2", "b10"]
    sequence = data[0]
    assert len(sequence) == 3
    assert numbers(sequence.boxes)[:2] == [[3, 2, 3, 3], [4, 2, 3, 3]]
    assert sequence.visible.tolist() == [True, True, False]
    assert sequence.frames.shape == (3, 1, *SIZE)
    assert [frame.mean().item() for frame in sequence] == pytest.approx([0.1, 0.2, 0.3], abs=0.01)
    assert (sequence.origin().kind, sequence.origin().name) == ("sample", "infrared sequences b2")


def test_one_folder_an_inner_folder_and_boxes_that_start_at_one(rect: Path) -> None:
    inner = rect / "b2" / "img"
    inner.mkdir()
    for file in (rect / "b2").glob("*.png"):
        file.rename(inner / file.name)
    sequence = InfraredSequences(rect / "b2", first_pixel=1)[0]
    assert numbers(sequence.boxes)[0] == [2, 1, 3, 3]
    with pytest.raises(SpecError, match="first_pixel must be 0"):
        InfraredSequences(rect, first_pixel=2)


def test_what_a_sequence_lacks_is_named(rect: Path, tmp_path: Path) -> None:
    truth = rect / "b2" / "groundtruth_rect.txt"
    truth.write_text("1,2,3,3\n1,2,3,3", encoding="utf-8")
    with pytest.raises(DataMissing, match=r"b2 has 3 pictures and 2 boxes.*expected <sequence>/groundtruth_rect\.txt"):
        InfraredSequences(rect)
    truth.write_text("1,2,3\n", encoding="utf-8")
    with pytest.raises(DataMissing, match=r"line 1 of .* is not x, y, w, h: '1,2,3'"):
        InfraredSequences(rect)
    truth.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(DataMissing, match="cannot read"):
        InfraredSequences(rect)
    (tmp_path / "alone" / "x").mkdir(parents=True)
    with pytest.raises(DataMissing, match=r"has a groundtruth_rect\.txt"):
        InfraredSequences(tmp_path / "alone")
    with pytest.raises(DataMissing, match="not a folder"):
        InfraredSequences(tmp_path / "nowhere")


def test_lsotb_training_and_validation(tmp_path: Path) -> None:
    for idx in range(3):
        picture(tmp_path / "train/TrainingData/TIR_training_001/car_001", f"{idx:04d}.jpg")
        boxes = ((1, 1, 3, 2), (4, 2, 2, 2))[: 2 if idx < 2 else 1]
        voc(tmp_path / "train/Annotations/TIR_training_001/car_001", f"{idx:04d}.xml", *boxes)
        for name in ("bird", "bus"):
            picture(tmp_path / "val" / name / "img", f"{idx:04d}.jpg")
        voc(tmp_path / "val/bird/anno", f"{idx:04d}.xml", (idx, 1, 3, 2))
    (tmp_path / "val/bus/groundtruth_rect.txt").write_text("2 2 3 3\n3 2 3 3\n4 2 3 3\n", encoding="utf-8")
    first, second = LSOTBTIR(tmp_path, "train")
    assert (first.name, second.name) == ("TIR_training_001/car_001/0", "TIR_training_001/car_001/1")
    assert second.visible.tolist() == [True, True, False]
    data = LSOTBTIR(tmp_path)
    assert data.names == ["bird", "bus"]
    assert numbers(data[0].boxes)[2] == [2, 1, 3, 2]
    assert numbers(data[1].boxes)[0] == [1, 1, 3, 3]
    (tmp_path / "val/bird/anno/0001.xml").write_text("<annotation", encoding="utf-8")
    with pytest.raises(DataMissing, match=r"0001\.xml as an annotation.*LSOTB-TIR comes from"):
        LSOTBTIR(tmp_path)
    with pytest.raises(SpecError, match="train or val: got 'test'"):
        LSOTBTIR(tmp_path, "test")  # type: ignore[arg-type]


def test_small_aircraft_are_points(tmp_path: Path) -> None:
    for idx in range(12):
        picture(tmp_path / "data1", f"{idx}.bmp".replace("bmp", "png"))
        picture(tmp_path / "data2", f"{idx}.png")
    (tmp_path / "data1" / "data1.txt").write_text("0 4 3\n2 5 3\n10 6 2\n", encoding="utf-8")
    (tmp_path / "label").mkdir()
    (tmp_path / "label" / "data2.txt").write_text("1,4,3,6.5,2\n2,5,3\n", encoding="utf-8")
    single, first, second = SmallAircraft(tmp_path)
    assert (single.name, first.name, second.name) == ("data1", "data2/0", "data2/1")
    assert single.visible.nonzero().flatten().tolist() == [0, 2, 10]
    # the point is the middle: x + (w - 1) / 2
    assert numbers(single.boxes)[10] == [5, 1, 3, 3]
    assert numbers(second.boxes)[1] == [5.5, 1, 3, 3]
    assert not second.visible[2]
    assert numbers(SmallAircraft(tmp_path, side_px=5)[0].boxes)[0] == [2, 1, 5, 5]
    (tmp_path / "label" / "data2.txt").write_text("99 4 3\n", encoding="utf-8")
    with pytest.raises(DataMissing, match=r"names no picture of data2"):
        SmallAircraft(tmp_path)
    (tmp_path / "label" / "data2.txt").unlink()
    with pytest.raises(DataMissing, match=r"data2 has no label text data2\.txt.*sciencedb"):
        SmallAircraft(tmp_path)
    with pytest.raises(SpecError, match="side_px"):
        SmallAircraft(tmp_path, side_px=0)


@pytest.fixture
def sirst(tmp_path: Path) -> Path:
    mask = torch.zeros(SIZE, dtype=torch.bool)
    mask[2, 3] = True
    for name in ("Misc_1", "Misc_10"):
        picture(tmp_path / "images", f"{name}.png")
        (tmp_path / "masks").mkdir(exist_ok=True)
        write_mask(tmp_path / "masks" / f"{name}.png", mask)
    picture(tmp_path / "backgrounds", "S1.png")
    table = "image,x,y,w,h\nMisc_1.png,3,2,1,1\nMisc_10.png,3,2,1,1\nMisc_1.png,5,1,2,2\n"
    (tmp_path / "boxes.csv").write_text(table, encoding="utf-8")
    return tmp_path


def test_single_frames(sirst: Path) -> None:
    data = SIRST(sirst)
    assert data.names == ["Misc_1", "Misc_10"]
    assert len(data) == 2
    assert numbers(data[0].boxes) == [[3, 2, 1, 1], [5, 1, 2, 2]]
    assert data[0].image().shape == (1, *SIZE)
    assert data[0].mask().nonzero().tolist() == [[2, 3]]
    assert [file.name for file in data.background_files] == ["S1.png"]
    assert data[1].origin().name == "SIRST Misc_10"


def test_single_frames_as_published(sirst: Path, tmp_path: Path) -> None:
    there = tmp_path / "published"
    for source, target in (("images", "images/targets"), ("backgrounds", "images/backgrounds")):
        (there / target).mkdir(parents=True)
        for file in (sirst / source).iterdir():
            file.rename(there / target / file.name)
    (there / "annotations/masks").mkdir(parents=True)
    for file in (sirst / "masks").iterdir():
        file.rename(there / "annotations/masks" / f"{file.stem}_pixels0.png")
    for name in ("Misc_1", "Misc_10"):
        voc(there / "annotations/bboxes", f"{name}.xml", (3, 2, 2, 2))
    data = SIRST(there)
    assert numbers(data[1].boxes) == [[3, 2, 2, 2]]
    assert data[1].mask().any()
    assert len(data.background_files) == 1


def test_what_single_frames_lack_is_named(sirst: Path) -> None:
    (sirst / "boxes.csv").write_text("image,x,y,w,h\nMisc_1.png,3,2,1,1\n", encoding="utf-8")
    with pytest.raises(DataMissing, match=r"Misc_10\.png has no box.*SIRST comes from"):
        SIRST(sirst)
    (sirst / "boxes.csv").write_text("image,x,y,w,h\nMisc_1.png,3,2,one,1\n", encoding="utf-8")
    with pytest.raises(DataMissing, match="a row that is not image,x,y,w,h"):
        SIRST(sirst)
    (sirst / "boxes.csv").write_text("image,x,y,w,h\nMisc_1.png,3,2,1,1\n", encoding="utf-8")
    (sirst / "masks" / "Misc_1.png").unlink()
    with pytest.raises(DataMissing, match="there is no mask"):
        SIRST(sirst)
    with pytest.raises(DataMissing, match="holds no picture"):
        SIRST(sirst / "masks")


def test_the_real_material(reference: Path) -> None:
    root = reference / "realdata" / "infrared"
    if not root.is_dir():
        pytest.skip("no infrared material in the reference material")
    data: Any = InfraredSequences(root)
    assert {name: len(sequence) for name, sequence in zip(data.names, data, strict=True)} == {
        "seq_cloud_a": 20,
        "seq_cloud_b": 30,
        "tir_airplane": 380,
    }
    assert all(sequence.visible.all() for sequence in data)
    assert data[0].frame(0).shape == (1, 200, 250)
    stills = SIRST(root / "sirst")
    assert (len(stills), sum(len(still.boxes) for still in stills), len(stills.background_files)) == (60, 77, 16)
    for still in stills:
        mask, inside = still.mask(), torch.zeros(still.mask().shape, dtype=torch.bool)
        for x, y, w, h in still.boxes.int().tolist():
            inside[max(y - 1, 0) : y + h + 1, max(x - 1, 0) : x + w + 1] = True
        assert (mask & ~inside).sum() == 0
    with pytest.raises(LabError):
        InfraredSequences(root / "sirst")
