"""Video in: any file that FFmpeg reads, a folder of pictures or one picture, as a stream of float RGB images."""

import re
import weakref
from collections.abc import Generator, Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from torch import Tensor

from lib.data.images import READ_SUFFIXES, read_image
from lib.data.video_writer import VideoWriter
from lib.errors import DataMissing, LabError, SpecError

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

__all__ = ["VideoReader", "VideoWriter", "open_video", "read_clip"]

FOLDER_FPS = 25.0  # a folder of pictures has no clock
YUV_WHITE_16 = 255 << 8  # what swscale makes of limited-range white in 16-bit RGB
FULL_RANGE = 2  # AVCOL_RANGE_JPEG
ENTRY_SLACK_S = 5.0  # some containers go to a key frame after the time that was asked for
END_TOLERANCE_FRAMES = 2  # headers round the duration and may count a dropped last frame


class VideoReader:
    """A clip as an iterable of images (3, H, W), float32 RGB 0..1; each `for` starts anew with the first frame.

    One frame is held at a time, whatever the length. Attributes: `fps` (mean, of the header; 25 for picture folders),
    `size` (height, width) after rotation, `num_frames` (estimate of the header, exact for picture folders, None when
    unknown), `stopped` (None, or one sentence that says where and why the latest pass ended early: the frames before
    are good). Non-square pixels are not stretched. Choice: a file that doesn't name its matrix is taken as BT.601,
    as FFmpeg and OpenCV do. Made by open_video.
    """

    fps: float
    size: tuple[int, int]
    num_frames: int | None
    stopped: str | None

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fps = FOLDER_FPS
        self.num_frames = None
        self.stopped = None
        self._closed = False
        self._passes: weakref.WeakSet[Any] = weakref.WeakSet()
        self._probe()

    def __iter__(self) -> Iterator[Tensor]:
        return (image for _, image in self.timed())

    def timed(self, *, from_s: float = 0.0) -> Iterator[tuple[float, Tensor]]:
        """Pairs (seconds since the first frame, image); the times of the file, so that a variable rate is kept.

        from_s: the first pair's time, or the next one after it; a file is entered at the key frame before.
        """
        if self._closed:
            raise LabError(f"the video {self.path} is closed; open it again")
        frames = self._frames(from_s)
        self._passes.add(frames)
        return frames

    def close(self) -> None:
        """Ends every pass that is still open and lets go of the file."""
        self._closed = True
        for frames in list(self._passes):
            frames.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _probe(self) -> None:
        """Reads the header and one frame; raises DataMissing when there is none."""
        raise NotImplementedError

    def _frames(self, from_s: float) -> Iterator[tuple[float, Tensor]]:
        raise NotImplementedError


def open_video(path: str | Path) -> VideoReader:
    """Reader of a video file, of a folder of pictures in natural order (2 before 10), or of one picture.

    Raises DataMissing, one sentence, when the path is absent, empty, no video, has no video stream or no frame that
    decodes, and when a folder holds no picture. A file that breaks off later raises nothing: see VideoReader.stopped.
    """
    path = Path(path)
    if not path.exists():
        raise DataMissing(f"{path} does not exist; give a video file, a folder of pictures or a picture")
    if path.is_dir() or path.suffix.lower() in READ_SUFFIXES:
        return _PictureReader(path)
    return _FileReader(path)


def read_clip(path: str | Path, *, max_frames: int) -> Tensor:
    """First `max_frames` images of a video as one tensor (T, 3, H, W); fewer where the clip is shorter.

    Raises SpecError for max_frames < 1 and what open_video raises.
    """
    if max_frames < 1:
        raise SpecError(f"max_frames must be at least 1: got {max_frames}")
    with open_video(path) as reader:
        return torch.stack([image for image, _ in zip(reader, range(max_frames), strict=False)])


def natural_key(path: Path) -> list[tuple[int, str]]:
    """Sorting key that puts `frame_2` before `frame_10`."""
    return [(int(part), "") if part.isdecimal() else (-1, part.lower()) for part in re.split(r"(\d+)", path.name)]


