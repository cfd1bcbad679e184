"""NYUv2: 1449 indoor pictures with depth, from the labelled MATLAB file or from folders; 40 or 4 classes."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from lib.data.benchmark import Benchmark
from lib.data.hha import NYUV2, hha_encode
from lib.data.images import image_from_array, read_image
from lib.data.labels import VOID, LabelledPicture, check_label_size, read_labels, relabel
from lib.data.matlab import MatlabFile, read_old_matlab
from lib.data.nyuv2_classes import CLASS_NAMES, NUM_PICTURES, RAW_TO_CLASS, TEST, TRAIN, class_names, to_superclasses
from lib.data.origin import file_sha256
from lib.data.video import list_pictures
from lib.errors import ShapeError, SpecError

FULL_SIZE, CROP_SIZE = (480, 640), (425, 560)
CROP_TOP, CROP_LEFT = 45, 40  # rows 46..470 and columns 41..600 of MATLAB: where colour and depth both see
MAT_NAME = "nyu_depth_v2_labeled.mat"
GUPTA_OFFSET = 5000  # Gupta's files count pictures from 5001
NAMES_SHOWN = 3
ABOUT = Benchmark(
    "NYUv2",
    f"{MAT_NAME}; or data/images/img_<n>.png, segmentation/img_<n>.mat and data/hha/img_<n>.png with n = 5000 + the "
    "picture's number, as Gupta's release; or rgb/, labels/ (0 void, 1..40) or label40/ (0..39, 255 void), and hha/ "
    "with pictures that are named by their number 1..1449",
    "Silberman, Hoiem, Kohli, Fergus: Indoor Segmentation and Support Inference from RGBD Images, ECCV 2012 (labelled "
    "data set, project page); classes and HHA of Gupta, Girshick, Arbelaez, Malik, ECCV 2014",
    "none stated; for research, with citation",
)
SPLITS = {"train": frozenset(TRAIN), "test": frozenset(TEST), "all": frozenset(range(1, NUM_PICTURES + 1))}
ZERO_IS_VOID = (VOID, *range(len(CLASS_NAMES)))
ZERO_IS_WALL = tuple(range(len(CLASS_NAMES)))


class _Source(Protocol):
    """Where pictures lie: `numbers` that are there, and one picture with labels of the 40 classes."""

    @property
    def numbers(self) -> tuple[int, ...]: ...

    def read(self, number: int) -> LabelledPicture: ...


class NYUDv2(Dataset[LabelledPicture]):
    """NYUv2, 425x560, 40 or 4 classes: `data[i] -> LabelledPicture`; read when asked for, in the order of the numbers.

    root: a folder with the labelled MATLAB file, or that file (MATLAB 7.3, 2.8 GB; read one picture at a time, safe in
    the workers of a DataLoader), or a folder of pictures as Gupta's release, or plainly rgb/, labels/ and hha/.
    split: `train` (795), `test` (654) or `all`; numbers of the split that are not there are listed in `missing`.
    num_classes: 40 or 4; the raw labels 0..894 of the MATLAB file become 40 classes by Gupta's map. Void is 255.
    hha: items hold the HHA picture, read from its folder, or computed from the MATLAB file's in-filled depth, with
    its raw depth for what was not measured; depth is given for the MATLAB file alone.
    crop: pictures of 480x640 are cut to 425x560, from row 45 and column 40 counted from 0; others stay as they are.
    The sha256 of an item's origin is that of the picture's file or, from MATLAB, of its pixels.
    Raises DataMissing that says what is absent or damaged, where it comes from and its licence; SpecError for another
    split or number of classes; ShapeError when sizes differ or a label is outside the range.
    """

    def __init__(
        self,
        root: str | Path,
        split: Literal["train", "test", "all"] = "train",
        *,
        num_classes: Literal[40, 4] = 40,
        hha: bool = False,
        crop: bool = True,
    ) -> None:
        if split not in SPLITS:
            raise SpecError(f"split must be one of {', '.join(SPLITS)}: got {split!r}")
        self.class_names = class_names(num_classes)
        self.num_classes = num_classes
        self._source = _source(Path(root), hha=hha, crop=crop)
        self.numbers = tuple(number for number in self._source.numbers if number in SPLITS[split])
        if not self.numbers:
            raise ABOUT.missing(f"{root} holds no picture of the split {split}")
        self.missing = tuple(sorted(SPLITS[split] - set(self.numbers)))
        self.names = [f"{number:06d}" for number in self.numbers]
        self._crop = crop

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, idx: int) -> LabelledPicture:
        item = self._source.read(self.numbers[idx])
        check_label_size(item.labels, _size(item.image), f"the label map {item.name}")
        for name, plane in (("depth", item.depth), ("HHA picture", item.hha)):
            if plane is not None and _size(plane) != _size(item.image):
                raise ShapeError(
                    f"the {name} of {item.name} must have its picture's size {_size(item.image)}: got {_size(plane)}; "
                    "fetch them again"
                )
        if self._crop and _size(item.image) == FULL_SIZE:
            hha = None if item.hha is None else cropped(item.hha)
            item = replace(item, image=cropped(item.image), labels=cropped(item.labels), hha=hha)
        if self.num_classes == len(CLASS_NAMES):
            return item
        labels = relabel(item.labels, to_superclasses(ZERO_IS_WALL), f"the label map {item.name}")
        return replace(item, labels=labels)


def cropped(planes: Tensor) -> Tensor:
    """The 425x560 part (..., 425, 560) of planes (..., 480, 640) that colour and depth camera both see."""
    rows, columns = CROP_SIZE
    return planes[..., CROP_TOP : CROP_TOP + rows, CROP_LEFT : CROP_LEFT + columns].contiguous()


class _MatlabSource:
    """The labelled MATLAB file: images (H, W, 3, N), depths, rawDepths and labels (H, W, N)."""

    def __init__(self, path: Path, *, hha: bool, crop: bool) -> None:
        self._file, self._hha, self._crop = MatlabFile(path, ABOUT), hha, crop
        shapes = {name: self._file.shape(name) for name in ("images", "labels", "depths", "rawDepths")}
        self._file.close()
        count, *grid = shapes["labels"]
        expected = {name: (count, *grid) for name in shapes} | {"images": (count, 3, *grid)}
        for name, shape in shapes.items():
            if shape != expected[name] or len(grid) != 2:
                raise ShapeError(
                    f"{name} of {path} must have the shape {expected[name]} as HDF5 stores it: got {shape}; "
                    f"give the file {MAT_NAME} of the data set's page"
                )
        self.numbers = tuple(range(1, count + 1))

    def read(self, number: int) -> LabelledPicture:
        name = f"{number:06d}"
        stored = torch.from_numpy(self._file.read("labels", number - 1).astype(np.int64))
        # not relabel: 255 is a raw label like any other here
        if stored.max() >= len(RAW_TO_CLASS):
            raise ShapeError(
                f"the label map {name} must hold values 0..{len(RAW_TO_CLASS) - 1}: got {int(stored.max())}"
            )
        labels = torch.tensor(RAW_TO_CLASS)[stored]
        pixels = self._file.read("images", number - 1)
        image = image_from_array(pixels)
        depth, raw = (
            torch.from_numpy(self._file.read(variable, number - 1).astype(np.float32))[None]
            for variable in ("depths", "rawDepths")
        )
        camera = NYUV2
        if self._crop and _size(image) == FULL_SIZE:
            image, labels, depth, raw = (cropped(planes) for planes in (image, labels, depth, raw))
            camera = NYUV2.cropped(top=CROP_TOP, left=CROP_LEFT)
        picture = hha_encode(depth, raw_depth=raw, camera=camera) if self._hha else None
        origin = ABOUT.origin(name, hashlib.sha256(pixels.tobytes()).hexdigest())
        return LabelledPicture(name, image, labels, origin, depth, picture)


class _FolderSource:
    """Files by number: pictures, label maps and perhaps HHA. classes: of the values of label maps in picture files."""

    def __init__(
        self,
        pictures: Mapping[int, Path],
        labels: Mapping[int, Path],
        hha: Mapping[int, Path] | None,
        *,
        classes: tuple[int, ...] = ZERO_IS_VOID,
    ) -> None:
        for what, files in (("label maps", labels), ("HHA pictures", hha)):
            if files is not None and (alone := sorted(set(pictures) - set(files))):
                shown = ", ".join(str(pictures[number].name) for number in alone[:NAMES_SHOWN])
                cure = "; ask for hha=False, or make them from depth with hha_encode" if files is hha else ""
                raise ABOUT.missing(f"there are no {what} for {len(alone)} pictures: {shown}{cure}")
        self.numbers = tuple(sorted(pictures))
        self._pictures, self._labels, self._hha, self._classes = pictures, labels, hha, classes

    def read(self, number: int) -> LabelledPicture:
        path, label_path = self._pictures[number], self._labels[number]
        if label_path.suffix == ".mat":
            stored = torch.from_numpy(read_old_matlab(label_path, "segmentation", ABOUT).astype(np.int64))
            labels = relabel(stored, self._classes, f"the label map {label_path}")
        else:
            labels = read_labels(label_path, self._classes)
        name = f"{number:06d}"
        picture = read_image(self._hha[number]) if self._hha else None
        return LabelledPicture(name, read_image(path), labels, ABOUT.origin(name, file_sha256(path)), hha=picture)


def _source(root: Path, *, hha: bool, crop: bool) -> _Source:
    """The source that a root's layout asks for."""
    if root.is_file() or root.suffix == ".mat":
        return _MatlabSource(root, hha=hha, crop=crop)
    folder = ABOUT.check_root(root)
    if (folder / MAT_NAME).is_file():
        return _MatlabSource(folder / MAT_NAME, hha=hha, crop=crop)
    if (folder / "data" / "images").is_dir():
        pictures, labels = _numbered(folder / "data" / "images", GUPTA_OFFSET), folder / "segmentation"
        encoded = _numbered(folder / "data" / "hha", GUPTA_OFFSET) if hha else None
        return _FolderSource(pictures, _numbered(labels, GUPTA_OFFSET, suffix=".mat"), encoded)
    pictures = _numbered(folder / "rgb", 0)
    encoded = _numbered(folder / "hha", 0) if hha else None
    for name, classes in (("labels", ZERO_IS_VOID), ("label40", ZERO_IS_WALL)):
        if (folder / name).is_dir():
            return _FolderSource(pictures, _numbered(folder / name, 0), encoded, classes=classes)
    raise ABOUT.missing(f"{folder} has neither labels/ nor label40/")


def _numbered(folder: Path, offset: int, *, suffix: str = "") -> dict[int, Path]:
    """Files of a folder by the last number in their names less the offset; pictures, or files with another suffix."""
    if not folder.is_dir():
        raise ABOUT.missing(f"there is no folder {folder}")
    files = sorted(folder.glob(f"*{suffix}")) if suffix else list_pictures(folder)
    found = {int(digits[-1]) - offset: file for file in files if (digits := re.findall(r"\d+", file.stem))}
    if not found:
        raise ABOUT.missing(f"{folder} holds no numbered file")
    return found


def _size(planes: Tensor) -> tuple[int, int]:
    return (planes.shape[-2], planes.shape[-1])
