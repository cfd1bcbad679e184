"""`nocturne apply fodvid`: the object that moves in somebody's own video, drawn into it or as masks."""

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, cast

import torch
import typer
from torch import Tensor

import lib
from lib.data.atomic import appears_whole
from lib.data.masks import write_mask
from lib.data.video import open_video
from lib.flow import FlowName
from lib.fodvid.discover import Discoverer, look_of, motions, resize_height, to_size
from lib.fodvid.own_look import OwnLook
from lib.fodvid.refine import Coarse, collect, refine, segment_video, spread
from lib.fodvid.settings import Backbone, Finish, Settings, for_backbone, stand_in
from lib.fodvid.train import SegmenterSettings, Trained
from lib.footage import Device, Force, Out, Places, Preview, Run, Shown, clips, setting, write_preview
from lib.footage.places import files
from lib.show.overlay import draw_mask
from lib.show.progress import progress

MAX_TRAINING_FRAMES = 200
TRAINING_STEPS = 160  # few frames need as many as many do: on eight steps the network learns that nothing is there
HEIGHT_PX = 480  # as DAVIS


@dataclass(frozen=True, eq=False)
class Found:
    """One frame of the result: picture (3, H, W), mask (H, W) bool, whether anything moved in it."""

    frame: Tensor
    mask: Tensor
    moves: bool


def apply(
    source: Annotated[
        Path, typer.Argument(metavar="IN", help="Video or folder of pictures in which something moves, or a picture.")
    ],
    out: Out,
    masks: Annotated[
        Path | None, typer.Option(help="New folder for the masks, one PNG a frame from 00000.png on, 0 and 255.")
    ] = None,
    backbone: Annotated[str, setting(Settings, "backbone")] = "efficientnet_lite0",
    weights: Annotated[str, setting(Settings, "weights")] = Settings.weights,
    height: Annotated[int, setting(Settings, "height_px")] = HEIGHT_PX,
    alpha: Annotated[
        float | None,
        setting(Settings, "alpha", default=f"of DINO {Settings.alpha}, else {stand_in().alpha}", note="1: no flow"),
    ] = None,
    tau: Annotated[
        float | None, setting(Settings, "tau", default=f"of DINO {Settings.tau}, else {stand_in().tau}")
    ] = None,
    flow: Annotated[str, setting(Settings, "flow")] = "dis",
    flow_weights: Annotated[str, setting(Settings, "flow_weights")] = Settings.flow_weights,
    finish: Annotated[str, setting(Settings, "finish")] = Settings.finish,
    own_look: Annotated[bool, setting(Settings, "own_look", flag="--own-look")] = Settings.own_look,
    refine_masks: Annotated[
        bool, typer.Option("--refine", help="Train a network on the masks, then mask each frame by it, without flow.")
    ] = False,
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1,
            help=f"Passes of that training over up to {MAX_TRAINING_FRAMES} frames.",
            show_default=f"what makes {TRAINING_STEPS} steps",
        ),
    ] = None,
    seed: Annotated[int, setting(SegmenterSettings, "seed")] = SegmenterSettings.seed,
    preview: Preview = False,
    force: Force = False,
    device: Device = "auto",
) -> None:
    """Find the object that moves, frame by frame, and draw it into the video.

    A frame in which nothing moves has an empty mask; with --refine such frames do not train. A preview shows the
    first cuts, before that training and without --own-look.
    """
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
        own_look=own_look,
    )
    places = Places(
        source,
        out,
        beside={} if masks is None else {"masks": masks},
        read=files(weights=weights, flow_weights=flow_weights),
        force=force,
    )
    if preview:
        _preview(places, Discoverer(settings, device=chosen), chosen)
        return
    training = replace(SegmenterSettings.small(), epochs=epochs or 0, seed=seed, device=str(chosen))
    asked = {"settings": settings, "device": chosen.type, "refine": refine_masks, "epochs": epochs, "seed": seed}
    with Run(places, asked) as run:
        discoverer = Discoverer(settings, device=chosen)
        look = _look(run, discoverer, chosen) if settings.learns_look else None
        trained = _trained(run, discoverer, training, chosen, look) if refine_masks else None
        found = _cut(run, discoverer, chosen, look) if trained is None else _segmented(run, discoverer, trained, chosen)
        for one in found:
            if masks is not None:
                write_mask(run.beside("masks") / f"{run.idx:05d}.png", one.mask)
            run.write(draw_mask(one.frame, one.mask), note=one.moves)
        num_still = run.notes.count(False)
    if num_still:
        of_all = "all" if num_still == run.idx else f"{num_still} of"
        typer.echo(f"{source}: nothing moves in {of_all} {run.idx} frames; their masks are empty", err=True)