def list_pictures(folder: Path) -> list[Path]:
    """Picture files directly in a folder, hidden ones left out, in natural order."""
    found = (f for f in folder.iterdir() if f.is_file() and f.suffix.lower() in READ_SUFFIXES)
    return sorted((f for f in found if not f.name.startswith(".")), key=natural_key)


class _PictureReader(VideoReader):
    """Pictures of one folder, or one picture, as a video of 25 frames per second."""

    def _probe(self) -> None:
        self._pictures = list_pictures(self.path) if self.path.is_dir() else [self.path]
        if not self._pictures:
            raise DataMissing(f"the folder {self.path} holds no picture; expected {', '.join(READ_SUFFIXES)}")
        height, width = read_image(self._pictures[0]).shape[-2:]
        self.size = (height, width)
        self.num_frames = len(self._pictures)

    def _frames(self, from_s: float) -> Iterator[tuple[float, Tensor]]:
        self.stopped = None
        for index, picture in enumerate(self._pictures):
            if index / FOLDER_FPS < from_s - 0.5 / FOLDER_FPS:
                continue
            try:
                image = read_image(picture)
            except DataMissing as error:
                self.stopped = f"stopped after {index} frames: {error}"
                return
            if image.shape[-2:] != self.size:
                came = f"{image.shape[-1]}x{image.shape[-2]}"
                self.stopped = (
                    f"stopped after {index} frames: {picture.name} is {came}, the first is {_wide(self.size)}"
                )
                return
            yield index / FOLDER_FPS, image


class _FileReader(VideoReader):
    """Frames of a video file through PyAV."""

    def _probe(self) -> None:
        if self.path.stat().st_size == 0:
            raise DataMissing(f"the video {self.path} is an empty file; fetch it again")
        with self._open() as container:
            stream = container.streams.video[0]
            self.fps = float(stream.average_rate or stream.guessed_rate or FOLDER_FPS)
            seconds = _stream_seconds(container, stream)
            self.num_frames = stream.frames or (round(seconds * self.fps) if seconds else None)
        self._first_stamp: float | None = None
        first = next(self._frames(0.0), None)
        if first is None:
            raise DataMissing(f"no frame of {self.path} can be decoded ({self.stopped or 'no frames'}); fetch it again")
        self.stopped = None

    def _open(self) -> "InputContainer":
        import av

        try:
            container = av.open(str(self.path), metadata_errors="replace")
        except (av.error.FFmpegError, OSError) as error:
            raise DataMissing(f"cannot read {self.path} as a video ({_reason(error)}); is it complete?") from error
        if not container.streams.video:
            container.close()
            raise DataMissing(f"{self.path} holds no video stream; give a file with pictures")
        container.streams.video[0].thread_type = "AUTO"
        return container

    def _frames(self, from_s: float) -> Iterator[tuple[float, Tensor]]:
        self.stopped = None
        if from_s > 0 and self._first_stamp is not None:
            with self._open() as container:
                frames = self._entered(container, self._first_stamp, from_s)
                if frames is not None:
                    yield from self._decode(frames, from_s, start=self._first_stamp)
                    return
        with self._open() as container:
            stream = container.streams.video[0]
            count, end = yield from self._decode(_sound_frames(container), from_s, start=None)
            if self.stopped is None:
                self._check_end(_stream_seconds(container, stream), stream.frames, count, end)

    def _entered(self, container: "InputContainer", first_stamp: float, from_s: float) -> Iterator["VideoFrame"] | None:
        """Frames from a key frame on that is not after `from_s`; None where there's no getting there."""
        stream = container.streams.video[0]
        if stream.time_base is None:
            return None
        for back_s in (0.0, ENTRY_SLACK_S):
            try:
                container.seek(round((first_stamp + from_s - back_s) / stream.time_base), stream=stream)
                frames = _sound_frames(container)
                first = next(frames, None)
            except (OSError, ValueError):
                return None
            if first is not None and first.time is not None and first.time - first_stamp <= from_s:
                return chain([first], frames)
        return None

    def _decode(
        self, frames: Iterator["VideoFrame"], from_s: float, *, start: float | None
    ) -> Generator[tuple[float, Tensor], None, tuple[int, float]]:
        """Images from `from_s` on; gives back how many frames there were, and when the last one ended.

        start: stamp of the file's first frame, where `frames` don't begin with it.
        """
        count, end = 0, 0.0
        frame_s = 1 / self.fps
        convert = _Converter()
        while True:
            try:
                frame = next(frames)
            except StopIteration:
                break
            except (OSError, ValueError) as error:
                self.stopped = f"stopped after {count} frames ({end:.2f} s): {_reason(error)}"
                break
            stamp = frame.time if frame.time is not None else count * frame_s
            if start is None:
                start, self._first_stamp = stamp, frame.time
            if stamp - start < from_s - frame_s / 2:
                count += 1
                continue
            image = convert(frame)
            if count == 0:
                self.size = (image.shape[-2], image.shape[-1])
            elif image.shape[-2:] != self.size:
                self.stopped = f"stopped after {count} frames ({end:.2f} s): the picture size changes in the file"
                break
            end = stamp - start + frame_s
            count += 1
            yield stamp - start, image
        return count, end

    def _check_end(self, seconds: float | None, header_frames: int, count: int, end: float) -> None:
        """Notes a clip that ended early: both the header's time and, where it has one, its count are missed."""
        few = header_frames == 0 or count < header_frames - END_TOLERANCE_FRAMES
        if seconds and few and end < seconds - END_TOLERANCE_FRAMES / self.fps:
            promised = f"{seconds:.2f} s" + (f" and {header_frames} frames" if header_frames else "")
            self.stopped = (
                f"stopped after {count} frames ({end:.2f} s): the file is cut off, its header says {promised}"
            )


