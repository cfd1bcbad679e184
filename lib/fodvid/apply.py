"""`nocturne apply fodvid`: the object that moves in somebody's own video, drawn into it or as masks."""

import math
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, cast

import torch
import typer
from torch import Tensor

import lib
from lib.data.atomic import appears_whole
from lib.data.masks import write_mask
from lib.data.video import VideoReader, VideoWriter, open_video
from lib.errors import SpecError
from lib.flow import FlowName
from lib.fodvid.discover import Discoverer, motions, resize_height, to_size
from lib.fodvid.refine import collect, refine, segment_video
from lib.fodvid.settings import Backbone, Finish, for_backbone
from lib.fodvid.train import SegmenterSettings, Trained
from lib.show.overlay import draw_mask
from lib.show.progress import progress

MAX_TRAINING_FRAMES = 200
TRAINING_STEPS = 160  # few frames need as many as many do: on eight steps the network learns that nothing is there


@dataclass(frozen=True, eq=False)
class Found:
    """One frame of the result: time in seconds, picture (3, H, W), mask (H, W) bool, whether anything moved in it."""

    time_s: float
    frame: Tensor
    mask: Tensor
    moves: bool


def apply(
    source: Annotated[Path, typer.Argument(help="Video or folder of pictures in which something moves.")],
    out: Annotated[Path, typer.Argument(help="Result with the mask drawn: .mp4, .webm or a new folder.")],
    masks: Annotated[
        Path | None, typer.Option(help="New folder for the masks, one PNG a frame from 00000.png on, 0 and 255.")
    ] = None,
    backbone: Annotated[str, typer.Option(help="dino_vitb8 | dino_vits16 | ... | efficientnet_lite0 | vgg16.")] = (
        "efficientnet_lite0"
    ),
    weights: Annotated[str, typer.Option(help="auto, or a file with the backbone's weights.")] = "auto",
    height: Annotated[int, typer.Option(help="Frames are seen at most this high, as DAVIS; 0 as they are.")] = 480,
    alpha: Annotated[
        float | None, typer.Option(help="Share of appearance; by default the backbone's own, paper 0.7; 1: no flow.")
    ] = None,
    tau: Annotated[
        float | None, typer.Option(help="Similarity that joins patches; by default the backbone's own, paper 0.25.")
    ] = None,
    flow: Annotated[str, typer.Option(help="dis | raft | raft_small | arflow | gmflow | gmflow_refine.")] = "dis",
    flow_weights: Annotated[str, typer.Option(help="auto, or a file with the flow network's weights.")] = "auto",
    finish: Annotated[str, typer.Option(help="none | crf | bilateral: edges drawn to those of the frame.")] = "none",
    refine_masks: Annotated[
        bool, typer.Option("--refine", help="Train a network on the masks, then mask each frame by it, without flow.")
    ] = False,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Passes of that training over up to 200 frames; by default 160 steps.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of that training.")] = 0,
    device: Annotated[str, typer.Option(help="auto | cpu | cuda | mps.")] = "auto",
) -> None:
    """Find the object that moves, frame by frame, and draw it into the video.

    A frame in which nothing moves has an empty mask; with --refine such frames do not train.
    """
    _check_places(source, out, masks)
    chosen = lib.device(device)
    settings = for_backbone(cast(Backbone, backbone))
    settings = settings.but(
        weights=weights,
        height_px=height,
        alpha=settings.alpha if alpha is None else alpha,
        tau=settings.tau if tau is None else tau,
        flow=cast(FlowName, flow),
        flow_weights=flow_weights,
        flow_height_px=settings.flow_height_px or height,
        finish=cast(Finish, finish),
    )
    with ExitStack() as stack:
        reader = stack.enter_context(open_video(source))
        folder = None if masks is None else stack.enter_context(_new_folder(masks))
        writer = stack.enter_context(VideoWriter(out, fps=reader.fps))
        discoverer = Discoverer(settings, device=chosen)
        training = replace(SegmenterSettings.small(), epochs=epochs or 0, seed=seed, device=str(chosen))
        trained = _trained(reader, discoverer, training, chosen) if refine_masks else None
        found = _cut(reader, discoverer, chosen) if trained is None else _segmented(reader, discoverer, trained, chosen)
        num_still = 0
        for idx, one in enumerate(progress(found, total=reader.num_frames, label="frames")):
            writer.write(draw_mask(one.frame, one.mask), one.time_s)
            if folder is not None:
                write_mask(folder / f"{idx:05d}.png", one.mask)
            num_still += not one.moves
    if num_still:
        of_all = "all" if num_still == writer.num_frames else f"{num_still} of"
        typer.echo(f"{source}: nothing moves in {of_all} {writer.num_frames} frames; their masks are empty", err=True)
    if reader.stopped:
        typer.echo(f"{source}: {reader.stopped}; the frames before are in the result", err=True)
    typer.echo(out)


