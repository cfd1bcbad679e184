"""Videos with masks of what moves: DAVIS-2016, SegTrack v2 and FBMS-59, read frame by frame."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from lib.data.benchmark import Benchmark
from lib.data.images import READ_SUFFIXES, read_image
from lib.data.masks import read_mask
from lib.data.origin import Origin, folder_sha256
from lib.data.video import natural_key
from lib.errors import SpecError

DAVIS = Benchmark(
    "DAVIS-2016",
    "JPEGImages/480p/<sequence>/*.jpg and Annotations/480p/<sequence>/*.png with equal names",
    "Perazzi et al.: A Benchmark Dataset and Evaluation Methodology for Video Object Segmentation, CVPR 2016 "
    "(davischallenge.org, DAVIS 2016, 480p)",
    "CC BY 4.0 for the clips that the authors own; for research",
)
SEGTRACK = Benchmark(
    "SegTrack v2",
    "JPEGImages/<sequence>/* and GroundTruth/<sequence>/* (or GroundTruth/<sequence>/<object>/*) with equal names",
    "Li, Kim, Humayun, Tsai, Rehg: Video Segmentation by Tracking Many Figure-Ground Segments, ICCV 2013 "
    "(project page of SegTrack v2)",
    "none stated; for research, with citation",
)
FBMS = Benchmark(
    "FBMS-59",
    "Trainingset/<sequence>/*.jpg and Testset/<sequence>/*.jpg, each with GroundTruth/ pictures for some frames",
    "Ochs, Malik, Brox: Segmentation of Moving Objects by Long Term Video Analysis, PAMI 2014 "
    "(Freiburg-Berkeley Motion Segmentation dataset)",
    "for research, with citation",
)
# fmt: off
VAL = (
    "blackswan", "bmx-trees", "breakdance", "camel", "car-roundabout",
    "car-shadow", "cows", "dance-twirl", "dog", "drift-chicane",
    "drift-straight", "goat", "horsejump-high", "kite-surf", "libby",
    "motocross-jump", "paragliding-launch", "parkour", "scooter-black", "soapbox",
)
# fmt: on
FBMS_SPLITS = {"train": "Trainingset", "test": "Testset"}


@dataclass(frozen=True)
class ObjectVideo:
    """One sequence. frame_files: its pictures in order; mask_files: per frame the files whose union is the truth, none
    where a frame is not annotated; white_is_background: masks are white where there is no object, else black."""

    name: str
    frame_files: tuple[Path, ...]
    mask_files: tuple[tuple[Path, ...], ...]
    about: Benchmark
    white_is_background: bool = False

    def __len__(self) -> int:
        return len(self.frame_files)

    def frames(self) -> Iterator[Tensor]:
        """Frames (3, H, W), RGB, 0..1, one at a time."""
        return (read_image(file) for file in self.frame_files)

    def masks(self) -> Iterator[Tensor]:
        """True masks (H, W), bool, of all frames; all objects merged. Raises DataMissing for one without a file."""
        return (self.mask(idx) for idx in range(len(self)))

    def mask(self, idx: int) -> Tensor:
        """True mask of one frame."""
        files = self.mask_files[idx]
        if not files:
            raise self.about.missing(f"{self.name} has no mask for its frame {idx} ({self.frame_files[idx].name})")
        if self.white_is_background:
            return (read_image(files[0]) < 1).any(dim=0)
        merged = read_mask(files[0])
        for file in files[1:]:
            merged |= read_mask(file, size=(merged.shape[0], merged.shape[1]))
        return merged

    @property
    def annotated(self) -> tuple[int, ...]:
        """Indices of the frames that have a true mask."""
        return tuple(idx for idx, files in enumerate(self.mask_files) if files)

    def origin(self) -> Origin:
        """Where the sequence comes from, with the checksum of its frames' folder."""
        return self.about.origin(self.name, folder_sha256(self.frame_files[0].parent))


class ObjectVideos(torch.utils.data.Dataset[ObjectVideo]):
    """Sequences of a data set in the order of their names: `data[i] -> ObjectVideo`; `names` lists them."""

    videos: list[ObjectVideo]

    def __len__(self) -> int:
        return len(self.videos)

    def __getitem__(self, idx: int) -> ObjectVideo:
        return self.videos[idx]

    @property
    def names(self) -> list[str]:
        """Names of the sequences."""
        return [video.name for video in self.videos]


