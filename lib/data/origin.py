"""Where data came from: the note that travels with pictures and clips into every record."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lib.errors import DataMissing

CHUNK_BYTES = 1 << 20

Kind = Literal["benchmark", "sample", "simulated"]


@dataclass(frozen=True)
class Origin:
    """Name, kind, licence, checksum and source of one picture, clip or data set.

    kind: `benchmark` is the data that a paper reports on, `sample` is other real material, `simulated` has known truth.
    licence: as the source states it.
    sha256: of the file, of the folder (see folder_sha256), or "" for what was computed.
    source: package, repository or citation, in words; never a path of this machine.
    """

    name: str
    kind: Kind
    licence: str
    sha256: str
    source: str


def file_sha256(path: str | Path) -> str:
    """SHA-256 of a file's bytes in hexadecimal; DataMissing when there is no such file."""
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                digest.update(chunk)
    except OSError as error:
        raise DataMissing(f"cannot read {path}: {error.strerror}; give an existing file") from error
    return digest.hexdigest()


def folder_sha256(path: str | Path) -> str:
    """SHA-256 of the lines `<sha256>  <relative path>` of all files below a folder, sorted by path.

    Hidden files and folders don't count, so that an operating system's own litter doesn't change the sum.
    Raises DataMissing when the folder is absent or holds no file.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise DataMissing(f"{folder} is not a folder; give an existing folder")
    relative = (file.relative_to(folder) for file in folder.rglob("*") if file.is_file())
    names = sorted(name.as_posix() for name in relative if not any(part.startswith(".") for part in name.parts))
    if not names:
        raise DataMissing(f"{folder} holds no file; give a folder with data")
    lines = "".join(f"{file_sha256(folder / name)}  {name}\n" for name in names)
    return hashlib.sha256(lines.encode()).hexdigest()
