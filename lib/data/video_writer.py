"""Video out: H.264 mp4 that browsers play, VP9 webm, or a folder of numbered PNG pictures."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from torch import Tensor

from lib.checks import check_image
from lib.data.atomic import appears_whole
from lib.data.images import array_from_image, write_image
from lib.errors import LabError, ShapeError, SpecError

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.video.stream import VideoStream

TICKS_PER_SECOND = 90_000  # clock of MPEG; holds 24, 25, 30, 30000/1001 and 60 fps without rounding
HIGHEST_FPS = 1000.0
# Near-transparent quality at a speed that keeps up with the methods. Without macroblock tree: its AVX-512 code reads
# memory that nobody wrote, so that the same frames gave another file in one of a hundred runs.
ENCODERS: dict[str, tuple[Literal["libx264", "libvpx-vp9"], dict[str, str]]] = {
    ".mp4": ("libx264", {"crf": "16", "preset": "veryfast", "mbtree": "0"}),
    ".webm": ("libvpx-vp9", {"crf": "18", "b": "0", "deadline": "realtime", "cpu-used": "6", "row-mt": "1"}),
}


def mux_options(path: Path) -> dict[str, str]:
    """Of FFmpeg's container: an mp4 has its index in front."""
    return {"movflags": "+faststart"} if path.suffix.lower() == ".mp4" else {}


def frame_rate(fps: float) -> Fraction:
    """Frames per second as containers hold them."""
    return Fraction(fps).limit_denominator(1001)


class VideoWriter:
    """Writes images (3, H, W), RGB 0..1, to `path`; a context manager, and the file appears whole or not at all.

    path: `.mp4` (H.264, yuv420p, index in front), `.webm` (VP9), or no suffix: a folder of `frame_000001.png` ...
    fps: frames per second, above 0, at most 1000; folders have no clock.
    Colours: BT.709, limited range, flagged in the file; they come back within a few grey levels, fine colour detail at
    half resolution (4:2:0). Odd sizes: the last row or column is repeated, because 4:2:0 needs even ones.
    Raises SpecError for another suffix or fps, a folder that already holds something; DataMissing when the parent
    folder is absent; LabError when nothing was written, the disk is full or the folder read-only. After an exception
    or Ctrl-C inside the block nothing is left behind.
    """

    def __init__(self, path: str | Path, *, fps: float) -> None:
        self.path = Path(path)
        self.fps = fps
        self.num_frames = 0
        if not 0 < fps <= HIGHEST_FPS:
            raise SpecError(f"fps must be above 0 and at most {HIGHEST_FPS:g}: got {fps}")
        suffix = self.path.suffix.lower()
        if suffix and suffix not in ENCODERS:
            raise SpecError(
                f"a video ends in {', '.join(ENCODERS)} or, as a folder, in nothing: got {self.path.name!r}"
            )
        if not suffix and self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            raise SpecError(f"{self.path} already exists; give a new folder for the pictures or a name ending in .mp4")
        if suffix and self.path.is_dir():
            raise SpecError(f"{self.path} is a folder; give a file name")
        self._stack = ExitStack()
        self._sink: _Encoder | _PictureFolder | None = None
        self._shape: tuple[int, ...] | None = None
        self._last_time_s = -1.0

    def __enter__(self) -> Self:
        partial = self._stack.enter_context(appears_whole(self.path))
        try:
            self._sink = _Encoder(partial, fps=self.fps) if self.path.suffix else _PictureFolder(partial)
        except BaseException as error:
            self._leave(type(error), error, error.__traceback__)
            raise
        return self

    def write(self, image: Tensor, time_s: float | None = None) -> None:
        """Adds one image, shown at `time_s` seconds (default: one frame duration after the last one).

        Raises ShapeError for a wrong image or another size than the first, SpecError for times that don't grow.
        """
        if self._sink is None:
            raise LabError("a VideoWriter is open only inside its with block; write there")
        image = image.detach() if isinstance(image, Tensor) else image
        check_image("image", image)
        if self._shape is not None and tuple(image.shape) != self._shape:
            raise ShapeError(f"all frames must have the first one's shape {self._shape}: got {tuple(image.shape)}")
        if time_s is None:
            time_s = self._last_time_s + 1 / self.fps if self.num_frames else 0.0
        if time_s < 0 or time_s <= self._last_time_s:
            raise SpecError(f"frame times must grow from 0 on: got {time_s} s after {self._last_time_s} s")
        self._sink.write(image, time_s)
        self._shape, self._last_time_s = tuple(image.shape), time_s
        self.num_frames += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._sink is not None:
                self._sink.close(complete=kind is None)
            if kind is None and self.num_frames == 0:
                raise LabError(f"no frame was written to {self.path}; nothing is left behind")
        except BaseException as late:
            self._leave(type(late), late, late.__traceback__)
            raise
        finally:
            self._sink = None
        self._leave(kind, error, trace)

    def _leave(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)


