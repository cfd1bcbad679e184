"""BVI-RLV and BVI-Coral: low-light videos with registered references, and underwater videos without."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from torch.utils.data import Dataset

from lib.data.benchmark import Benchmark
from lib.data.origin import Origin, file_sha256, folder_sha256
from lib.data.video import VideoReader, list_pictures, natural_key, open_video
from lib.errors import SpecError

RLV = Benchmark(
    "BVI-RLV",
    "input/<scene>/low_light_10|low_light_20 and gt/<scene>/normal_light_10|normal_light_20 with frames of equal "
    "names, and test_list.txt and train_list.txt with one scene per line",
    "Lin et al.: BVI-RLV, A Fully Registered Dataset for Low-Light Video Enhancement, 2024 (doi 10.21227/mzny-8c77)",
    "open access with registration, terms on the data set's page; cite the paper",
)
CORAL = Benchmark(
    "BVI-Coral",
    "video files (such as Original210120.MOV) or one folder of pictures per clip",
    "the authors of Zero-TIG, who use it in sec. IV of their paper; no public copy is known",
    "not stated; ask the authors",
)
LEVELS = (10, 20)  # per cent of the normal light
SPLITS = ("train", "test", "all")
VIDEO_SUFFIXES = (".mov", ".mp4", ".m4v", ".avi", ".mkv", ".mts", ".mxf", ".webm")
NAMES_SHOWN = 3


@dataclass(frozen=True)
class LowLightScene:
    """One scene at one light level; frames are read from the two folders when asked for.

    name: `<scene>/<level>`. level: per cent of the normal light. num_frames: of both.
    """

    name: str
    level: int
    num_frames: int
    dark_folder: Path
    truth_folder: Path

    def open(self) -> VideoReader:
        """The dark frames as a stream that can be read again and again."""
        return open_video(self.dark_folder)

    def open_truth(self) -> VideoReader:
        """The registered frames under normal light, one for each dark one."""
        return open_video(self.truth_folder)

    @cached_property
    def origin(self) -> Origin:
        """Origin with the checksum of the dark frames; reads all of them once."""
        return RLV.origin(self.name, folder_sha256(self.dark_folder))


class BVIRLV(Dataset[LowLightScene]):
    """BVI-RLV: `data[i] -> LowLightScene`, full HD, 40 scenes, more than 30 000 pairs of frames in all.

    split: `train`, `test` (scenes of train_list.txt, test_list.txt beside input/) or `all`. level: 10, 20 or None for
    both. Scenes in the order of the list, or of their names; within a scene level 10, then 20.
    Choice: the paper doesn't say which scenes its 16 test sequences are; the list file decides.
    Raises DataMissing that says what is absent, where it comes from and its licence, also when a dark frame lacks its
    reference; SpecError for another split or level. No frame is decoded before it is asked for.
    """

    def __init__(
        self,
        root: str | Path,
        split: Literal["train", "test", "all"] = "test",
        level: Literal[10, 20] | None = None,
    ) -> None:
        if split not in SPLITS:
            raise SpecError(f"split must be one of {', '.join(SPLITS)}: got {split!r}")
        if level is not None and level not in LEVELS:
            raise SpecError(f"level must be 10, 20 or None for both: got {level!r}")
        self.root = RLV.check_root(root)
        for part in ("input", "gt"):
            if not (self.root / part).is_dir():
                raise RLV.missing(f"{self.root} lacks the folder {part}/")
        levels = LEVELS if level is None else (level,)
        self._scenes = [self._find(scene, step) for scene in self._list_scenes(split) for step in levels]
        self.names = [scene.name for scene in self._scenes]

    def __len__(self) -> int:
        return len(self._scenes)

    def __getitem__(self, index: int) -> LowLightScene:
        return self._scenes[index]

    def _list_scenes(self, split: str) -> list[str]:
        if split == "all":
            scenes = [folder.name for folder in sorted((self.root / "input").iterdir()) if folder.is_dir()]
            source = "input/"
        else:
            source = f"{split}_list.txt"
            if not (self.root / source).is_file():
                raise RLV.missing(f"{self.root} lacks {source}; write it, or take split='all'")
            lines = (self.root / source).read_text(encoding="utf-8-sig").splitlines()
            scenes = [line.strip() for line in lines if line.strip()]
        if not scenes:
            raise RLV.missing(f"{source} in {self.root} holds no scene")
        return scenes

    def _find(self, scene: str, level: int) -> LowLightScene:
        dark = self.root / "input" / scene / f"low_light_{level}"
        truth = self.root / "gt" / scene / f"normal_light_{level}"
        for folder in (dark, truth):
            if not folder.is_dir():
                raise RLV.missing(f"{self.root} lacks the folder {folder.relative_to(self.root).as_posix()}/")
        names = [path.name for path in list_pictures(dark)]
        if not names:
            raise RLV.missing(f"{dark} holds no frame")
        truths = [path.name for path in list_pictures(truth)]
        if names != truths:
            unlike = sorted(set(names) ^ set(truths))
            shown = ", ".join(unlike[:NAMES_SHOWN])
            raise RLV.missing(f"{len(unlike)} frames of {scene} at {level} % lack their partner: {shown}")
        return LowLightScene(f"{scene}/{level}", level, len(names), dark, truth)


@dataclass(frozen=True)
class CoralClip:
    """One underwater clip without reference; read when asked for."""

    name: str
    path: Path

    def open(self) -> VideoReader:
        """The frames as a stream that can be read again and again; raises DataMissing when it can't be read."""
        return open_video(self.path)

    @cached_property
    def origin(self) -> Origin:
        """Origin with the checksum of the file or folder; reads it once."""
        checksum = folder_sha256(self.path) if self.path.is_dir() else file_sha256(self.path)
        return CORAL.origin(self.name, checksum)


class BVICoral(Dataset[CoralClip]):
    """BVI-Coral: `data[i] -> CoralClip`, video files or folders of pictures in natural order of names.

    Raises DataMissing that says what is absent, where it comes from and its licence.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = CORAL.check_root(root)
        found = (path for path in self.root.iterdir() if not path.name.startswith(".") and _is_clip(path))
        self._clips = [CoralClip(path.stem, path) for path in sorted(found, key=natural_key)]
        if not self._clips:
            raise CORAL.missing(f"{self.root} holds no clip")
        self.names = [clip.name for clip in self._clips]

    def __len__(self) -> int:
        return len(self._clips)

    def __getitem__(self, index: int) -> CoralClip:
        return self._clips[index]


def _is_clip(path: Path) -> bool:
    return bool(list_pictures(path)) if path.is_dir() else path.suffix.lower() in VIDEO_SUFFIXES
