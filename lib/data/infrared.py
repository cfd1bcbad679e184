"""Infrared targets: sequences with one box a frame, LSOTB-TIR, small aircraft, and SIRST's single frames."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from lib.data.benchmark import Benchmark
from lib.data.masks import read_mask
from lib.data.origin import Origin, file_sha256
from lib.data.tracks import (
    NAN_BOX,
    SEPARATORS,
    Box,
    TrackedSequence,
    TrackedSequences,
    folders,
    make_sequence,
    read_boxes,
    read_grey,
    read_xml,
    text_lines,
    xml_box,
)
from lib.data.video import list_pictures
from lib.errors import SpecError

TRUTH = "groundtruth_rect.txt"
SEQUENCES = Benchmark(
    "infrared sequences",
    f"<sequence>/{TRUTH} with x, y, w, h a line, and the pictures beside it or in <sequence>/img/",
    "whoever recorded them; OTB's form, which PTB-TIR and many published sequences share",
    "that of each sequence",
    kind="sample",
)
LSOTB = Benchmark(
    "LSOTB-TIR",
    "train/TrainingData/<part>/<sequence>/*.jpg with train/Annotations/<part>/<sequence>/*.xml, and "
    f"val/<sequence>/img/*.jpg with val/<sequence>/{TRUTH} or val/<sequence>/anno/*.xml",
    "Liu et al.: LSOTB-TIR, A Large-Scale High-Diversity Thermal Infrared Object Tracking Benchmark, ACM MM 2020 "
    "(repository QiaoLiuHit/LSOTB-TIR)",
    "for research, with citation",
)
AIRCRAFT = Benchmark(
    "small aircraft",
    "data<k>/ folders of numbered pictures (0.bmp, 1.bmp ...) and a label text data<k>.txt (in data<k>/, label/ or the "
    "root) with the frame's number and the centre x, y of each target a line",
    "Hui et al.: A dataset for infrared detection and tracking of dim-small aircraft targets under ground / air "
    "background, China Scientific Data 5(3), 2020 (doi 10.11922/sciencedb.902)",
    "as the Science Data Bank states it; cite the paper",
)
SIRST_DATA = Benchmark(
    "SIRST",
    "images/*.png, masks/*.png of equal names, boxes.csv (image,x,y,w,h) and backgrounds/*.png; or as published: "
    "images/targets/, images/backgrounds/, annotations/masks/*_pixels0.png, annotations/bboxes/*.xml",
    "Dai et al.: Asymmetric Contextual Modulation for Infrared Small Target Detection, WACV 2021, and SIRST-V2 "
    "(repository YimianDai/open-sirst-v2)",
    "none stated; cite the paper",
)
POINT_SIDE_PX = 3.0


class InfraredSequences(TrackedSequences):
    """Sequences of pictures with `groundtruth_rect.txt`, one target each.

    root: one such folder, or a folder of them. first_pixel: 1 for texts whose first pixel is 1, as OTB's.
    Raises DataMissing that says what is absent.
    """

    def __init__(self, root: str | Path, *, first_pixel: int = 0) -> None:
        folder = SEQUENCES.check_root(root)
        places = (
            [folder]
            if (folder / TRUTH).is_file()
            else [one for one in folders(folder, SEQUENCES) if (one / TRUTH).is_file()]
        )
        if not places:
            raise SEQUENCES.missing(f"no folder in {folder} has a {TRUTH}")
        self.sequences = [_rect_sequence(place, SEQUENCES, first_pixel) for place in places]


class LSOTBTIR(TrackedSequences):
    """LSOTB-TIR, `train` (1280 sequences) or `val` (120, for evaluation).

    Training sequences may show several objects: each is a sequence of its own, by its place in the annotation.
    first_pixel: of groundtruth_rect.txt. Choice: 1, as OTB's, whose toolkit reads it.
    """

    def __init__(self, root: str | Path, split: Literal["train", "val"] = "val", *, first_pixel: int = 1) -> None:
        if split not in ("train", "val"):
            raise SpecError(f"split must be train or val: got {split!r}")
        folder = LSOTB.check_root(root) / split
        self.sequences = []
        if split == "val":
            for place in folders(folder, LSOTB):
                if (place / TRUTH).is_file():
                    self.sequences.append(_rect_sequence(place, LSOTB, first_pixel))
                else:
                    self.sequences += _xml_sequences(place.name, place / "img", place / "anno")
            return
        for part in folders(folder / "TrainingData", LSOTB):
            for place in folders(part, LSOTB):
                truth = folder / "Annotations" / part.name / place.name
                self.sequences += _xml_sequences(f"{part.name}/{place.name}", place, truth)


class SmallAircraft(TrackedSequences):
    """The small-aircraft sequences under ground and air background: 22 folders, 30 tracks, 256x256 pixels.

    Labels are points; the boxes are squares of `side_px` around them, none in frames without a label.
    Choice: the form of the label text is that of its description; no copy was at hand to try it on.
    """

    def __init__(self, root: str | Path, *, side_px: float = POINT_SIDE_PX) -> None:
        if not side_px > 0:
            raise SpecError(f"side_px must be above 0: got {side_px!r}")
        folder = AIRCRAFT.check_root(root)
        self.sequences = []
        for place in folders(folder, AIRCRAFT):
            pictures = list_pictures(place)
            if pictures:
                self.sequences += _point_sequences(place, pictures, _label_of(folder, place), side_px)
        if not self.sequences:
            raise AIRCRAFT.missing(f"{folder} has no folder with pictures")


@dataclass(frozen=True)
class SirstStill:
    """One frame. boxes: (N, 4), float32, x, y, w, h, pixels."""

    name: str
    image_file: Path
    mask_file: Path
    boxes: Tensor

    def image(self) -> Tensor:
        """(1, H, W), float32, 0..1."""
        return read_grey(self.image_file)

    def mask(self) -> Tensor:
        """(H, W) bool, true on targets; all of them together."""
        height, width = self.image().shape[-2:]
        return read_mask(self.mask_file, size=(height, width))

    def origin(self) -> Origin:
        """Where the frame comes from, with its checksum."""
        return SIRST_DATA.origin(self.name, file_sha256(self.image_file))


class SIRST(torch.utils.data.Dataset[SirstStill]):
    """Single infrared frames with small targets, their pixel masks and boxes: `data[i] -> SirstStill`.

    background_files: frames without target, where the folder is there.
    Raises DataMissing that says what is absent, also when a frame has no mask or no box.
    """

    def __init__(self, root: str | Path) -> None:
        folder = SIRST_DATA.check_root(root)
        published = (folder / "images" / "targets").is_dir()
        pictures = folder / "images" / "targets" if published else folder / "images"
        masks = folder / "annotations" / "masks" if published else folder / "masks"
        files = list_pictures(pictures) if pictures.is_dir() else []
        if not files:
            raise SIRST_DATA.missing(f"{pictures} holds no picture")
        backgrounds = folder / "images" / "backgrounds" if published else folder / "backgrounds"
        self.background_files = list_pictures(backgrounds) if backgrounds.is_dir() else []
        table = {} if published else _read_table(folder / "boxes.csv")
        self._stills = []
        for file in files:
            mask = masks / f"{file.stem}{'_pixels0' if published else ''}.png"
            if not mask.is_file():
                raise SIRST_DATA.missing(f"there is no mask {mask}")
            boxes = (
                _voc_boxes(folder / "annotations" / "bboxes" / f"{file.stem}.xml")
                if published
                else table.get(file.name)
            )
            if not boxes:
                raise SIRST_DATA.missing(f"{file.name} has no box")
            self._stills.append(SirstStill(file.stem, file, mask, torch.tensor(boxes, dtype=torch.float32)))
        self.names = [still.name for still in self._stills]

    def __len__(self) -> int:
        return len(self._stills)

    def __getitem__(self, idx: int) -> SirstStill:
        return self._stills[idx]


def _rect_sequence(place: Path, about: Benchmark, first_pixel: int) -> TrackedSequence:
    inner = place / "img"
    pictures = list_pictures(inner if inner.is_dir() else place)
    return make_sequence(place.name, pictures, read_boxes(place / TRUTH, about, first_pixel=first_pixel), about)


def _xml_sequences(name: str, pictures: Path, truth: Path) -> list[TrackedSequence]:
    """Sequences of the objects of a folder, told apart by their place in the annotations."""
    if not pictures.is_dir() or not truth.is_dir():
        raise LSOTB.missing(f"{name} needs the folders {pictures} and {truth}")
    files = list_pictures(pictures)
    by_frame = []
    for file in files:
        path = truth / f"{file.stem}.xml"
        by_frame.append([xml_box(entry, path, LSOTB) for entry in read_xml(path, LSOTB).iter("object")])
    number = max((len(boxes) for boxes in by_frame), default=0)
    if not number:
        raise LSOTB.missing(f"{truth} has no object")
    tracks = [[boxes[which] if which < len(boxes) else NAN_BOX for boxes in by_frame] for which in range(number)]
    names = [name] if number == 1 else [f"{name}/{which}" for which in range(number)]
    return [make_sequence(one, files, track, LSOTB) for one, track in zip(names, tracks, strict=True)]


def _label_of(root: Path, place: Path) -> Path:
    name = f"{place.name}.txt"
    for candidate in (place / name, root / "label" / name, root / name):
        if candidate.is_file():
            return candidate
    raise AIRCRAFT.missing(f"{place.name} has no label text {name}")


def _point_sequences(place: Path, pictures: Sequence[Path], label: Path, side: float) -> list[TrackedSequence]:
    by_number = {int(file.stem): index for index, file in enumerate(pictures) if file.stem.isdigit()}
    tracks: list[list[Box]] = []
    for row, line in enumerate(text_lines(label, AIRCRAFT), 1):
        try:
            frame, *values = (float(part) for part in SEPARATORS.split(line))
        except ValueError as error:
            raise AIRCRAFT.missing(f"line {row} of {label} is not a frame's number and points: {line!r}") from error
        if int(frame) not in by_number or len(values) % 2:
            raise AIRCRAFT.missing(f"line {row} of {label} names no picture of {place.name}, or half a point: {line!r}")
        for target in range(len(values) // 2):
            if target == len(tracks):
                tracks.append([NAN_BOX] * len(pictures))
            x, y = values[2 * target : 2 * target + 2]
            tracks[target][by_number[int(frame)]] = (x - (side - 1) / 2, y - (side - 1) / 2, side, side)
    if not tracks:
        raise AIRCRAFT.missing(f"{label} names no target")
    names = [place.name] if len(tracks) == 1 else [f"{place.name}/{target}" for target in range(len(tracks))]
    return [make_sequence(name, pictures, track, AIRCRAFT) for name, track in zip(names, tracks, strict=True)]


def _read_table(path: Path) -> dict[str, list[Box]]:
    """Boxes by picture of boxes.csv."""
    boxes: dict[str, list[Box]] = {}
    for row in csv.DictReader(text_lines(path, SIRST_DATA)):
        try:
            x, y, w, h = (float(row[name]) for name in ("x", "y", "w", "h"))
            boxes.setdefault(row["image"], []).append((x, y, w, h))
        except (KeyError, TypeError, ValueError) as error:
            raise SIRST_DATA.missing(f"{path} has a row that is not image,x,y,w,h: {row}") from error
    return boxes


def _voc_boxes(path: Path) -> list[Box]:
    return [xml_box(entry, path, SIRST_DATA) for entry in read_xml(path, SIRST_DATA).iter("object")]
