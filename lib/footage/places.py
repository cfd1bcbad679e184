"""Where footage comes from and where results go: checked before anything is computed, one sentence for each fault."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from lib.data.images import READ_SUFFIXES, WRITE_SUFFIXES
from lib.data.video import VideoReader
from lib.data.video_writer import ENCODERS
from lib.errors import DataMissing, SpecError

Kind = Literal["video", "folder", "picture"]


@dataclass(frozen=True)
class Places:
    """IN, OUT, and what else is read and written.

    beside: other results by the name of their option without its dashes; a name that ends in a suffix is a file, any
    other a folder. read: further inputs by option. force: files that exist already are replaced.
    Raises SpecError for an OUT that is none, lies inside IN or would replace an input or another result, DataMissing
    for a folder that doesn't exist.
    """

    source: Path
    out: Path
    beside: Mapping[str, Path] = field(default_factory=dict)
    read: Mapping[str, Path] = field(default_factory=dict)
    force: bool = False

    def __post_init__(self) -> None:
        suffix = self.out.suffix.lower()
        if suffix and self.kind == "folder":
            raise SpecError(
                f"a result ends in {', '.join(ENCODERS)}, as one picture in {', '.join(WRITE_SUFFIXES)}, or, as a "
                f"folder of pictures, in nothing: got {self.out.name!r}"
            )
        inputs = {path.resolve() for path in (self.source, *self.read.values())}
        results = {"": self.out, **self.beside}
        for name, path in results.items():
            what, cure = _said(name, path)
            if path.resolve() in inputs:
                raise SpecError(f"the {what} would replace the input: give {cure} another name than {path}")
            if self.source.is_dir() and self.source.resolve() in path.resolve().parents:
                raise SpecError(f"{path} lies inside the input folder {self.source}; give {cure} a name outside")
            if name and path.resolve() == self.out.resolve():
                raise SpecError(f"the {what} would replace the result: give {cure} another name than {self.out}")
            if not path.parent.is_dir():
                raise DataMissing(f"the folder {path.parent} does not exist; create it first")
        if self.kind == "video" and self.is_picture:
            raise SpecError(
                f"a picture's result is a picture: give a name ending in .png, or a new folder, got {self.out.name!r}"
            )

    @property
    def kind(self) -> Kind:
        """What OUT is, by its name."""
        suffix = self.out.suffix.lower()
        return "video" if suffix in ENCODERS else "picture" if suffix in WRITE_SUFFIXES else "folder"

    @property
    def is_picture(self) -> bool:
        """Whether IN is a picture file."""
        return self.source.suffix.lower() in READ_SUFFIXES and not self.source.is_dir()

    @property
    def part(self) -> Path:
        """The folder for what is done so far, beside OUT."""
        return self.out.with_name(f"{self.out.name}.part")

    @property
    def preview(self) -> Path:
        """The picture of a preview."""
        return self.out.with_name(f"{self.out.stem}.preview.png")

    def check_free(self) -> None:
        """Passes places where nothing is that would be lost."""
        for name, path in {"": self.out, **self.beside}.items():
            _, cure = _said(name, path)
            is_folder = self.kind == "folder" if not name else not path.suffix
            if path.is_dir():
                if not is_folder:
                    raise SpecError(f"{path} is a folder; give {cure} a file name")
                if any(path.iterdir()):
                    raise SpecError(f"{path} exists already; give {cure} a folder that does not")
            elif path.exists() and is_folder:
                raise SpecError(f"{path} exists already; give {cure} a folder that does not")
            elif path.exists() and not self.force:
                raise SpecError(f"{path} exists already; give {cure} another name, or --force to replace it")

    def check_count(self, reader: VideoReader) -> None:
        """Passes a picture as OUT only where IN is one."""
        if self.kind == "picture" and reader.num_frames != 1:
            raise SpecError(f"{self.out.name} is one picture, the input has more: give an .mp4, .webm or a folder")


def _said(name: str, path: Path) -> tuple[str, str]:
    """How a result and its option are called: "result", "OUT" or "masks", "--masks"."""
    return (name, f"--{name}") if name else ("result", "OUT")


def files(**names: str | Path | None) -> dict[str, Path]:
    """Those of some options that name a file or folder which is there, for `read`."""
    return {name: Path(given) for name, given in names.items() if given is not None and Path(given).exists()}
