"""Network weights by name: where they may lie, their checksum and licence, and the one command that fetches them."""

import hashlib
import http.client
import os
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path

from lib.data.atomic import appears_whole
from lib.data.origin import CHUNK_BYTES, file_sha256
from lib.errors import SpecError, Unavailable
from lib.paths import paths

TIMEOUT_S = 30


@dataclass(frozen=True)
class WeightsInfo:
    """One entry of the manifest.

    file: its name in each folder that is searched.
    sha256: hexadecimal, whole or its first digits; "" where the publisher gives none, so that nothing is checked.
    torchvision: the weights entry, such as `VGG16_Weights.IMAGENET1K_V1`, whose address is used; or `url`; or `ask`,
        how a person gets a file that no program may fetch; or `trained`, the command that made what is shipped.
    """

    name: str
    file: str
    sha256: str
    licence: str
    about: str
    torchvision: str = ""
    url: str = ""
    ask: str = ""
    trained: str = ""

    @property
    def source(self) -> str:
        """Where the file comes from, in words."""
        if self.torchvision:
            return f"torchvision {self.torchvision}"
        return self.url or self.ask or f"trained by this project: {self.trained}"

    @property
    def is_here(self) -> bool:
        """Whether a file of that name is in a folder that is searched; its checksum is not looked at."""
        return any((folder / self.file).is_file() for folder in weights_folders())

    @property
    def can_download(self) -> bool:
        """Whether `nocturne weights NAME --download` can fetch it."""
        return bool(self.torchvision or self.url)


@dataclass(frozen=True)
class WeightsFile:
    """A file of weights that is there: its path on this machine, and what a record says about it."""

    name: str
    path: Path
    licence: str
    sha256: str
    source: str


def list_weights() -> list[WeightsInfo]:
    """All entries of data/weights/manifest.yaml, in its order."""
    return list(_manifest(manifest_path()).values())


def weights_info(name: str) -> WeightsInfo:
    """The manifest's entry of that name; SpecError, with the valid names, when there is none."""
    known = _manifest(manifest_path())
    if name not in known:
        raise SpecError(f"the manifest knows the weights {', '.join(known)}: got {name!r}")
    return known[name]


def weights_file(name: str) -> WeightsFile:
    """The file of the named weights, looked for in data/weights (shipped), NOCTURNE_WEIGHTS and the cache.

    Never downloads. Raises SpecError for an unknown name; Unavailable, with the command that cures it, when the file
    is in none of these folders or the first one found has another checksum than the manifest says.
    """
    info = weights_info(name)
    path = next((folder / info.file for folder in weights_folders() if (folder / info.file).is_file()), None)
    if path is None:
        raise Unavailable(f"the weights {name} ({info.file}) are not on this machine; {_cure(info)}")
    stat = path.stat()
    found = _sha256(path, stat.st_size, stat.st_mtime_ns)
    if not found.startswith(info.sha256):
        raise Unavailable(
            f"the weights {name} in {path} are not those of the manifest: expected sha256 {info.sha256}, "
            f"got {found}; delete the file, then {_cure(info)}"
        )
    return WeightsFile(name, path, info.licence, found, info.source)


def download_weights(name: str, *, on_bytes: Callable[[int, int], None] | None = None) -> WeightsFile:
    """Fetches the named weights into NOCTURNE_WEIGHTS or the cache, unless they are there already.

    on_bytes: called with the number of bytes that came since the last call and the size of all (0 = unknown).
    The file appears whole, with the right checksum, or not at all. Raises SpecError for an unknown name, Unavailable
    when there is no address, the transfer fails or what came has another checksum.
    """
    info = weights_info(name)
    if info.is_here:
        return weights_file(name)
    if not info.can_download:
        raise Unavailable(f"the weights {name} cannot be downloaded by this command; {_cure(info)}")
    folder = weights_folders()[1]
    folder.mkdir(parents=True, exist_ok=True)
    with appears_whole(folder / info.file) as partial:
        found = _fetch(info, partial, on_bytes)
        if not found.startswith(info.sha256):
            raise Unavailable(
                f"what came for the weights {name} has another checksum: expected sha256 {info.sha256}, got {found}; "
                "try again, or look whether the publisher changed the file"
            )
    return WeightsFile(name, folder / info.file, info.licence, found, info.source)


def weights_folders() -> list[Path]:
    """Folders that are searched: shipped, NOCTURNE_WEIGHTS where it is set, cache; downloads go to the second."""
    named = os.environ.get("NOCTURNE_WEIGHTS")
    return [manifest_path().parent, *([Path(named).expanduser()] if named else []), paths().cache / "weights"]


def manifest_path() -> Path:
    """The manifest of this checkout; the shipped weights lie beside it."""
    return paths().root / "data" / "weights" / "manifest.yaml"


@cache
def _manifest(path: Path) -> dict[str, WeightsInfo]:
    import yaml

    known = {field.name for field in fields(WeightsInfo)} - {"name"}
    entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    for name, entry in entries.items():
        if unknown := set(entry) - known:
            raise SpecError(f"{path.name}: {name} has unknown fields {', '.join(sorted(unknown))}")
    return {name: WeightsInfo(name=name, **entry) for name, entry in entries.items()}


@cache
def _sha256(path: Path, size: int, modified_ns: int) -> str:
    """Checksum of a file; half a gigabyte takes a second, so it is kept until size or time of the file change."""
    return file_sha256(path)


def _cure(info: WeightsInfo) -> str:
    if info.can_download:
        return f"get them with: nocturne weights {info.name} --download"
    if info.ask:
        return f"{info.ask}, put it into a folder and set NOCTURNE_WEIGHTS to that folder"
    return "they come with the repository: fetch its data/weights folder again"


def _address(info: WeightsInfo) -> str:
    if not info.torchvision:
        return info.url
    import torchvision

    return str(torchvision.models.get_weight(info.torchvision).url)


def _fetch(info: WeightsInfo, target: Path, on_bytes: Callable[[int, int], None] | None) -> str:
    """Writes the file at the entry's address to `target`, gives back its SHA-256."""
    digest = hashlib.sha256()
    with open(target, "wb") as file:
        for chunk, total in _received(info, target.parent):
            file.write(chunk)
            digest.update(chunk)
            if on_bytes is not None:
                on_bytes(len(chunk), total)
    return digest.hexdigest()


def _received(info: WeightsInfo, folder: Path) -> Iterator[tuple[bytes, int]]:
    """Pieces of the file at the entry's address, each with the size of all; a broken transfer is Unavailable."""
    address = _address(info)
    try:
        with urllib.request.urlopen(address, timeout=TIMEOUT_S) as answer:
            total = int(answer.headers.get("Content-Length") or 0)
            while chunk := answer.read(CHUNK_BYTES):
                yield chunk, total
    except (OSError, http.client.HTTPException) as error:
        raise Unavailable(
            f"cannot download the weights {info.name}: {getattr(error, 'reason', error)}; try again, or fetch "
            f"{address} by other means and put it as {info.file} into {folder}"
        ) from error
