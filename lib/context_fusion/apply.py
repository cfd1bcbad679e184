"""`nocturne apply context_fusion`: the method on somebody's own night picture or night video."""

import ctypes
import itertools
import platform
import sys
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, cast

import torch
import torch.nn.functional as F
import typer
from torch import Tensor

import lib
from lib.context_fusion import ImageSettings, VideoFuser, VideoSettings, fuse_image, median_background, register_day
from lib.context_fusion.settings import Padding
from lib.data.images import READ_SUFFIXES, read_image, write_image
from lib.data.video import VideoReader, VideoWriter, open_video
from lib.errors import ShapeError, SpecError
from lib.show.progress import progress

# frames of a day clip that its median is taken over: 270 MB at 768x576
BACKGROUND_FRAMES = 51
# glibc's option number, and a size that all planes of video exceed but no small tensor does
M_MMAP_THRESHOLD = -3
PLANE_BYTES = 1 << 20


def apply(
    night: Annotated[Path, typer.Argument(help="Night video, folder of pictures or picture.")],
    out: Annotated[Path, typer.Argument(help="Result: .mp4, .webm, a new folder, or a picture for a picture.")],
    day: Annotated[Path, typer.Option(help="Day picture of the same view, or a day video (its median is taken).")],
    reference: Annotated[Path | None, typer.Option(help="Picture: the empty night view, for --rule reference.")] = None,
    rule: Annotated[str | None, typer.Option(help="Picture: max | threshold (default) | reference.")] = None,
    half_window: Annotated[int | None, typer.Option(help="Video: c, masks of 2 c + 1 frames are averaged; 5.")] = None,
    difference: Annotated[float | None, typer.Option(help="Video: motion threshold, grey levels; 20.")] = None,
    passes: Annotated[int | None, typer.Option(help="Video: passes of the SUSAN denoising; 3, 0 for none.")] = None,
    padding: Annotated[str, typer.Option(help="none | black | replicate.")] = "none",
    register: Annotated[bool, typer.Option(help="Shift the day picture onto the (first) night picture.")] = False,
    resize: Annotated[bool, typer.Option(help="Bring a day picture of another size to the night's size.")] = False,
    device: Annotated[str, typer.Option(help="auto | cpu | cuda | mps.")] = "auto",
) -> None:
    """Fuse a night picture or video with a day picture of the same fixed camera."""
    chosen = lib.device(device)
    if out.resolve() in {path.resolve() for path in (night, day, reference) if path is not None}:
        raise SpecError(f"the result would replace an input: give another name than {out}")
    of_picture = {"rule": rule}
    of_video = {"half_window": half_window, "difference_threshold": difference, "susan_passes": passes}
    if night.suffix.lower() in READ_SUFFIXES and not night.is_dir():
        _refuse(of_video, "a night picture", "--half-window, --difference and --passes serve a night video")
        image_settings = ImageSettings(padding=cast(Padding, padding), register=register, **_given(of_picture))
        _apply_to_picture(night, out, day, reference, image_settings, resize=resize, device=chosen)
        return
    _refuse({**of_picture, "reference": reference}, "a night video", "--rule and --reference serve a night picture")
    video_settings = VideoSettings(padding=cast(Padding, padding), **_given(of_video))
    _apply_to_video(night, out, day, video_settings, register=register, resize=resize, device=chosen)


def _given(options: dict[str, Any]) -> dict[str, Any]:
    """The options that were passed; the others keep the default of the settings."""
    return {name: value for name, value in options.items() if value is not None}


def _refuse(options: dict[str, Any], what: str, advice: str) -> None:
    if _given(options):
        raise SpecError(f"{advice}: leave them out for {what}")


def _apply_to_picture(
    night: Path,
    out: Path,
    day: Path,
    reference: Path | None,
    settings: ImageSettings,
    *,
    resize: bool,
    device: torch.device,
) -> None:
    if out.suffix.lower() not in READ_SUFFIXES:
        raise SpecError(f"a picture's result is a picture: give a name ending in .png, got {out.name!r}")
    night_image = read_image(night).to(device)
    day_image = _read_day(day, (night_image.shape[-2], night_image.shape[-1]), resize=resize).to(device)
    empty = read_image(reference).to(device) if reference else None
    write_image(out, fuse_image(night_image, day_image, reference=empty, settings=settings).image.cpu())
    typer.echo(out)


def _apply_to_video(
    night: Path, out: Path, day: Path, settings: VideoSettings, *, register: bool, resize: bool, device: torch.device
) -> None:
    _return_freed_memory()
    with open_video(night) as reader, VideoWriter(out, fps=reader.fps) as writer:
        day_image = _read_day(day, reader.size, resize=resize)
        if register:
            found = register_day(day_image, next(iter(reader)))
            typer.echo(f"day picture moved by ({found.dx:.2f}, {found.dy:.2f}) pixels")
            day_image = found.day
        fuser = VideoFuser(day_image.to(device), settings)
        times: deque[float] = deque()
        images = (fusion.image.cpu() for fusion in fuser.stream(_frames(reader, times, device)))
        for image in progress(images, total=reader.num_frames, label="frames"):
            writer.write(image, times.popleft())
    if reader.stopped:
        typer.echo(f"{night}: {reader.stopped}; the frames before are in the result", err=True)
    typer.echo(out)


def _return_freed_memory() -> None:
    """Asks the C library for whole pages per frame: glibc else keeps freed frames in its heap (0.1 GB)."""
    if sys.platform == "linux" and platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, PLANE_BYTES)


def _frames(reader: VideoReader, times: deque[float], device: torch.device) -> Iterator[Tensor]:
    """The night frames, their times noted for the results that come later."""
    for time_s, frame in reader.timed():
        times.append(time_s)
        yield frame.to(device)


def _read_day(path: Path, size: tuple[int, int], *, resize: bool) -> Tensor:
    """Day picture, or median of a day clip, (3, H, W) of the night's size."""
    with open_video(path) as reader:
        frames = reader if reader.num_frames != 1 else itertools.islice(reader, 1)
        day = median_background(frames, max_frames=BACKGROUND_FRAMES)
    if tuple(day.shape[-2:]) == tuple(size):
        return day
    if not resize:
        raise ShapeError(
            f"day and night must have one size: got {day.shape[-1]}x{day.shape[-2]} and {size[1]}x{size[0]}; "
            "pass --resize if both show the same view"
        )
    return F.interpolate(day[None], size=tuple(size), mode="bilinear", antialias=True)[0].clamp(0, 1)
