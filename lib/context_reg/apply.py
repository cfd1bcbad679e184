"""`nocturne apply context_reg`: the class of every pixel of somebody's own pictures or video, drawn in colour."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

import torch
import torch.nn.functional as F
import typer
from torch import Tensor

import lib
from lib.context_reg.networks import LoadedNetwork, load_network
from lib.context_reg.segment import segment_image
from lib.data.atomic import appears_whole
from lib.data.images import WRITE_SUFFIXES, resized, write_image
from lib.data.video import VideoReader, VideoWriter, open_video
from lib.errors import SpecError
from lib.show.labels import MAX_CLASSES, draw_labels
from lib.show.progress import progress

NUM_LISTED = 8


def apply(
    source: Annotated[Path, typer.Argument(help="Picture, video, or folder of pictures.")],
    out: Annotated[Path, typer.Argument(help="Result with the classes drawn: .png or .jpg, .mp4, .webm or a folder.")],
    weights: Annotated[str, typer.Option(help="Trained network: a .safetensors file, or a name of the manifest.")],
    labels: Annotated[
        Path | None, typer.Option(help="New folder for the labels, one PNG a frame from 00000.png on, class from 0.")
    ] = None,
    height: Annotated[int, typer.Option(min=0, help="Frames are seen at most this high; 0 as they are.")] = 0,
    strength: Annotated[float, typer.Option(min=0, max=1, help="Share of the classes' colours in the result.")] = 0.6,
    device: Annotated[str, typer.Option(help="auto | cpu | cuda | mps.")] = "auto",
) -> None:
    """Find what every pixel is, frame by frame, with a network that was trained with the regulariser or without."""
    _check_places(source, out, labels)
    chosen = lib.device(device)
    loaded = load_network(weights)
    settings = loaded.settings
    if settings.channels != "rgb":
        raise SpecError(f"{weights} reads {settings.channels}, which pictures alone don't give: take a network for rgb")
    if settings.num_classes > MAX_CLASSES:
        raise SpecError(f"{weights} has {settings.num_classes} classes: pictures of labels hold {MAX_CLASSES}")
    counts = torch.zeros(settings.num_classes, dtype=torch.int64)
    with ExitStack() as stack:
        reader = stack.enter_context(open_video(source))
        folder = None if labels is None else stack.enter_context(_new_folder(labels))
        write = _writer(out, reader, stack)
        for idx, (time_s, frame) in enumerate(progress(reader.timed(), total=reader.num_frames, label="frames")):
            picture = frame.to(chosen)
            found = _labels(loaded, picture, height)
            counts += torch.bincount(found.flatten().cpu(), minlength=settings.num_classes)
            if folder is not None:
                _write_labels(folder / f"{idx:05d}.png", found)
            write(draw_labels(picture, found, num_classes=settings.num_classes, strength=strength), time_s)
    if reader.stopped:
        typer.echo(f"{source}: {reader.stopped}; the frames before are in the result", err=True)
    typer.echo(out)
    typer.echo(_shares(counts, settings.class_names))


def _check_places(source: Path, out: Path, labels: Path | None) -> None:
    """Passes places that don't replace each other."""
    if out.resolve() == source.resolve():
        raise SpecError(f"the result would replace the input: give another name than {out}")
    if labels is None:
        return
    if labels.exists():
        raise SpecError(f"{labels} exists already; give --labels a folder that does not")
    if labels.resolve() == out.resolve():
        raise SpecError(f"the labels would replace the result: give --labels another name than {out}")


@contextmanager
def _new_folder(path: Path) -> Iterator[Path]:
    """Folder to fill, which appears under its name when the block ends well, else not at all."""
    with appears_whole(path) as partial:
        partial.mkdir()
        yield partial


def _writer(out: Path, reader: VideoReader, stack: ExitStack) -> Callable[[Tensor, float], None]:
    """What takes the result frame by frame: a picture for one picture, else a video or a folder."""
    if out.suffix.lower() in WRITE_SUFFIXES:
        if reader.num_frames != 1:
            raise SpecError(f"{out.name} is one picture, the input has more: give an .mp4, .webm or a folder")
        return lambda frame, _time_s: write_image(out, frame)
    writer = stack.enter_context(VideoWriter(out, fps=reader.fps))
    return writer.write


def _labels(loaded: LoadedNetwork, frame: Tensor, height_px: int) -> Tensor:
    """Labels (H, W) at the frame's size, found at most `height_px` high (0: as it is)."""
    seen = resized(frame, height_px) if height_px else frame
    labels = segment_image(loaded, seen).labels
    if labels.shape == frame.shape[1:]:
        return labels
    larger = F.interpolate(labels[None, None].float(), size=frame.shape[1:], mode="nearest-exact")
    return larger[0, 0].long()


def _write_labels(path: Path, labels: Tensor) -> None:
    """Labels (H, W) as a grey PNG of 8 bits, class from 0."""
    from PIL import Image

    Image.fromarray(labels.to(torch.uint8).cpu().numpy()).save(path)


def _shares(counts: Tensor, names: tuple[str, ...]) -> str:
    """The classes by their share of all pixels, the most common first: "road 31 %, building 24 %, ..."."""
    total = int(counts.sum())
    order = [idx for idx in counts.argsort(descending=True).tolist() if counts[idx] > 0]
    said = [f"{names[idx] if names else f'class {idx}'} {100 * int(counts[idx]) / total:.0f} %" for idx in order]
    return ", ".join(said[:NUM_LISTED]) + (", ..." if len(said) > NUM_LISTED else "")
