"""LOL: real low-light pictures with references of the same static scene."""

from pathlib import Path
from typing import Literal

from lib.data.benchmark import Benchmark
from lib.data.pairs import PairedPictures, PairFolders
from lib.errors import SpecError

ABOUT = Benchmark(
    "LOL",
    "our485/low, our485/high, eval15/low and eval15/high with pictures of equal names",
    "Wei, Wang, Yang, Liu: Deep Retinex Decomposition for Low-Light Enhancement, BMVC 2018 (LOLdataset, project page)",
    "none stated; for research, with citation",
)
FOLDERS = {"train": "our485", "test": "eval15"}


class LOL(PairedPictures):
    """LOL, 400x600: `data[i] -> PicturePair` with the dark picture and its reference.

    split: `train` (our485, 485 pairs) or `test` (eval15, 15 pairs). references: False reads the dark pictures alone.
    Dark and bright differ in exposure time and ISO; nothing moved between them.
    Raises DataMissing that says what is absent, where it comes from and its licence; SpecError for another split.
    """

    def __init__(self, root: str | Path, split: Literal["train", "test"] = "test", *, references: bool = True) -> None:
        if split not in FOLDERS:
            raise SpecError(f"split must be one of {', '.join(FOLDERS)}: got {split!r}")
        folder = FOLDERS[split]
        pairs = PairFolders(f"{folder}/low", f"{folder}/high" if references else None)
        super().__init__(root, folders=[pairs], about=ABOUT)
