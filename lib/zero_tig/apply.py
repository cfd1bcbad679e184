"""`nocturne apply zero_tig`: the method on somebody's own dark or underwater video or picture."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Annotated, cast

import torch
import typer
from torch import Tensor

import lib
from lib.data.video import open_video
from lib.errors import SpecError
from lib.flow import FlowName
from lib.footage import Device, Force, Out, Places, Preview, Run, Shown, clips, setting, write_preview
from lib.footage.places import files
from lib.zero_tig.enhance import Enhancer, fine_tuning_start
from lib.zero_tig.model import State, ZeroIG
from lib.zero_tig.settings import DARK_STEPS, FINE_TUNING_RATE, WATER_STEPS, Settings
from lib.zero_tig.train import Trainer
from lib.zero_tig.weights import SHIPPED, save_weights

# of --training-frames and --crop on a CPU, where an epoch of whole frames would take hours
CPU_FRAMES, CPU_CROP_PX = 48, 256


def apply(
    source: Annotated[
        Path, typer.Argument(metavar="IN", help="Dark or underwater video, folder of pictures, or picture.")
    ],
    out: Out,
    save: Annotated[Path | None, typer.Option(help="File to keep the trained weights in, .safetensors.")] = None,
    underwater: Annotated[bool, setting(Settings, "underwater", flag="--underwater")] = Settings.underwater,
    weights: Annotated[str, typer.Option(help="Start: zero_tig or zero_ig (shipped), or a file of either.")] = SHIPPED,
    epochs: Annotated[
        int | None,
        setting(
            Settings,
            "epochs",
            default=f"{Settings.epochs}; of a picture {DARK_STEPS}, under water {WATER_STEPS}",
            note="0 applies the weights as they are",
            min=0,
        ),
    ] = None,
    learning_rate: Annotated[
        float | None,
        setting(Settings, "learning_rate", default=f"{Settings.learning_rate}; of a dark picture {FINE_TUNING_RATE}"),
    ] = None,
    training_frames: Annotated[
        int | None, setting(Settings, "training_frames", default=f"0, on a CPU {CPU_FRAMES}", min=0)
    ] = None,
    crop: Annotated[int | None, setting(Settings, "crop_px", default=f"0, on a CPU {CPU_CROP_PX}", min=0)] = None,
    flow: Annotated[str, setting(Settings, "flow")] = Settings.flow,
    flow_weights: Annotated[str, setting(Settings, "flow_weights")] = Settings.flow_weights,
    seed: Annotated[int, typer.Option(help="Of the GPU's and the CPU's random numbers.")] = 0,
    preview: Preview = False,
    force: Force = False,
    device: Device = "auto",
) -> None:
    """Enhance a dark or underwater video or picture: trains on it itself, without any other, then streams it.

    A preview trains on the frames that it shows and those before them.
    """
    chosen = lib.device(device)
    if save is not None and save.suffix != ".safetensors":
        raise SpecError(f"--save takes a file that ends in .safetensors: got {save}")
    places = Places(
        source,
        out,
        beside={} if save is None else {"save": save},
        read=files(weights=weights, flow_weights=flow_weights),
        force=force,
    )
    on_cpu = chosen.type == "cpu"
    recipe = Settings.single_picture(underwater=underwater) if places.is_picture else Settings(underwater=underwater)
    settings = replace(
        recipe,
        epochs=recipe.epochs if epochs is None else epochs,
        learning_rate=recipe.learning_rate if learning_rate is None else learning_rate,
        training_frames=(CPU_FRAMES if on_cpu else 0) if training_frames is None else training_frames,
        crop_px=(CPU_CROP_PX if on_cpu else 0) if crop is None else crop,
        flow=cast(FlowName, flow),
        flow_weights=flow_weights,
        precision="mixed" if chosen.type == "cuda" else "full",
    )
    torch.manual_seed(seed)
    model = fine_tuning_start(settings, weights=weights).to(chosen)
    if preview:
        _preview(places, model)
        return
    with Run(places, {"settings": settings, "start": weights, "seed": seed, "device": chosen.type}) as run:
        _train(model, run.reader, run.reader.num_frames, checkpoint=run.kept("training.pt"))
        enhancer = Enhancer(model)
        frames = run.frames(before=1)
        for last in islice(frames, run.num_replayed):
            enhancer.resume(last, None if run.state is None else State(*run.state))
        for frame in frames:
            run.write(enhancer(frame).reflectance[0].cpu(), state=lambda: _held(enhancer))
        if save is not None:
            save_weights(model, run.beside("save"))


def _held(enhancer: Enhancer) -> list[Tensor] | None:
    """What the next frame gets of those before, for a file."""
    return None if enhancer.state is None else [enhancer.state.reflectance, enhancer.state.illumination]


def _preview(places: Places, model: ZeroIG) -> None:
    with open_video(places.source) as reader:
        shown = clips(reader, before=1)
    frames = [frame for clip in shown for frame in clip.frames]
    _train(model, frames, len(frames))
    rows = []
    for clip in shown:
        *_, enhanced = Enhancer(model).stream(clip.frames)
        rows.append(Shown(clip.time_s, clip.shown, enhanced))
    write_preview(places, rows)


def _train(model: ZeroIG, frames: Iterable[Tensor], total: int | None, *, checkpoint: Path | None = None) -> None:
    """Training of all epochs, or what an earlier call left of it."""
    settings = model.settings
    if not settings.epochs:
        return
    trainer = Trainer(model)
    if checkpoint is not None and checkpoint.is_file():
        trainer.resume(checkpoint)
        if trainer.num_epochs == settings.epochs:
            return
    steps = trainer.fit(frames, total=total, checkpoint=checkpoint)
    part = f", the central {settings.crop_px} pixels" if settings.crop_px else ""
    typer.echo(f"trained on {len(steps)} frames{part}: loss {steps[0].total:.4g} to {steps[-1].total:.4g}", err=True)
