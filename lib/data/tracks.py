"""Sequences of one target each, with a true box in every frame, and what their readers share."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lib.data.benchmark import Benchmark
from lib.data.images import read_image
from lib.data.origin import Origin, folder_sha256
from lib.errors import DataMissing, SpecError

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
LINK_IOU = 0.5
SEPARATORS = re.compile(r"[,;\s]+")
NAN_BOX = (float("nan"),) * 4

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class TrackedSequence:
    """One target in a run of frames.

    frame_files: in order. boxes: (T, 4), float32, x, y, w, h in pixels from the top left, NaN where there is none.
    visible: (T,) bool, true where the box has some size and the truth doesn't call the target hidden.
    """

    name: str
    frame_files: tuple[Path, ...]
    boxes: Tensor
    visible: Tensor
    about: Benchmark

    def __len__(self) -> int:
        return len(self.frame_files)

    def frame(self, idx: int) -> Tensor:
        """One frame (1, H, W), float32, 0..1."""
        return read_grey(self.frame_files[idx])

    def __iter__(self) -> Iterator[Tensor]:
        """Frames (1, H, W), one at a time."""
        return (self.frame(idx) for idx in range(len(self)))

    @property
    def frames(self) -> Tensor:
        """All frames (T, 1, H, W), float32, 0..1, read anew each time; iterate over long sequences instead."""
        return torch.stack(list(self))

    def origin(self) -> Origin:
        """Where the sequence comes from, with the checksum of its frames' folder."""
        return self.about.origin(self.name, folder_sha256(self.frame_files[0].parent))


class TrackedSequences(torch.utils.data.Dataset[TrackedSequence]):
    """Sequences in the order of their names: `data[i] -> TrackedSequence`; `names` lists them."""

    sequences: list[TrackedSequence]

    def __len__(self) -> int:
        return len(self.sequences)

    def __getitem__(self, idx: int) -> TrackedSequence:
        return self.sequences[idx]

    @property
    def names(self) -> list[str]:
        """Names of the sequences."""
        return [sequence.name for sequence in self.sequences]


def read_grey(path: str | Path) -> Tensor:
    """Picture file as (1, H, W), float32, 0..1 of its bit depth: grey as stored, colour by its luma."""
    image = read_image(path)
    if torch.equal(image[0], image[1]) and torch.equal(image[0], image[2]):
        return image[:1].clone()
    return (image * image.new_tensor(LUMA).view(3, 1, 1)).sum(dim=0, keepdim=True)


def make_sequence(
    name: str,
    frame_files: Sequence[Path],
    boxes: Sequence[Box],
    about: Benchmark,
    *,
    hidden: Sequence[bool] | None = None,
) -> TrackedSequence:
    """The sequence of one target; raises DataMissing unless there is one box for each frame, and at least one."""
    if not frame_files:
        raise about.missing(f"{name} holds no picture")
    if len(boxes) != len(frame_files):
        raise about.missing(f"{name} has {len(frame_files)} pictures and {len(boxes)} boxes; one box a picture needed")
    table = torch.tensor(boxes, dtype=torch.float32).view(-1, 4)
    seen = (table[:, 2:] > 0).all(dim=1)
    if hidden is not None:
        seen &= ~torch.tensor(hidden, dtype=torch.bool)
    return TrackedSequence(name, tuple(frame_files), table, seen, about)


def read_boxes(path: Path, about: Benchmark, *, first_pixel: int) -> list[Box]:
    """Boxes of a text with x, y, w, h a line, separated by commas, semicolons, blanks or tabs.

    first_pixel: number of the first pixel there, 0, or 1 as in OTB. NaN and boxes without size stay as they are.
    """
    if first_pixel not in (0, 1):
        raise SpecError(f"first_pixel must be 0, or 1 for boxes as in OTB: got {first_pixel!r}")
    boxes = []
    for number, line in enumerate(text_lines(path, about), 1):
        try:
            x, y, w, h = (float(part) for part in SEPARATORS.split(line))
        except ValueError as error:
            raise about.missing(f"line {number} of {path} is not x, y, w, h: {line!r}") from error
        boxes.append((x - first_pixel, y - first_pixel, w, h))
    return boxes