def _sound_frames(container: "InputContainer") -> Iterator["VideoFrame"]:
    """Frames of the first stream; packets before the first frame may be broken (a recording that starts mid-stream)."""
    import av

    started = False
    for packet in container.demux(container.streams.video[0]):
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            if started:
                raise
            continue
        for frame in frames:
            started = True
            yield frame


class _Converter:
    """Frames to float RGB; keeps the swscale plan between frames."""

    def __init__(self) -> None:
        from av.video.reformatter import Interpolation, VideoReformatter

        self._reformatter = VideoReformatter()
        # without these flags swscale truncates: colours come out 1 to 2 grey levels too dark
        self._flags = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT

    def __call__(self, frame: "VideoFrame") -> Tensor:
        """Image (3, H, W) 0..1, turned by the file's display matrix (quarter turns only)."""
        bits = max(component.bits for component in frame.format.components)
        layout, dtype = ("gbrp16le", np.dtype("<u2")) if bits > 8 else ("gbrp", np.dtype(np.uint8))
        planar = self._reformatter.reformat(frame, format=layout, interpolation=self._flags, threads=1)
        green, blue, red = (
            np.frombuffer(memoryview(p), dtype).reshape(p.height, -1)[:, : p.width] for p in planar.planes
        )
        planes = np.stack([red, green, blue])
        turns = round(frame.rotation / 90) % 4
        if turns:
            planes = np.ascontiguousarray(np.rot90(planes, turns, axes=(1, 2)))
        if bits <= 8:
            return torch.from_numpy(planes).to(torch.float32).div_(255)
        # limited range is the usual one of colour video; everything else is widened by a shift of its full range
        limited = not frame.format.is_rgb and len(frame.format.components) >= 3 and frame.color_range != FULL_RANGE
        top = YUV_WHITE_16 if limited else ((1 << bits) - 1) << (16 - bits)
        return torch.from_numpy(planes.astype(np.float32)).div_(top).clamp_(max=1)


def _stream_seconds(container: "InputContainer", stream: "VideoStream") -> float | None:
    """Length that the header promises for the video stream, seconds; None when it promises none."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    tag = re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", stream.metadata.get("DURATION", ""))
    if tag:
        hours, minutes, seconds = tag.groups()
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    if container.duration and len(container.streams) == 1:
        return float(Fraction(container.duration, 1_000_000))
    return None


def _reason(error: Exception) -> str:
    """What FFmpeg says, without its number and the path."""
    return str(getattr(error, "strerror", None) or error)


def _wide(size: tuple[int, int]) -> str:
    return f"{size[1]}x{size[0]}"
