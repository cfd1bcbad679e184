"""MATLAB files: 7.3 (HDF5) read a part at a time, by as many processes as like, and older ones read whole."""

import os
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lib.data.benchmark import Benchmark

if TYPE_CHECKING:
    import h5py


class MatlabFile:
    """A MATLAB 7.3 file whose variables are read lazily; each process opens it for itself, also after a fork.

    Raises DataMissing, with where the file comes from, when it is absent, cut off or of another format.
    """

    def __init__(self, path: Path, about: Benchmark) -> None:
        self.path = path
        self.about = about
        self._opened: tuple[int, h5py.File] | None = None
        # opened and closed again: the handle of this process is of no use to its children
        self._file()
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "about": self.about, "_opened": None}

    def close(self) -> None:
        """Closes this process's handle; the next access opens the file again."""
        if self._opened and self._opened[0] == os.getpid():
            self._opened[1].close()
        self._opened = None

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a variable as HDF5 stores it: MATLAB's axes in reverse order."""
        found = self._file().get(name)
        if found is None or not hasattr(found, "shape"):
            raise self.about.missing(f"{self.path} has no variable {name}")
        return tuple(found.shape)

    def read(self, name: str, idx: int) -> np.ndarray[Any, Any]:
        """Entry idx along MATLAB's last axis, the others in MATLAB's order; e.g. (H, W, 3) of a stack of pictures."""
        try:
            part = self._file()[name][idx]
        except (OSError, RuntimeError) as error:
            raise self.about.missing(f"{self.path} is damaged at entry {idx} of {name}; fetch it again") from error
        return np.ascontiguousarray(part.transpose())

    def read_cell(self, name: str, idx: int) -> np.ndarray[Any, Any]:
        """Array in cell idx of a cell array or of a field of a structure array, in MATLAB's order."""
        file = self._file()
        try:
            part = file[np.ravel(file[name][idx])[0]][()]
        except (OSError, RuntimeError, ValueError, TypeError) as error:
            raise self.about.missing(f"{self.path} is damaged at cell {idx} of {name}; fetch it again") from error
        return np.ascontiguousarray(part.transpose())

    def _file(self) -> "h5py.File":
        import h5py

        if self._opened is None or self._opened[0] != os.getpid():
            if not self.path.is_file():
                raise self.about.missing(f"there is no {self.path}")
            try:
                self._opened = (os.getpid(), h5py.File(self.path, "r"))
            except OSError as error:
                raise self.about.missing(
                    f"cannot read {self.path}: it is cut off or no MATLAB 7.3 file; fetch it again"
                ) from error
        return self._opened[1]


def read_old_matlab(path: Path, name: str, about: Benchmark) -> np.ndarray[Any, Any]:
    """Variable of a MATLAB file before 7.3, its axes of length 1 dropped; structures have their fields as attributes.

    Raises DataMissing, with where the file comes from, when it is absent, cut off or of another format.
    """
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    if not path.is_file():
        raise about.missing(f"there is no {path}")
    damaged = (MatReadError, OSError, ValueError, KeyError, TypeError, NotImplementedError, EOFError, zlib.error)
    try:
        return np.asarray(loadmat(path, squeeze_me=True, struct_as_record=False)[name])
    except damaged as error:
        raise about.missing(f"cannot read {name} from {path}: it is cut off or another file; fetch it again") from error
