"""Files and folders that appear whole or not at all."""

import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lib.errors import DataMissing, LabError

CURES = {
    errno.ENOSPC: "the disk is full; free some space or write elsewhere",
    errno.EDQUOT: "the disk quota is used up; free some space or write elsewhere",
    errno.EACCES: "the folder may not be written; choose another one",
    errno.EPERM: "the folder may not be written; choose another one",
    errno.EROFS: "the file system is read-only; choose another folder",
}


@contextmanager
def appears_whole(path: str | Path) -> Iterator[Path]:
    """Hidden name beside `path` to write to; renamed to `path` on success, removed on any exception or Ctrl-C.

    The block may make a file or a folder of that name. A file replaces an older file; a folder only an empty folder.
    Raises DataMissing when the parent folder is absent; LabError with the cure for a read-only folder before the block
    runs, and for a full disk and other errors of the operating system inside it.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise DataMissing(f"the folder {path.parent} does not exist; create it first")
    partial = path.with_name(f".{path.stem[:40]}.{uuid.uuid4().hex[:8]}.partial{path.suffix}")
    try:
        with cured(path):
            # a place that cannot be written shows now, not after an hour of work
            partial.touch()
            partial.unlink()
            yield partial
            os.replace(partial, path)
    finally:
        with suppress(OSError):
            if partial.is_dir():
                shutil.rmtree(partial, ignore_errors=True)
            else:
                partial.unlink(missing_ok=True)


@contextmanager
def cured(path: Path) -> Iterator[None]:
    """Turns errors of the operating system while `path` is written into a LabError with the cure."""
    try:
        yield
    except LabError:
        raise
    except OSError as error:
        reason = CURES.get(error.errno or 0, error.strerror or str(error))
        raise LabError(f"cannot write {path}: {reason}") from error