def _check_places(source: Path, out: Path, masks: Path | None) -> None:
    """Passes places that don't replace each other."""
    if out.resolve() == source.resolve():
        raise SpecError(f"the result would replace the input: give another name than {out}")
    if masks is None:
        return
    if masks.exists():
        raise SpecError(f"{masks} exists already; give --masks a folder that does not")
    if masks.resolve() == out.resolve():
        raise SpecError(f"the masks would replace the result: give --masks another name than {out}")


@contextmanager
def _new_folder(path: Path) -> Iterator[Path]:
    """Folder to fill, which appears under its name when the block ends well, else not at all."""
    with appears_whole(path) as partial:
        partial.mkdir()
        yield partial


def _cut(reader: VideoReader, discoverer: Discoverer, device: torch.device) -> Iterator[Found]:
    """Each frame with the mask of its graph cut, found and finished at the settings' height; holds three frames."""
    waiting: deque[tuple[float, Tensor]] = deque()

    def seen() -> Iterator[Tensor]:
        for time_s, frame in reader.timed():
            waiting.append((time_s, frame.to(device)))
            yield resize_height(waiting[-1][1][None], discoverer.settings.height_px)[0]

    for small, motion in motions(discoverer, seen()):
        found = discoverer.discover(small, motion)
        time_s, frame = waiting.popleft()
        mask = to_size(found.mask, (frame.shape[-2], frame.shape[-1]))
        yield Found(time_s, frame, mask, motion is None or motion.moves)


def _trained(reader: VideoReader, discoverer: Discoverer, training: SegmenterSettings, device: torch.device) -> Trained:
    """Network trained on coarse masks of up to 200 frames all over the video.

    training: its size is set to half of the small frames', and epochs 0 to what makes 160 steps.
    """
    num_frames = reader.num_frames or sum(1 for _ in reader)
    height_px = discoverer.settings.height_px
    read = progress(reader, total=num_frames, label="frames for training")
    small = (resize_height(frame[None].to(device), height_px)[0] for frame in read)
    coarse = collect(discoverer, small, max_frames=MAX_TRAINING_FRAMES, num_frames=num_frames)
    size = (max(coarse.images.shape[-2] // 2, 1), max(coarse.images.shape[-1] // 2, 1))
    epochs = training.epochs or math.ceil(TRAINING_STEPS / math.ceil(len(coarse.masks) / training.batch_size))
    training = replace(training, size=size, upsampling=0, epochs=epochs)
    return refine(discoverer, coarse, settings=training, name=reader.path.name)


def _segmented(reader: VideoReader, discoverer: Discoverer, trained: Trained, device: torch.device) -> Iterator[Found]:
    """Each frame with the mask of the network, which sees no other; holds one frame."""
    for time_s, frame in reader.timed():
        (found,) = segment_video(discoverer, trained, [frame.to(device)])
        yield Found(time_s, frame.to(device), found.mask, moves=True)
