"""A method's run over footage: frames in, frames out, in parts that outlive a break, so that the next call goes on."""

import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from torch import Tensor

from lib.data.images import write_image
from lib.data.video import VideoReader, VideoWriter, open_video
from lib.data.video_join import VideoPart, join_videos
from lib.data.video_writer import TICKS_PER_SECOND
from lib.errors import LabError
from lib.footage.parts import Part, PartFolder
from lib.footage.places import Places
from lib.footage.record import facts
from lib.show.progress import progress

PART_FRAMES = 50  # a break loses at most so many; each part of a video starts with a key frame


class Run:
    """Frames of IN, a result for each, and OUT, which appears whole when the block ends well; a context manager.

    What is done stands in the folder OUT.part: the parts of 50 frames, each with what a method notes of its frames; a
    method's state after the last one; what was trained. A call with the same input, settings and code goes on after the
    last whole part, to the same result as without the break; another call starts anew and says why. After an error or
    Ctrl-C the folder stays where it holds something, and OUT is as it was.

    settings: by name, all that the result depends on beside IN and `places.read`; dataclasses stand for their fields.
    Attributes: `reader`, of IN; `num_done`, results that were there when the call began; `state`, what the method kept
    after them, or None; `idx`, number from 0 on of the frame whose result is due; `num_replayed`, see `frames`.
    Raises what Places, open_video and PartFolder raise, LabError where no result is written.
    """

    reader: VideoReader

    def __init__(self, places: Places, settings: Mapping[str, Any]) -> None:
        self.places = places
        self.num_done = self.num_replayed = self.idx = 0
        self.state: Any = None
        self._settings = settings
        self._folder = PartFolder(places)
        self._stack = ExitStack()
        self._parts: list[Part] = []
        self._times: deque[float] = deque()
        self._notes: list[Any] = []  # of the part that is being written
        self._start = 0  # of that part, ticks
        self._writer: VideoWriter | None = None

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.reader = stack.enter_context(open_video(self.places.source))
            self.places.check_count(self.reader)
            read = {f"file of --{name}": path for name, path in self.places.read.items()}
            given = {"input": self.places.source, **read}
            beside = {f"--{name}": path.suffix or "folder" for name, path in self.places.beside.items()}
            stack.enter_context(self._folder.opened(facts(given, {**self._settings, **beside})))
            self._parts = self._folder.parts()
            self.state = self._folder.state(len(self._parts))
            self.idx = self.num_done = sum(len(part.notes) for part in self._parts)
            self._stack = stack.pop_all()
        return self

    def frames(self, *, before: int = 0) -> Iterator[Tensor]:
        """The frames (3, H, W), 0..1, that have no result yet, with progress unless IN is one picture.

        before: so many of those ahead of them come first, as far as there are any, for a method that looks back;
        `num_replayed` says how many. They have their results already.
        """
        self.num_replayed = min(before, self.num_done)
        first = self.num_done - self.num_replayed
        if self.reader.num_frames == 1:
            return self._from(first)
        return progress(self._from(first), total=self.reader.num_frames, label="frames", done=first)

    def _from(self, first: int) -> Iterator[Tensor]:
        for idx, (time_s, frame) in enumerate(self.reader.timed()):
            if idx >= self.num_done:
                self._times.append(time_s)
            if idx >= first:
                yield frame

    def write(self, image: Tensor, *, note: Any = None, state: Callable[[], Any] | None = None) -> None:
        """Takes the result (3, H, W), 0..1, of the next frame.

        note: what is kept of the frame beside it, anything that JSON holds. state: gives what the method needs to go on
        after this frame: tensors, numbers, lists and dicts of them; it is asked at the end of a part.
        """
        ticks = round(self._times.popleft() * TICKS_PER_SECOND)
        self._start = self._start if self._notes else ticks
        if self.places.kind == "video":
            self._video().write(image, (ticks - self._start) / TICKS_PER_SECOND)
        elif self.places.kind == "folder":
            write_image(self._folder.within("frames") / f"frame_{self.idx + 1:06d}.png", image)
        else:
            write_image(self._folder.whole, image)
        self._notes.append(note)
        self.idx += 1
        if len(self._notes) == PART_FRAMES:
            self._end_part(state)

    @property
    def notes(self) -> list[Any]:
        """Notes of all frames up to now, in order."""
        return [note for notes in (*(part.notes for part in self._parts), self._notes) for note in notes]

    def beside(self, name: str) -> Path:
        """Where the result of that name, of `places.beside`, is written: a folder that is there, or a file's name."""
        return self._folder.within(name, self.places.beside[name].suffix)

    def kept(self, name: str) -> Path:
        """Name of a file, which ends in .pt, for what a method would not like to compute again, such as weights."""
        return self._folder.path / name

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._stack:
            try:
                if error is None:
                    self._finish()
            except BaseException as late:
                self._leave(late)
                raise
            if error is not None:
                self._leave(error)

    def _video(self) -> VideoWriter:
        """Writer of the present part."""
        if self._writer is None:
            path = self._folder.video_part(len(self._parts) + 1)
            self._writer = VideoWriter(path, fps=self.reader.fps).__enter__()
        return self._writer

    def _end_part(self, state: Callable[[], Any] | None) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.__exit__(None, None, None)
        part = Part(self._start, self._notes)
        self._folder.add(len(self._parts) + 1, part, None if state is None else state())
        self._parts.append(part)
        self._notes = []

    def _finish(self) -> None:
        """Makes OUT of the parts, and puts everything in its place, OUT last."""
        if self._notes:
            self._end_part(None)
        if not self._parts:
            raise LabError(f"no frame was written to {self.places.out}; nothing is left behind")
        self._folder.begin_placing()
        if self.places.kind == "video":
            pieces = [
                VideoPart(self._folder.video_part(number), part.start) for number, part in enumerate(self._parts, 1)
            ]
            join_videos(pieces, self._folder.whole, fps=self.reader.fps)
        self._folder.place()
        if self.reader.stopped:
            _say(f"{self.places.source}: {self.reader.stopped}; the frames before are in the result")
        print(self.places.out)

    def _leave(self, error: BaseException) -> None:
        """Keeps what the next call can use."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.__exit__(type(error), error, error.__traceback__)
        if not self._folder.holds_something():
            self._folder.remove()
            return
        done = sum(len(part.notes) for part in self._parts)
        total = f" of {self.reader.num_frames}" if self.reader.num_frames else ""
        _say(f"stopped with {done}{total} frames done, in {self._folder.path}; the same command goes on from there")


def _say(text: str) -> None:
    print(text, file=sys.stderr)