def _cut(run: Run, discoverer: Discoverer, device: torch.device, look: OwnLook | None) -> Iterator[Found]:
    """Each frame with the mask of its graph cut, found and finished at the settings' height; holds three frames."""
    # the last frame of all takes the motion of the one before, and one frame alone shows none
    frames = run.frames(before=2)
    yield from _cut_of(discoverer, (frame.to(device) for frame in frames), first=run.num_replayed, look=look)


def _cut_of(
    discoverer: Discoverer, frames: Iterator[Tensor], *, first: int = 0, look: OwnLook | None = None
) -> Iterator[Found]:
    """The same for any frames, from that with the number `first` on."""
    waiting: deque[Tensor] = deque()

    def seen() -> Iterator[Tensor]:
        for number, frame in enumerate(frames):
            if number >= first:
                waiting.append(frame)
            yield resize_height(frame[None], discoverer.settings.height_px)[0]

    for small, motion in motions(discoverer, seen(), chosen=lambda number: number >= first):
        found = discoverer.discover(small, motion, look=look)
        frame = waiting.popleft()
        mask = to_size(found.mask, (frame.shape[-2], frame.shape[-1]))
        yield Found(frame, mask, motion is None or motion.moves)


def _preview(places: Places, discoverer: Discoverer, device: torch.device) -> None:
    with open_video(places.source) as reader:
        shown = clips(reader, before=1, after=1)
    rows = []
    for clip in shown:
        found = _cut_of(discoverer, (frame.to(device) for frame in clip.frames), first=clip.idx)
        one = next(found)
        rows.append(Shown(clip.time_s, clip.shown, draw_mask(one.frame, one.mask)))
    write_preview(places, rows)


def _look(run: Run, discoverer: Discoverer, device: torch.device) -> OwnLook | None:
    """What the object looks like, learned from up to 200 frames all over the video, or by an earlier call."""
    kept = run.kept("look.pt")
    if kept.is_file():
        held = torch.load(kept, weights_only=True)
        return OwnLook(**held) if held else None
    num_frames, small = _small_frames(run, discoverer, device, label="frames for the look")
    wanted = {number for part in spread(num_frames, MAX_TRAINING_FRAMES) for number in part}
    look = look_of(discoverer, small, num_frames=min(len(wanted), num_frames), chosen=wanted.__contains__)
    with appears_whole(kept) as partial:
        torch.save({} if look is None else {"weights": look.weights, "bias": look.bias}, partial)
    return look


def _trained(
    run: Run, discoverer: Discoverer, training: SegmenterSettings, device: torch.device, look: OwnLook | None
) -> Trained:
    """Network trained on coarse masks of up to 200 frames all over the video, from where an earlier call left it.

    training: its size is set to half of the small frames', and epochs 0 to what makes 160 steps.
    """
    kept = run.kept("coarse.pt")
    if kept.is_file():
        coarse = Coarse(**torch.load(kept, weights_only=True))
    else:
        num_frames, small = _small_frames(run, discoverer, device, label="frames for training")
        coarse = collect(discoverer, small, max_frames=MAX_TRAINING_FRAMES, num_frames=num_frames, look=look)
        with appears_whole(kept) as partial:
            torch.save({one.name: getattr(coarse, one.name) for one in fields(coarse)}, partial)
    size = (max(coarse.images.shape[-2] // 2, 1), max(coarse.images.shape[-1] // 2, 1))
    epochs = training.epochs or math.ceil(TRAINING_STEPS / math.ceil(len(coarse.masks) / training.batch_size))
    training = replace(training, size=size, upsampling=0, epochs=epochs)
    name = run.reader.path.name
    return refine(discoverer, coarse, settings=training, name=name, checkpoint=run.kept("training.pt"))


def _small_frames(
    run: Run, discoverer: Discoverer, device: torch.device, *, label: str
) -> tuple[int, Iterator[Tensor]]:
    """How many frames the video has, and all of them at the settings' height."""
    num_frames = run.reader.num_frames or sum(1 for _ in run.reader)
    height_px = discoverer.settings.height_px
    read = progress(run.reader, total=num_frames, label=label)
    return num_frames, (resize_height(frame[None].to(device), height_px)[0] for frame in read)


def _segmented(run: Run, discoverer: Discoverer, trained: Trained, device: torch.device) -> Iterator[Found]:
    """Each frame with the mask of the network, which sees no other; holds one frame."""
    for frame in run.frames():
        (found,) = segment_video(discoverer, trained, [frame.to(device)])
        yield Found(frame.to(device), found.mask, moves=True)