class _PictureFolder:
    """Numbered PNG files in a new folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        folder.mkdir()

    def write(self, image: Tensor, time_s: float) -> None:
        self._count += 1
        write_image(self._folder / f"frame_{self._count:06d}.png", image)

    def close(self, *, complete: bool) -> None:
        pass


class _Encoder:
    """One PyAV container with one video stream, opened when the first image tells the size."""

    def __init__(self, path: Path, *, fps: float) -> None:
        import av
        from av.video.reformatter import VideoReformatter

        self._reformatter = VideoReformatter()
        self._codec, self._options = ENCODERS[path.suffix.lower()]
        self._rate = frame_rate(fps)
        self._container: OutputContainer = av.open(str(path), "w", options=mux_options(path))
        self._stream: VideoStream | None = None

    def write(self, image: Tensor, time_s: float) -> None:
        from av.video.frame import VideoFrame
        from av.video.reformatter import ColorRange, Colorspace, Interpolation

        array = _even(array_from_image(image))
        if self._stream is None:
            with _said_clearly(self._codec):
                self._stream = self._add_stream(array.shape[1], array.shape[0])
        frame = self._reformatter.reformat(
            VideoFrame.from_ndarray(array, format="rgb24"),
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.MPEG,
            # rounds instead of truncating, chroma from the mean of its four pixels
            interpolation=Interpolation.AREA | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INP,
            threads=1,
        )
        frame.time_base = Fraction(1, TICKS_PER_SECOND)
        frame.pts = round(time_s * TICKS_PER_SECOND)
        frame.duration = round(TICKS_PER_SECOND / self._rate)
        with _said_clearly(self._codec):
            self._container.mux(self._stream.encode(frame))

    def _add_stream(self, width: int, height: int) -> "VideoStream":
        from av.video.reformatter import ColorPrimaries, ColorRange, ColorTrc

        stream = self._container.add_stream(self._codec, rate=self._rate, options=dict(self._options))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        context = stream.codec_context
        context.time_base = Fraction(1, TICKS_PER_SECOND)
        context.framerate = self._rate
        context.colorspace = 1  # AVCOL_SPC_BT709
        context.color_range = ColorRange.MPEG
        context.color_primaries = ColorPrimaries.BT709
        context.color_trc = ColorTrc.BT709
        return stream

    def close(self, *, complete: bool) -> None:
        try:
            if complete and self._stream is not None:
                with _said_clearly(self._codec):
                    self._container.mux(self._stream.encode(None))
        finally:
            self._container.close()


@contextmanager
def _said_clearly(codec: str) -> Iterator[None]:
    """Turns what the encoder refuses into a LabError; errors of the disk pass as they are."""
    import av

    try:
        yield
    except OSError:
        raise
    except (av.error.FFmpegError, av.codec.codec.UnknownCodecError) as error:
        reason = getattr(error, "strerror", None) or "it is not in this build of PyAV"
        raise LabError(f"the encoder {codec} failed: {reason}; reinstall av or write a folder of pictures") from error


def _even(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The picture with its last row and column repeated where height or width is odd."""
    height, width = array.shape[:2]
    return np.pad(array, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge") if height % 2 or width % 2 else array
