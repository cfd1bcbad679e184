"""SUN RGB-D: 10 335 indoor pictures of four depth cameras, 37 classes."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from lib.data.benchmark import Benchmark
from lib.data.images import read_image
from lib.data.labels import VOID, LabelledPicture, check_label_size, read_labels, relabel
from lib.data.matlab import MatlabFile, read_old_matlab
from lib.data.nyuv2_classes import CLASS_NAMES as NYUV2_NAMES
from lib.data.origin import file_sha256
from lib.data.video import list_pictures
from lib.errors import DataMissing, SpecError

ABOUT = Benchmark(
    "SUN RGB-D",
    "SUNRGBD/ and SUNRGBDtoolbox/ as published; or SUNRGBD-train_images/, SUNRGBD-test_images/ and "
    "sunrgbd_train_test_labels/ (labels 1..5050 of the test pictures, then those of the training pictures); or "
    "image/<split>/, label37/<split>/ with files in equal order",
    "Song, Lichtenberg, Xiao: SUN RGB-D: A RGB-D Scene Understanding Benchmark Suite, CVPR 2015 (project page); "
    "conversions: sunrgbd-meta-data of A. Handa, SUN_RGBD of C. Choy",
    "none stated; for research, with citation",
)
SPLITS = {"train": 5285, "test": 5050}
CLASS_NAMES = NYUV2_NAMES[:37]
CLASSES = (VOID, *range(len(CLASS_NAMES)))  # 0 is void
NUM_TEST = SPLITS["test"]
OFFICIAL_FOLDER = "SUNRGBD/"  # paths in the toolbox are of its authors' machine up to here


@dataclass(frozen=True)
class _Entry:
    """One picture: its name, its file, what reads its labels, and its depth file if it has one."""

    name: str
    picture: Path
    labels: Callable[[], Tensor]
    depth: Path | None = None


class SUNRGBD(Dataset[LabelledPicture]):
    """SUN RGB-D, pictures of their own sizes, 37 classes: `data[i] -> LabelledPicture`; read when asked for.

    root: of one of three layouts. The published one holds SUNRGBD/ and SUNRGBDtoolbox/ (Metadata/SUNRGBDMeta.mat,
    Metadata/SUNRGBD2Dseg.mat, traintestSUNRGBD/allsplit.mat); labels are read from the MATLAB file one at a time, depth
    is the in-filled depth_bfx. The two conversions to picture files that are in use have no depth here.
    split: `train` (5285 pictures in the full set) or `test` (5050). Labels: 0 is void, 1..37 the first 37 of NYUv2's.
    Raises DataMissing that says what is absent or damaged, where it comes from and its licence; SpecError for another
    split; ShapeError when a picture and its labels differ in size or a label is outside the range.
    """

    class_names = CLASS_NAMES
    num_classes = len(CLASS_NAMES)

    def __init__(self, root: str | Path, split: Literal["train", "test"] = "train") -> None:
        if split not in SPLITS:
            raise SpecError(f"split must be one of {', '.join(SPLITS)}: got {split!r}")
        folder = ABOUT.check_root(root)
        if (folder / "SUNRGBDtoolbox").is_dir():
            self._entries = _published(folder, split)
        elif (folder / f"SUNRGBD-{split}_images").is_dir():
            self._entries = _handa(folder, split)
        elif (folder / "image" / split).is_dir():
            self._entries = _choy(folder, split)
        else:
            raise ABOUT.missing(f"{folder} has none of the three layouts")
        if not self._entries:
            raise ABOUT.missing(f"{folder} holds no picture of the split {split}")
        self.names = [entry.name for entry in self._entries]

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, idx: int) -> LabelledPicture:
        entry = self._entries[idx]
        image, labels = read_image(entry.picture), entry.labels()
        check_label_size(labels, (image.shape[-2], image.shape[-1]), f"the label map of {entry.name}")
        origin = ABOUT.origin(entry.name, file_sha256(entry.picture))
        return LabelledPicture(entry.name, image, labels, origin, _depth(entry.depth) if entry.depth else None)


@dataclass(frozen=True)
class _LabelFile:
    """Reads the labels of a picture file; a class and not a closure, so that workers can take it along."""

    path: Path

    def __call__(self) -> Tensor:
        return read_labels(self.path, CLASSES)


@dataclass(frozen=True)
class _LabelCell:
    """Reads the labels of one cell of SUNRGBD2Dseg.mat."""

    file: MatlabFile
    idx: int

    def __call__(self) -> Tensor:
        stored = self.file.read_cell("SUNRGBD2Dseg/seglabel", self.idx).astype(np.int64)
        return relabel(torch.from_numpy(stored), CLASSES, f"label map {self.idx + 1} of {self.file.path.name}")


def _published(folder: Path, split: str) -> list[_Entry]:
    """Entries of the split in the order of SUNRGBDMeta, which is that of the labels."""
    toolbox = folder / "SUNRGBDtoolbox"
    paths = read_old_matlab(toolbox / "traintestSUNRGBD" / "allsplit.mat", f"all{split}", ABOUT)
    metas = read_old_matlab(toolbox / "Metadata" / "SUNRGBDMeta.mat", "SUNRGBDMeta", ABOUT)
    wanted = {_scene(str(path)) for path in np.atleast_1d(paths)}
    file = MatlabFile(toolbox / "Metadata" / "SUNRGBD2Dseg.mat", ABOUT)
    entries = []
    for idx, meta in enumerate(np.atleast_1d(metas)):
        scene = _scene(str(meta.rgbpath).rsplit("/", 2)[0])
        if scene not in wanted:
            continue
        place = folder / "SUNRGBD" / scene
        picture, depth = place / "image" / str(meta.rgbname), place / "depth_bfx" / str(meta.depthname)
        for path in (picture, depth):
            if not path.is_file():
                raise ABOUT.missing(f"there is no {path}")
        entries.append(_Entry(scene, picture, _LabelCell(file, idx), depth))
    return entries


def _handa(folder: Path, split: str) -> list[_Entry]:
    labels = _numbered(folder / "sunrgbd_train_test_labels")
    pictures = _numbered(folder / f"SUNRGBD-{split}_images")
    shift = NUM_TEST if split == "train" else 0
    return [_filed(split, number, path, labels.get(number + shift)) for number, path in sorted(pictures.items())]


def _choy(folder: Path, split: str) -> list[_Entry]:
    labels = _numbered(folder / "label37" / split)
    pictures = _numbered(folder / "image" / split)
    return [_filed(split, number, path, labels.get(number)) for number, path in sorted(pictures.items())]


def _filed(split: str, number: int, picture: Path, labels: Path | None) -> _Entry:
    if labels is None:
        raise ABOUT.missing(f"there are no labels for {picture}")
    return _Entry(f"{split} {number}", picture, _LabelFile(labels))


def _numbered(folder: Path) -> dict[int, Path]:
    """Pictures of a folder by the last number in their names."""
    if not folder.is_dir():
        raise ABOUT.missing(f"there is no folder {folder}")
    return {int(digits[-1]): path for path in list_pictures(folder) if (digits := re.findall(r"\d+", path.stem))}


def _scene(path: str) -> str:
    """Folder of a scene below SUNRGBD/, e.g. kv1/NYUdata/NYU0001, of a path in the toolbox."""
    return path.strip("/").split(OFFICIAL_FOLDER)[-1]


def _depth(path: Path) -> Tensor:
    """Depth (1, H, W), metres, 0 where there is none, of a 16-bit picture: its lowest 3 bits hold the highest 3."""
    from PIL import Image

    try:
        with Image.open(path) as picture:
            stored = np.asarray(picture).astype(np.uint16)
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise DataMissing(
            f"cannot read {path} as a depth picture: it is cut off or no picture; fetch it again"
        ) from error
    millimetres = (stored >> 3) | (stored << 13)
    return torch.from_numpy(millimetres.astype(np.float32) / 1000)[None]
