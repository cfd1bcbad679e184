"""`nocturne apply context_fusion`: the method on somebody's own night picture or night video."""

import ctypes
import itertools
import platform
import sys
from pathlib import Path
from typing import Annotated, Any, cast

import torch
import torch.nn.functional as F
import typer
from torch import Tensor

import lib
from lib.context_fusion import ImageSettings, VideoFuser, VideoSettings, fuse_image, median_background, register_day
from lib.context_fusion.settings import Padding, Rule
from lib.data.images import read_image
from lib.data.video import VideoReader, open_video
from lib.errors import ShapeError, SpecError
from lib.footage import Device, Force, Out, Places, Preview, Run, Shown, clips, setting, write_preview
from lib.footage.places import files

# frames of a day clip that its median is taken over: 270 MB at 768x576
BACKGROUND_FRAMES = 51
# glibc's option number, and a size that all planes of video exceed but no small tensor does
M_MMAP_THRESHOLD = -3
PLANE_BYTES = 1 << 20
PICTURE, VIDEO = "of a night picture", "of a night video"


def apply(
    source: Annotated[Path, typer.Argument(metavar="IN", help="Night video, folder of pictures or picture.")],
    out: Out,
    day: Annotated[Path, typer.Option(help="Day picture of the same view, or a day video (its median is taken).")],
    reference: Annotated[
        Path | None, typer.Option(help=f"The empty night view, for --rule reference; {PICTURE}.")
    ] = None,
    rule: Annotated[str, setting(ImageSettings, "rule", note=PICTURE)] = ImageSettings.rule,
    half_window: Annotated[int, setting(VideoSettings, "half_window", note=VIDEO)] = VideoSettings.half_window,
    difference: Annotated[
        float, setting(VideoSettings, "difference_threshold", note=VIDEO)
    ] = VideoSettings.difference_threshold,
    passes: Annotated[int, setting(VideoSettings, "susan_passes", note=VIDEO)] = VideoSettings.susan_passes,
    padding: Annotated[str, setting(VideoSettings, "padding")] = VideoSettings.padding,
    register: Annotated[bool, setting(ImageSettings, "register", flag="--register")] = ImageSettings.register,
    resize: Annotated[
        bool, typer.Option("--resize", help="Bring a day picture of another size to the night's size.")
    ] = False,
    preview: Preview = False,
    force: Force = False,
    device: Device = "auto",
) -> None:
    """Fuse a night picture or video with a day picture of the same fixed camera."""
    chosen = lib.device(device)
    places = Places(source, out, read={"day": day, **files(reference=reference)}, force=force)
    of_picture = {"rule": (rule, ImageSettings.rule), "reference": (reference, None)}
    of_video = {
        "half-window": (half_window, VideoSettings.half_window),
        "difference": (difference, VideoSettings.difference_threshold),
        "passes": (passes, VideoSettings.susan_passes),
    }
    if places.is_picture:
        _refuse(of_video, "a night picture", "--half-window, --difference and --passes serve a night video")
        image_settings = ImageSettings(rule=cast(Rule, rule), padding=cast(Padding, padding), register=register)
        _apply_to_picture(places, reference, image_settings, resize=resize, preview=preview, device=chosen)
        return
    _refuse(of_picture, "a night video", "--rule and --reference serve a night picture")
    video_settings = VideoSettings(
        half_window=half_window,
        difference_threshold=difference,
        susan_passes=passes,
        padding=cast(Padding, padding),
    )
    if preview:
        _preview_video(places, video_settings, register=register, resize=resize, device=chosen)
    else:
        _apply_to_video(places, video_settings, register=register, resize=resize, device=chosen)


def _refuse(options: dict[str, tuple[Any, Any]], what: str, advice: str) -> None:
    """Passes options that have their default's value."""
    if any(value != default for value, default in options.values()):
        raise SpecError(f"{advice}: leave them out for {what}")


def _apply_to_picture(
    places: Places,
    reference: Path | None,
    settings: ImageSettings,
    *,
    resize: bool,
    preview: bool,
    device: torch.device,
) -> None:
    def fused(night: Tensor) -> Tensor:
        day = _read_day(places.read["day"], (night.shape[-2], night.shape[-1]), resize=resize)
        empty = read_image(reference).to(device) if reference else None
        return fuse_image(night.to(device), day.to(device), reference=empty, settings=settings).image.cpu()

    if preview:
        night = read_image(places.source)
        write_preview(places, [Shown(0.0, night, fused(night))])
        return
    with Run(places, {"settings": settings, "resize": resize, "device": device.type}) as run:
        for night in run.frames():
            run.write(fused(night))


def _apply_to_video(
    places: Places, settings: VideoSettings, *, register: bool, resize: bool, device: torch.device
) -> None:
    _return_freed_memory()
    asked = {"settings": settings, "register": register, "resize": resize, "device": device.type}
    with Run(places, asked) as run:
        fuser = _fuser(places, run.reader, settings, register=register, resize=resize, device=device)
        # the window of a frame begins with the frame that its first mask is the difference to
        frames = run.frames(before=fuser.latency + 1)
        fusions = fuser.stream(frame.to(device) for frame in frames)
        for fusion in itertools.islice(fusions, run.num_replayed, None):
            run.write(fusion.image.cpu())


def _preview_video(
    places: Places, settings: VideoSettings, *, register: bool, resize: bool, device: torch.device
) -> None:
    with open_video(places.source) as reader:
        fuser = _fuser(places, reader, settings, register=register, resize=resize, device=device)
        rows = []
        for clip in clips(reader, before=fuser.latency + 1, after=fuser.latency):
            fusions = list(fuser.stream(frame.to(device) for frame in clip.frames))
            rows.append(Shown(clip.time_s, clip.shown, fusions[clip.idx].image))
    write_preview(places, rows)


def _fuser(
    places: Places, reader: VideoReader, settings: VideoSettings, *, register: bool, resize: bool, device: torch.device
) -> VideoFuser:
    """The fuser with its day picture, which is moved onto the first night picture where that is asked for."""
    day = _read_day(places.read["day"], reader.size, resize=resize)
    if register:
        found = register_day(day, next(iter(reader)))
        typer.echo(f"day picture moved by ({found.dx:.2f}, {found.dy:.2f}) pixels")
        day = found.day
    return VideoFuser(day.to(device), settings)


def _return_freed_memory() -> None:
    """Asks the C library for whole pages per frame: glibc else keeps freed frames in its heap (0.1 GB)."""
    if sys.platform == "linux" and platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, PLANE_BYTES)


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
