"""The folder OUT.part: what a run has done so far, safe against a kill at any moment."""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any

import torch

from lib.data.atomic import appears_whole, cured
from lib.errors import LabError, SpecError
from lib.footage.places import Places
from lib.footage.record import Facts, differences, read_json, write_json

RECORD, LOCK, PLACING = "run.json", "lock", "placing.json"


@dataclass(frozen=True)
class Part:
    """Consecutive frames: the tick of 1/90000 s at which the first is shown, and the notes of all."""

    start: int
    notes: list[Any]


class PartFolder:
    """Parts, state, results beside OUT, the record of what was asked for; a part counts once its notes are there."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self.path = places.part

    @contextmanager
    def opened(self, now: Facts) -> Iterator[None]:
        """Goes on with an earlier run that asked for the same, else starts anew and says why; one process at a time.

        Raises SpecError for results that exist already and for a folder of others, LabError for a run under way.
        """
        record = self.path / RECORD
        then = read_json(record)
        if self.path.exists() and then is None and not self._is_empty():
            raise SpecError(f"{self.path} exists and is of no earlier run; move it away, or give another OUT")
        if then != now or not (self.path / PLACING).exists():
            self.places.check_free()
        with ExitStack() as stack:
            with cured(self.path):
                self.path.mkdir(exist_ok=True)
                self._lock(stack)
            if then is not None and then != now:
                said = "; ".join(differences(then, now))
                print(f"{self.path} is of another run: {said}. Starts anew", file=sys.stderr)
                self._clear(everything=True)
            self._clear(everything=False)
            write_json(record, now)
            yield

    def parts(self) -> list[Part]:
        """The whole parts, in order."""
        held = (read_json(self._file(number, ".json")) for number in count(1))
        found: list[Part] = []
        for one in held:
            if one is None:
                return found
            found.append(Part(**one))
        return found

    def state(self, number: int) -> Any:
        """What a method kept after the part of this number, from 1 on; None where it kept nothing."""
        path = self._state_file(number)
        return torch.load(path, weights_only=True) if path.is_file() else None

    def add(self, number: int, part: Part, state: Any) -> None:
        """A part whose frames are written; the state before it goes."""
        if state is not None:
            with appears_whole(self._state_file(number)) as partial:
                torch.save(state, partial)
        write_json(self._file(number, ".json"), asdict(part))
        self._state_file(number - 1).unlink(missing_ok=True)

    def holds_something(self) -> bool:
        """Whether a later call has something to go on with: a part, or a file that a method keeps."""
        return self._file(1, ".json").is_file() or any(self.path.glob("*.pt"))

    def video_part(self, number: int) -> Path:
        """File of a part's frames where OUT is a video."""
        return self._file(number, self.places.out.suffix.lower())

    @property
    def whole(self) -> Path:
        """What becomes OUT."""
        return self.path / ("frames" if self.places.kind == "folder" else f"whole{self.places.out.suffix.lower()}")

    def within(self, name: str, suffix: str = "") -> Path:
        """A file's name in the folder, or a folder in it, which is made where it isn't there."""
        path = self.path / f"{name}{suffix}"
        if not suffix:
            path.mkdir(exist_ok=True)
        return path

    def begin_placing(self) -> None:
        """From now on results may be in their place already."""
        write_json(self.path / PLACING, True)

    def place(self) -> None:
        """Moves the results to their names, OUT last, and removes the folder."""
        for name, path in self.places.beside.items():
            _move(self.path / f"{name}{path.suffix}", path)
        _move(self.whole, self.places.out)
        (self.path / PLACING).unlink()
        self.remove()

    def remove(self) -> None:
        """Removes the folder, what says whose it is last."""
        self._clear(everything=True)
        shutil.rmtree(self.path, ignore_errors=True)

    def _file(self, number: int, suffix: str) -> Path:
        return self.path / f"part_{number:06d}{suffix}"

    def _state_file(self, number: int) -> Path:
        return self.path / f"state_{number:06d}.pt"

    def _is_empty(self) -> bool:
        """Nothing but what a kill before the first record leaves."""
        return self.path.is_dir() and all(
            file.name == LOCK or file.name.startswith(f".{RECORD.split('.')[0]}") for file in self.path.iterdir()
        )

    def _lock(self, stack: ExitStack) -> None:
        """Held until the stack closes, or the process ends however it may."""
        try:
            import fcntl
        except ImportError:  # no such locks on Windows
            return
        file = stack.enter_context((self.path / LOCK).open("w"))
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise LabError(f"another run is writing {self.places.out}; wait for it, or give another OUT") from error

    def _clear(self, *, everything: bool) -> None:
        """Removes what a kill left half-written, or all but the lock and the record; parts stop counting first."""
        for path in sorted(self.path.iterdir(), key=lambda path: (path.suffix != ".json", path.name)):
            if path.name in (LOCK, RECORD) or not (everything or ".partial" in path.name):
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


def _move(part: Path, path: Path) -> None:
    """Puts a result in its place, also on another disk; one that an earlier call put there already stays."""
    if not part.exists() or (part.is_dir() and not any(part.iterdir())):
        return
    with cured(path):
        try:
            os.replace(part, path)
        except OSError:
            if part.stat().st_dev == path.parent.stat().st_dev:
                raise
            with appears_whole(path) as partial:
                if part.is_dir():
                    shutil.copytree(part, partial)
                else:
                    shutil.copyfile(part, partial)
