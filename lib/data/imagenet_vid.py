"""ILSVRC2015-VID: snippets of video with a named box for each object in each frame."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from torch.utils.data import Dataset

from lib.data.benchmark import Benchmark
from lib.data.tracks import NAN_BOX, Box, TrackedSequence, make_sequence, read_xml, xml_box
from lib.data.video import list_pictures, natural_key
from lib.errors import SpecError

VID = Benchmark(
    "ILSVRC2015-VID",
    "Data/VID/train|val/.../<snippet>/*.JPEG and Annotations/VID/train|val/.../<snippet>/*.xml of equal names",
    "Russakovsky et al.: ImageNet Large Scale Visual Recognition Challenge, IJCV 2015 (image-net.org, VID 2015)",
    "for non-commercial research, terms on the data set's page",
)
AIRPLANE = "n02691156"


class ImageNetVID(Dataset[list[TrackedSequence]]):
    """Snippets: `data[i]` is the list of the tracks in snippet i; annotations are read when asked for.

    split: `train` or `val`. classes: WordNet names that count, such as AIRPLANE; None for all. A track goes from its
    first to its last frame; between them NaN and not visible where it is away, not visible where it is occluded.
    A snippet may have no track of these classes: its list is empty. Frames are grey: luma of the colours.
    Raises DataMissing that says what is absent, where it comes from and its licence.
    """

    def __init__(
        self, root: str | Path, split: Literal["train", "val"] = "val", *, classes: Sequence[str] | None = None
    ) -> None:
        if split not in ("train", "val"):
            raise SpecError(f"split must be train or val: got {split!r}")
        self.root = VID.check_root(root)
        self.classes = None if classes is None else tuple(classes)
        data = self.root / "Data" / "VID" / split
        if not data.is_dir():
            raise VID.missing(f"{data} is not a folder")
        leaves = [path for path in data.rglob("*") if path.is_dir() and not any(one.is_dir() for one in path.iterdir())]
        self._folders = sorted(leaves, key=natural_key)
        if not self._folders:
            raise VID.missing(f"{data} has no snippet")
        self.names = [path.relative_to(data).as_posix() for path in self._folders]

    def __len__(self) -> int:
        return len(self._folders)

    def __getitem__(self, idx: int) -> list[TrackedSequence]:
        place = self._folders[idx]
        pictures = list_pictures(place)
        truth = self.root / "Annotations" / "VID" / place.relative_to(self.root / "Data" / "VID")
        if not pictures:
            raise VID.missing(f"{place} holds no picture")
        boxes: dict[str, list[Box]] = {}
        hidden: dict[str, list[bool]] = {}
        for time, file in enumerate(pictures):
            path = truth / f"{file.stem}.xml"
            for entry in read_xml(path, VID).iter("object"):
                if self.classes is not None and entry.findtext("name") not in self.classes:
                    continue
                track = entry.findtext("trackid", "")
                boxes.setdefault(track, [NAN_BOX] * len(pictures))[time] = xml_box(entry, path, VID)
                hidden.setdefault(track, [False] * len(pictures))[time] = entry.findtext("occluded") == "1"
        found = []
        for track in sorted(boxes, key=lambda name: (len(name), name)):
            there = [time for time, box in enumerate(boxes[track]) if box is not NAN_BOX]
            run = slice(there[0], there[-1] + 1)
            name = f"{self.names[idx]}/{track}"
            found.append(make_sequence(name, pictures[run], boxes[track][run], VID, hidden=hidden[track][run]))
        return found
