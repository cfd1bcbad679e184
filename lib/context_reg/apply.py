"""`nocturne apply context_reg`: the class of every pixel of somebody's own pictures or video, drawn in colour."""

from pathlib import Path
from typing import Annotated

import torch
import torch.nn.functional as F
import typer
from torch import Tensor

import lib
from lib.context_reg.networks import SHIPPED, LoadedNetwork, load_network
from lib.context_reg.segment import segment_image
from lib.data.atomic import appears_whole
from lib.data.images import resized
from lib.data.video import open_video
from lib.errors import SpecError
from lib.footage import Device, Force, Out, Places, Preview, Run, Shown, clips, write_preview
from lib.footage.places import files
from lib.show.labels import MAX_CLASSES, draw_labels

NUM_LISTED = 8


def apply(
    source: Annotated[Path, typer.Argument(metavar="IN", help="Video, folder of pictures, or picture.")],
    out: Out,
    weights: Annotated[
        str, typer.Option(help="context_rooms (shipped, for rooms), or a .safetensors file of this project's training.")
    ] = SHIPPED,
    labels: Annotated[
        Path | None, typer.Option(help="New folder for the labels, one PNG a frame from 00000.png on, class from 0.")
    ] = None,
    height: Annotated[
        int | None,
        typer.Option(
            min=0, help="Frames are seen at most this high, pixels; 0: as they are. Else as what it learnt from."
        ),
    ] = None,
    strength: Annotated[float, typer.Option(min=0, max=1, help="Share of the classes' colours in the result.")] = 0.6,
    clean: Annotated[
        bool,
        typer.Option(
            "--clean",
            help="Then clean the labels by the context loss, a use of this project and not of the paper: crumbs go, "
            "borders move to the picture's edges, but what is small or hardly found goes too. Two to three times the "
            "network's own time. Weight and sigma suit rooms at the height of the shipped network; elsewhere look at "
            "a preview first.",
        ),
    ] = False,
    preview: Preview = False,
    force: Force = False,
    device: Device = "auto",
) -> None:
    """Find what every pixel is, frame by frame, with a network that was trained with the regulariser or without."""
    chosen = lib.device(device)
    places = Places(
        source, out, beside={} if labels is None else {"labels": labels}, read=files(weights=weights), force=force
    )
    loaded = load_network(weights)
    settings = loaded.settings
    seen_px = settings.seen_px if height is None else height
    if settings.channels != "rgb":
        raise SpecError(f"{weights} reads {settings.channels}, which pictures alone don't give: take a network for rgb")
    if settings.num_classes > MAX_CLASSES:
        raise SpecError(f"{weights} has {settings.num_classes} classes: pictures of labels hold {MAX_CLASSES}")

    def drawn(frame: Tensor, found: Tensor) -> Tensor:
        return draw_labels(frame, found, num_classes=settings.num_classes, strength=strength)

    if preview:
        with open_video(source) as reader:
            shown = [(clip.time_s, clip.shown.to(chosen)) for clip in clips(reader)]
        rows = [Shown(time_s, frame, drawn(frame, _labels(loaded, frame, seen_px, clean))) for time_s, frame in shown]
        write_preview(places, rows)
        return
    asked = {"weights": weights, "height": seen_px, "strength": strength, "clean": clean, "device": chosen.type}
    with Run(places, asked) as run:
        for frame in run.frames():
            picture = frame.to(chosen)
            found = _labels(loaded, picture, seen_px, clean)
            if labels is not None:
                _write_labels(run.beside("labels") / f"{run.idx:05d}.png", found)
            counts = torch.bincount(found.flatten().cpu(), minlength=settings.num_classes)
            run.write(drawn(picture, found), note=counts.tolist())
        total = torch.tensor(run.notes).sum(dim=0)
    typer.echo(_shares(total, settings.class_names))


def _labels(loaded: LoadedNetwork, frame: Tensor, height_px: int, clean: bool) -> Tensor:
    """Labels (H, W) at the frame's size, found, and if so cleaned, at most `height_px` high (0: as it is)."""
    seen = resized(frame, height_px) if height_px else frame
    labels = segment_image(loaded, seen, clean=clean).labels
    if labels.shape == frame.shape[1:]:
        return labels
    larger = F.interpolate(labels[None, None].float(), size=frame.shape[1:], mode="nearest-exact")
    return larger[0, 0].long()


def _write_labels(path: Path, labels: Tensor) -> None:
    """Labels (H, W) as a grey PNG of 8 bits, class from 0."""
    from PIL import Image

    with appears_whole(path) as partial:
        Image.fromarray(labels.to(torch.uint8).cpu().numpy()).save(partial)


def _shares(counts: Tensor, names: tuple[str, ...]) -> str:
    """The classes by their share of all pixels, the most common first: "road 31 %, building 24 %, ..."."""
    total = int(counts.sum())
    order = [idx for idx in counts.argsort(descending=True).tolist() if counts[idx] > 0]
    said = [f"{names[idx] if names else f'class {idx}'} {100 * int(counts[idx]) / total:.0f} %" for idx in order]
    return ", ".join(said[:NUM_LISTED]) + (", ..." if len(said) > NUM_LISTED else "")
