"""Thermal pedestrians, read as tracks: KAIST multispectral and OTCBVS's OSU set."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from lib.data.benchmark import Benchmark
from lib.data.tracks import Box, TrackedSequences, folders, link_boxes, no_track, parts_of, text_lines
from lib.data.video import list_pictures
from lib.errors import SpecError

KAIST_DATA = Benchmark(
    "KAIST multispectral pedestrian",
    "images/set<NN>/V<NNN>/lwir|visible/I<NNNNN>.jpg and annotations/set<NN>/V<NNN>/I<NNNNN>.txt in bbGt form "
    "(label x y w h and seven more numbers a line)",
    "Hwang et al.: Multispectral Pedestrian Detection, Benchmark Dataset and Baseline, CVPR 2015 "
    "(repository SoonminHwang/rgbt-ped-detection)",
    "for research, terms on the publisher's page; cite the paper",
)
OTCBVS_DATA = Benchmark(
    "OTCBVS OSU thermal pedestrian",
    "<sequence>/img_<NNNNN>.bmp and <sequence>/groundTruth.txt with a picture's name, the number of boxes and each "
    "box as (x y w h) a line; lines that begin with % are remarks",
    "Davis and Keck: A two-stage approach to person detection in thermal imagery, WACV 2005 (OTCBVS data set 01)",
    "for research, with citation",
)
TRAIN_SETS, TEST_SETS = range(6), range(6, 12)
NUMBERS = re.compile(r"[-+]?\d+(?:\.\d+)?")


class KAIST(TrackedSequences):
    """KAIST's videos as tracks of single people; split `train` (sets 00 to 05) or `test` (06 to 11), what is there.

    camera: `lwir`, thermal, or `visible`. labels: which boxes count; the others are groups and doubtful ones.
    Choice: the text annotations carry no names: boxes of neighbouring frames that overlap by half are one person, and
    tracks of fewer than `least_frames` are left out.
    """

    def __init__(
        self,
        root: str | Path,
        split: Literal["train", "test"] = "test",
        *,
        camera: Literal["lwir", "visible"] = "lwir",
        labels: Sequence[str] = ("person",),
        least_frames: int = 20,
    ) -> None:
        if split not in ("train", "test"):
            raise SpecError(f"split must be train or test: got {split!r}")
        if camera not in ("lwir", "visible"):
            raise SpecError(f"camera must be lwir or visible: got {camera!r}")
        folder = KAIST_DATA.check_root(root)
        wanted = [f"set{number:02d}" for number in (TRAIN_SETS if split == "train" else TEST_SETS)]
        places = [folder / "images" / name for name in wanted if (folder / "images" / name).is_dir()]
        if not places:
            raise KAIST_DATA.missing(f"{folder} has none of images/{', '.join(wanted)}")
        self.sequences = []
        for place in places:
            for video in folders(place, KAIST_DATA):
                name = f"{place.name}/{video.name}"
                pictures = list_pictures(video / camera) if (video / camera).is_dir() else []
                if not pictures:
                    raise KAIST_DATA.missing(f"{name} holds no {camera} picture")
                truths = [folder / "annotations" / name / f"{file.stem}.txt" for file in pictures]
                tracks = link_boxes([_people(truth, labels) for truth in truths])
                self.sequences += parts_of(name, pictures, tracks, KAIST_DATA, least_frames=least_frames)
        if not self.sequences:
            raise no_track(KAIST_DATA, folder)


class OTCBVS(TrackedSequences):
    """OTCBVS data set 01, ten thermal sequences of pedestrians (284 pictures), as tracks of single people.

    The pictures are seconds apart: people move far, so that boxes are linked from the least overlap on.
    Choice: of OTCBVS's sets only this one has boxes; the paper's 4228 pairs are IRIS's faces, which have none. The
    form of the text is that of its description; no copy was at hand to try it on.
    """

    def __init__(self, root: str | Path, *, min_iou: float = 0.1) -> None:
        if not 0 < min_iou <= 1:
            raise SpecError(f"min_iou must be above 0 and at most 1: got {min_iou!r}")
        folder = OTCBVS_DATA.check_root(root)
        self.sequences = []
        for place in folders(folder, OTCBVS_DATA):
            if not (place / "groundTruth.txt").is_file():
                raise OTCBVS_DATA.missing(f"{place} has no groundTruth.txt")
            pictures = list_pictures(place)
            known = _boxes_by_picture(place / "groundTruth.txt")
            lacking = [file.name for file in pictures if file.name not in known]
            if not pictures or lacking:
                raise OTCBVS_DATA.missing(f"{place.name} holds no picture, or {lacking[:1]} is not in its text")
            tracks = link_boxes([known[file.name] for file in pictures], min_iou=min_iou)
            self.sequences += parts_of(place.name, pictures, tracks, OTCBVS_DATA)
        if not self.sequences:
            raise no_track(OTCBVS_DATA, folder)


def _people(path: Path, labels: Sequence[str]) -> list[Box]:
    """Boxes of a bbGt text whose label counts."""
    boxes: list[Box] = []
    for line in text_lines(path, KAIST_DATA):
        label, *numbers = line.split()
        if line.startswith("%") or label not in labels:
            continue
        try:
            x, y, w, h = (float(number) for number in numbers[:4])
        except ValueError as error:
            raise KAIST_DATA.missing(f"{path} has a line without a box: {line!r}") from error
        boxes.append((x, y, w, h))
    return boxes


def _boxes_by_picture(path: Path) -> dict[str, list[Box]]:
    known: dict[str, list[Box]] = {}
    for line in text_lines(path, OTCBVS_DATA):
        if line.startswith("%"):
            continue
        name, _, rest = line.partition(" ")
        count, *numbers = [float(number) for number in NUMBERS.findall(rest)] or [-1.0]
        if len(numbers) != 4 * count:
            raise OTCBVS_DATA.missing(f"{path} says {count:g} boxes and has {len(numbers)} numbers: {line!r}")
        known[name] = [
            (numbers[at], numbers[at + 1], numbers[at + 2], numbers[at + 3]) for at in range(0, len(numbers), 4)
        ]
    return known