class Davis2016(ObjectVideos):
    """DAVIS-2016 at 480p, or a part of it.

    split: `val`, the 20 sequences of the tables; `train`, the other 30; or names of sequences. Sequences of a split
    that are not under the root are left out and named in `missing`, so that a score can say what it rests on; names
    asked for by name must be there. Raises DataMissing that says what is absent, from where it comes and its licence.
    """

    def __init__(self, root: str | Path, split: str | Sequence[str] = "val") -> None:
        folder = DAVIS.check_root(root)
        pictures = folder / "JPEGImages" / "480p"
        if not pictures.is_dir():
            raise DAVIS.missing(f"{pictures} is not a folder")
        here = sorted(path.name for path in pictures.iterdir() if path.is_dir())
        if isinstance(split, str) and split not in ("val", "train"):
            raise SpecError(f"split must be val, train or a list of sequences: got {split!r}")
        if split == "train":
            wanted = [name for name in here if name not in VAL]
        else:
            wanted = list(VAL if split == "val" else split)
        self.missing = [name for name in wanted if name not in here]
        if self.missing and not isinstance(split, str):
            raise DAVIS.missing(f"{folder} has no sequence {', '.join(self.missing)}; it has {', '.join(here)}")
        names = [name for name in wanted if name in here]
        if not names:
            raise DAVIS.missing(f"{folder} has no sequence of the split {split}")
        truths = folder / "Annotations" / "480p"
        self.videos = [_paired(name, pictures / name, [truths / name], DAVIS) for name in names]
        for video in self.videos:
            if len(video.annotated) < len(video):
                absent = video.frame_files[min(set(range(len(video))) - set(video.annotated))]
                raise DAVIS.missing(f"{video.name} has no mask for {absent.name}")


class SegTrackV2(ObjectVideos):
    """SegTrack v2, 14 sequences; the objects of a sequence are merged, as for finding what moves."""

    def __init__(self, root: str | Path) -> None:
        folder = SEGTRACK.check_root(root)
        self.videos = []
        for pictures in _folders(folder / "JPEGImages", SEGTRACK):
            truth = folder / "GroundTruth" / pictures.name
            if not truth.is_dir():
                raise SEGTRACK.missing(f"there is no {truth}")
            objects = [path for path in sorted(truth.iterdir()) if path.is_dir()] or [truth]
            self.videos.append(_paired(pictures.name, pictures, objects, SEGTRACK))


class FBMS59(ObjectVideos):
    """FBMS-59, split `train` (29 sequences) or `test` (30): only some frames have a mask, see `annotated`."""

    def __init__(self, root: str | Path, split: str = "test") -> None:
        if split not in FBMS_SPLITS:
            raise SpecError(f"split must be one of {', '.join(FBMS_SPLITS)}: got {split!r}")
        folder = FBMS.check_root(root) / FBMS_SPLITS[split]
        self.videos = [
            _paired(pictures.name, pictures, [pictures / "GroundTruth"], FBMS, white_is_background=True)
            for pictures in _folders(folder, FBMS)
        ]


def _folders(parent: Path, about: Benchmark) -> list[Path]:
    found = sorted(path for path in parent.iterdir() if path.is_dir()) if parent.is_dir() else []
    if not found:
        raise about.missing(f"{parent} has no folder of a sequence")
    return found


def _paired(
    name: str, pictures: Path, truths: Sequence[Path], about: Benchmark, *, white_is_background: bool = False
) -> ObjectVideo:
    """Frames of a folder with the masks of the same stem, from every folder of masks."""
    frames = _files(pictures)
    if not frames:
        raise about.missing(f"{pictures} holds no picture")
    by_stem = [{_stem(file): file for file in _files(folder)} for folder in truths]
    masks = tuple(tuple(known[file.stem] for known in by_stem if file.stem in known) for file in frames)
    if not any(masks):
        raise about.missing(f"{name} has no mask in {', '.join(folder.name for folder in truths)}")
    return ObjectVideo(name, tuple(frames), masks, about, white_is_background)


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted((file for file in folder.iterdir() if file.suffix.lower() in READ_SUFFIXES), key=natural_key)


def _stem(file: Path) -> str:
    """The frame's stem of a mask file: FBMS adds `_gt`."""
    return file.stem.removesuffix("_gt")
