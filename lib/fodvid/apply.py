"""`nocturne apply fodvid`: the object that moves in somebody's own video, drawn into it or as masks."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Annotated, cast

import torch
import typer
from torch import Tensor

import lib
from lib.data.masks import write_mask
from lib.data.video import VideoReader, open_video
from lib.data.video_writer import VideoWriter
from lib.errors import SpecError
from lib.flow import FlowName
from lib.fodvid.discover import Discoverer, Discovery, discover_with
from lib.fodvid.refine import collect, refine, segment_video
from lib.fodvid.settings import Backbone, Finish, for_backbone
from lib.fodvid.train import SegmenterSettings
from lib.show.overlay import draw_mask
from lib.show.progress import progress

MAX_TRAINING_FRAMES = 200


def apply(
    source: Annotated[Path, typer.Argument(help="Video or folder of pictures in which something moves.")],
    out: Annotated[Path, typer.Argument(help="Result with the mask drawn: .mp4, .webm or a new folder.")],
    masks: Annotated[Path | None, typer.Option(help="New folder for the masks, one PNG a frame.")] = None,
    backbone: Annotated[str, typer.Option(help="dino_vitb8 | dino_vits16 | ... | efficientnet_lite0.")] = (
        "efficientnet_lite0"
    ),
    weights: Annotated[str, typer.Option(help="auto, or a file with the backbone's weights.")] = "auto",
    alpha: Annotated[float | None, typer.Option(help="Share of appearance; paper 0.7, stand-in 0.4.")] = None,
    tau: Annotated[float | None, typer.Option(help="Similarity that joins patches; paper 0.25, stand-in 0.5.")] = None,
    flow: Annotated[str, typer.Option(help="dis | raft | raft_small | arflow | gmflow | gmflow_refine.")] = "dis",
    flow_weights: Annotated[str, typer.Option(help="auto, or a file with the flow network's weights.")] = "auto",
    finish: Annotated[str, typer.Option(help="none | crf | bilateral: edges drawn to those of the frame.")] = "none",
    refine_masks: Annotated[
        bool, typer.Option("--refine", help="Train a network on the masks, then mask each frame by it.")
    ] = False,
    epochs: Annotated[int, typer.Option(help="Of that training.")] = 10,
    seed: Annotated[int, typer.Option(help="Of that training.")] = 0,
    device: Annotated[str, typer.Option(help="auto | cpu | cuda | mps.")] = "auto",
) -> None:
    """Find the object that moves, frame by frame, and draw it into the video."""
    if out.resolve() == source.resolve():
        raise SpecError(f"the result would replace the input: give another name than {out}")
    if masks is not None and masks.exists():
        raise SpecError(f"{masks} exists already; give --masks a folder that does not")
    chosen = lib.device(device)
    settings = for_backbone(cast(Backbone, backbone)).but(
        weights=weights, flow=cast(FlowName, flow), flow_weights=flow_weights, finish=cast(Finish, finish)
    )
    settings = settings.but(
        alpha=settings.alpha if alpha is None else alpha, tau=settings.tau if tau is None else tau
    )
    discoverer = Discoverer(settings, device=chosen)
    training = replace(SegmenterSettings.small(), epochs=epochs, seed=seed, device=str(chosen))
    with ExitStack() as stack:
        reader = stack.enter_context(open_video(source))
        writer = stack.enter_context(VideoWriter(out, fps=reader.fps))
        folder = None if masks is None else stack.enter_context(_mask_folder(masks))
        found = _refined(reader, discoverer, training) if refine_masks else _cut(reader, discoverer)
        for idx, (time_s, frame, mask) in enumerate(found):
            writer.write(draw_mask(frame, mask), time_s)
            if folder is not None:
                write_mask(folder / f"{idx:05d}.png", mask)
    if reader.stopped:
        typer.echo(f"{source}: {reader.stopped}; the frames before are in the result", err=True)
    typer.echo(out)
