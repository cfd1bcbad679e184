"""EUVP: real underwater pictures with better-looking ones as references."""

from pathlib import Path
from typing import Literal

from lib.data.benchmark import Benchmark
from lib.data.pairs import PairedPictures, PairFolders
from lib.errors import SpecError

ABOUT = Benchmark(
    "EUVP",
    "test_samples/Inp and test_samples/GTr, and Paired/<subset>/trainA and trainB, with pictures of equal names",
    "Islam, Xia, Sattar: Fast Underwater Image Enhancement for Improved Visual Perception, RA-L 2020 (EUVP, lab page)",
    "none stated with the data; for research, with citation",
)
SUBSETS = ("underwater_dark", "underwater_imagenet", "underwater_scenes")


class EUVP(PairedPictures):
    """EUVP, paired part: `data[i] -> PicturePair` with the picture and its reference.

    split: `test` (test_samples, 515 pairs) or `train` (the three subsets of Paired/, 11 435 pairs, names
    `<subset>/<picture>`). The references are targets of enhancement, no measured truth: a score against them says
    how like that enhancement a result is.
    Raises DataMissing that says what is absent, where it comes from and its licence; SpecError for another split.
    """

    def __init__(self, root: str | Path, split: Literal["train", "test"] = "test") -> None:
        if split not in ("train", "test"):
            raise SpecError(f"split must be one of train, test: got {split!r}")
        folders = [PairFolders("test_samples/Inp", "test_samples/GTr")]
        if split == "train":
            folders = [PairFolders(f"Paired/{name}/trainA", f"Paired/{name}/trainB", f"{name}/") for name in SUBSETS]
        super().__init__(root, folders=folders, about=ABOUT)
