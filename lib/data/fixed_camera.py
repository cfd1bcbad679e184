"""Night and day pictures of fixed cameras, from folders."""

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor
from torch.utils.data import Dataset

from lib.data.images import READ_SUFFIXES, read_image
from lib.data.origin import Origin, folder_sha256
from lib.data.video import list_pictures
from lib.errors import DataMissing, SpecError

LAYOUT = "expected night/ and day/ with pictures, or one folder per camera that holds night/ and day/"


@dataclass(frozen=True)
class DayNight:
    """One night picture (3, H, W) and a day picture of the same view, each in its own size, as stored."""

    name: str
    night: Tensor
    day: Tensor
    origin: Origin


class FixedCamera(Dataset[DayNight]):
    """Night pictures of fixed cameras, each with a day picture: `data[i] -> DayNight`, `data["frankfurt/..."]` too.

    root: holds `night/` and `day/` (one camera, named as the folder), or `<camera>/night/` and `<camera>/day/`.
    day_index: which day picture of the camera, in natural order of names, all its nights are paired with.
    licence: what goes into the origin; folders don't say it.
    Nights come camera by camera in natural order of names; `cameras` lists the cameras, `names` all nights as
    `<camera>/<file name without suffix>`. Night and day are not registered to each other: real cameras shift by about
    a pixel. The origin's sha256 is that of the camera's folder.
    Raises DataMissing that says which folder is absent or empty, SpecError for a day_index that a camera doesn't have.
    """

    def __init__(self, root: str | Path, *, day_index: int = 0, licence: str = "not stated by the folder") -> None:
        self.root = Path(root)
        self._licence = licence
        self._pairs: list[tuple[str, Path, Path]] = []
        folders = _camera_folders(self.root)
        self.cameras = [folder.resolve().name for folder in folders]
        self._folders = dict(zip(self.cameras, folders, strict=True))
        for camera, folder in self._folders.items():
            nights, days = _pictures(folder / "night"), _pictures(folder / "day")
            if not 0 <= day_index < len(days):
                raise SpecError(f"day_index must be 0..{len(days) - 1} for {camera}: got {day_index}")
            self._pairs += [(f"{camera}/{night.stem}", night, days[day_index]) for night in nights]
        self.names = [name for name, _, _ in self._pairs]
        self._origins: dict[str, Origin] = {}

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, index: int | str) -> DayNight:
        if isinstance(index, str):
            if index not in self.names:
                raise SpecError(f"{self.root.name} holds no night picture {index!r}; names: {', '.join(self.names)}")
            index = self.names.index(index)
        name, night, day = self._pairs[index]
        return DayNight(name, read_image(night), read_image(day), self._origin(name.split("/")[0]))

    def _origin(self, camera: str) -> Origin:
        if camera not in self._origins:
            source = f"folder {self.root.resolve().name}, camera {camera}"
            checksum = folder_sha256(self._folders[camera])
            self._origins[camera] = Origin(camera, "sample", self._licence, checksum, source)
        return self._origins[camera]


def _camera_folders(root: Path) -> list[Path]:
    """The root itself, or those of its folders that hold night/ or day/, sorted by name."""
    if not root.is_dir():
        raise DataMissing(f"{root} is not a folder; {LAYOUT}")
    if (root / "night").is_dir() or (root / "day").is_dir():
        return [root]
    found = sorted(child for child in root.iterdir() if (child / "night").is_dir() or (child / "day").is_dir())
    if not found:
        raise DataMissing(f"{root} holds no camera; {LAYOUT}")
    return found


def _pictures(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise DataMissing(f"the folder {folder} is missing; {LAYOUT}")
    pictures = list_pictures(folder)
    if not pictures:
        raise DataMissing(f"{folder} holds no picture; expected {', '.join(READ_SUFFIXES)}")
    return pictures