def text_lines(path: Path, about: Benchmark) -> list[str]:
    """Lines of a text that hold something, stripped; raises DataMissing when it is absent or no text."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise about.missing(f"cannot read {path}") from error
    return [line.strip() for line in text.splitlines() if line.strip()]


def read_xml(path: Path, about: Benchmark) -> "Element":
    """Root of a VOC annotation; raises DataMissing when it is absent or damaged."""
    from xml.etree.ElementTree import ParseError, parse

    try:
        return parse(path).getroot()
    except (OSError, ParseError) as error:
        raise about.missing(f"cannot read {path} as an annotation") from error


def xml_box(entry: "Element", path: Path, about: Benchmark) -> Box:
    """Box of an <object> of a VOC annotation, whose corners are pixel numbers; w = xmax - xmin, as the trackers do."""
    try:
        low_x, low_y, high_x, high_y = (
            float(entry.findtext(f"bndbox/{name}", "")) for name in ("xmin", "ymin", "xmax", "ymax")
        )
    except ValueError as error:
        raise about.missing(f"{path} has an object without a box") from error
    return low_x, low_y, high_x - low_x, high_y - low_y


def link_boxes(boxes_by_frame: Sequence[Sequence[Box]], *, min_iou: float = LINK_IOU) -> list[list[Box]]:
    """Tracks of targets whose boxes carry no name: each box follows the one of the frame before that it overlaps most.

    Returns one list of T boxes a track, NaN where the track has none, in the order in which they appear. Each box goes
    to one track; pairs of the highest overlap are linked first, none below min_iou; a gap ends a track.
    """
    from lib.metrics.tracking import box_iou

    tracks: list[list[Box]] = []
    running: list[int] = []
    for time, boxes in enumerate(boxes_by_frame):
        taken: dict[int, int] = {}
        if running and boxes:
            before = torch.tensor([tracks[number][time - 1] for number in running], dtype=torch.float64)
            now = torch.tensor(list(boxes), dtype=torch.float64)
            shape = (len(running), len(boxes), 4)
            overlap = box_iou(before[:, None].expand(shape), now[None].expand(shape))
            for place in overlap.flatten().argsort(descending=True).tolist():
                track, box = divmod(place, len(boxes))
                if overlap[track, box] < min_iou:
                    break
                if running[track] not in taken.values() and box not in taken:
                    taken[box] = running[track]
        for track in tracks:
            track.append(NAN_BOX)
        for number, box in enumerate(boxes):
            if number not in taken:
                tracks.append([NAN_BOX] * (time + 1))
                taken[number] = len(tracks) - 1
            tracks[taken[number]][time] = box
        running = sorted(taken.values())
    return tracks


def parts_of(
    name: str,
    frame_files: Sequence[Path],
    tracks: Sequence[Sequence[Box]],
    about: Benchmark,
    *,
    least_frames: int = 2,
) -> list[TrackedSequence]:
    """One sequence a track, over the frames from its first box to its last; shorter tracks are left out."""
    found = []
    for number, track in enumerate(tracks):
        there = [time for time, box in enumerate(track) if box[2] > 0 and box[3] > 0]
        if len(there) >= least_frames:
            run = slice(there[0], there[-1] + 1)
            found.append(make_sequence(f"{name}/{number}", frame_files[run], track[run], about))
    return found


def folders(parent: Path, about: Benchmark) -> list[Path]:
    """Folders below `parent` in natural order; raises DataMissing without any."""
    from lib.data.video import natural_key

    found = (
        [path for path in parent.iterdir() if path.is_dir() and not path.name.startswith(".")]
        if parent.is_dir()
        else []
    )
    if not found:
        raise about.missing(f"{parent} has no folder of a sequence")
    return sorted(found, key=natural_key)


def no_track(about: Benchmark, where: Path) -> DataMissing:
    """Error for a place whose sequences show no target."""
    return about.missing(f"{where} has no target in at least two frames")
