"""`nocturne apply zero_tig`: the method on somebody's own dark or underwater video or picture."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, cast

import torch
import typer

import lib
from lib.data.images import READ_SUFFIXES, write_image
from lib.data.video import VideoReader, VideoWriter, open_video
from lib.errors import SpecError
from lib.flow import FlowName
from lib.show.progress import progress
from lib.zero_tig.enhance import Enhancer, fine_tuning_start
from lib.zero_tig.model import ZeroIG
from lib.zero_tig.settings import Settings
from lib.zero_tig.train import Trainer
from lib.zero_tig.weights import SHIPPED, save_weights

# of --training-frames and --crop on a CPU, where an epoch of whole frames would take hours
CPU_FRAMES, CPU_CROP_PX = 48, 256


def apply(
    source: Annotated[Path, typer.Argument(help="Dark or underwater video, folder of pictures, or picture.")],
    out: Annotated[Path, typer.Argument(help="Result: .mp4, .webm, a new folder, or a picture for a picture.")],
    underwater: Annotated[bool, typer.Option(help="Take out the colour cast of the water (eqs 8 and 9).")] = False,
    weights: Annotated[str, typer.Option(help="Start: zero_tig or zero_ig (shipped), or a file of either.")] = SHIPPED,
    epochs: Annotated[
        int | None,
        typer.Option(help="Passes of training over the video, 5, or over a picture, 20 or 25; 0 applies the weights."),
    ] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Of Adam; 3e-4, on a dark picture 1e-4.")] = None,
    training_frames: Annotated[int | None, typer.Option(help="Frames that train; 0 all (GPU), 48 (CPU).")] = None,
    crop: Annotated[
        int | None, typer.Option(help="Training sees this much of the centre; 0 all (GPU), 256 (CPU).")
    ] = None,
    flow: Annotated[str, typer.Option(help="dis | raft | raft_small | arflow | gmflow | gmflow_refine.")] = "dis",
    flow_weights: Annotated[str, typer.Option(help="auto, or a file with the flow network's weights.")] = "auto",
    save: Annotated[Path | None, typer.Option(help="Keep the trained weights (.safetensors).")] = None,
    seed: Annotated[int, typer.Option(help="Of the GPU's and the CPU's random numbers.")] = 0,
    device: Annotated[str, typer.Option(help="auto | cpu | cuda | mps.")] = "auto",
) -> None:
    """Enhance a dark or underwater video: trains on the video itself, without any other, then streams it."""
    chosen = lib.device(device)
    if out.resolve() == source.resolve():
        raise SpecError(f"the result would replace the input: give another name than {out}")
    if save is not None and save.suffix != ".safetensors":
        raise SpecError(f"--save takes a file that ends in .safetensors: got {save}")
    on_cpu = chosen.type == "cpu"
    is_picture = source.suffix.lower() in READ_SUFFIXES and not source.is_dir()
    recipe = Settings.single_picture(underwater=underwater) if is_picture else Settings(underwater=underwater)
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
    if is_picture:
        _apply_to_picture(source, out, model)
    else:
        _apply_to_video(source, out, model)
    if save is not None:
        save_weights(model, save)
    typer.echo(out)


def _apply_to_picture(source: Path, out: Path, model: ZeroIG) -> None:
    if out.suffix.lower() not in READ_SUFFIXES:
        raise SpecError(f"a picture's result is a picture: give a name ending in .png, got {out.name!r}")
    with open_video(source) as reader:
        _train(reader, model)
        write_image(out, next(Enhancer(model).stream(reader)).cpu())


def _apply_to_video(source: Path, out: Path, model: ZeroIG) -> None:
    with open_video(source) as reader, VideoWriter(out, fps=reader.fps) as writer:
        _train(reader, model)
        enhancer = Enhancer(model)
        for time_s, frame in progress(reader.timed(), total=reader.num_frames, label="frames"):
            writer.write(enhancer(frame).reflectance[0].cpu(), time_s)
    if reader.stopped:
        typer.echo(f"{source}: {reader.stopped}; the frames before are in the result", err=True)


def _train(reader: VideoReader, model: ZeroIG) -> None:
    settings = model.settings
    if not settings.epochs:
        return
    steps = Trainer(model).fit(reader, total=reader.num_frames)
    part = f", the central {settings.crop_px} pixels" if settings.crop_px else ""
    typer.echo(f"trained on {len(steps)} frames{part}: loss {steps[0].total:.4g} to {steps[-1].total:.4g}", err=True)
