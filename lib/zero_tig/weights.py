"""Trained weights: this project's files and the authors' checkpoints, and how a Zero-IG becomes a Zero-TIG."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from lib.data.atomic import appears_whole
from lib.data.checkpoint import fill, read_checkpoint
from lib.data.weights import weights_file
from lib.errors import LabError
from lib.zero_tig.model import Align, ZeroIG, ZeroTIG
from lib.zero_tig.networks import NUM_BLOCKS
from lib.zero_tig.settings import Settings

SHIPPED = "zero_tig"  # pre-trained, beside zero_ig
# parts of the authors' checkpoints; they save the one residual block under blocks.0, blocks.1, blocks.2 and conv
PARTS = {"denoise_1": "denoiser", "enhance": "illuminator", "denoise_2": "reflector"}
NORM = "illuminator.conv.1."
FIRST_LAYERS = ("illuminator.in_conv.0.weight", "reflector.conv1.weight")


def load_weights(source: str | Path = SHIPPED, *, settings: Settings | None = None) -> ZeroIG:
    """The trained model of a file: a ZeroTIG if the file's first layers take the temporal inputs, else a ZeroIG.

    source: "zero_tig" or "zero_ig", which are shipped, another name of the weights manifest, or a path to .safetensors
    or .pth in this project's or the authors' key names. Input of all of them: 0..1.
    Raises Unavailable or DataMissing when it is not there, LabError with the keys that do not fit.
    """
    named = weights_file(str(source)).path if str(source).isidentifier() else Path(source)
    weights = read_checkpoint(named)
    first = next((value for key, value in weights.items() if own_name(key) == FIRST_LAYERS[0]), None)
    if first is None:
        raise LabError(f"{named} must hold weights of Zero-IG or Zero-TIG: it has no layer {FIRST_LAYERS[0]}")
    model = (ZeroTIG if first.shape[1:2] == (3 + ZeroTIG.context_channels,) else ZeroIG)(settings)
    # published weights hold denormal numbers, which change no result and cost the processor a hundredfold
    tiny = torch.finfo(torch.float32).tiny
    flushed = {
        key: value.where(value.abs() >= tiny, 0) if value.is_floating_point() else value
        for key, value in weights.items()
    }
    fill(model, with_statistics(flushed), source=str(named), rename=own_name)
    return model.eval()


def own_name(key: str) -> str:
    """This project's name of an authors' key; other keys stay."""
    part, _, rest = key.partition(".")
    if part not in PARTS:
        return key
    if part == "enhance" and rest.startswith("blocks."):
        rest = "conv." + rest.split(".", 2)[2]
    return f"{PARTS[part]}.{rest}"


def with_statistics(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict, and for each use of the block running statistics: those of the one norm where it has none."""
    shared = {
        own_name(key).removeprefix(NORM): value for key, value in weights.items() if own_name(key).startswith(NORM)
    }
    running = {name: value for name, value in shared.items() if name not in ("weight", "bias")}
    added = {f"illuminator.uses.{use}.{name}": value for use in range(NUM_BLOCKS) for name, value in running.items()}
    return {**added, **weights}


def inflate(model: ZeroIG, *, settings: Settings | None = None, align: Align | None = None) -> ZeroTIG:
    """The Zero-TIG that computes what this Zero-IG does: its filters on [L] and [H, S], zeros on the temporal inputs.

    The published code skips these two layers without a word, and trains them anew. settings: None takes the model's.
    """
    inflated = ZeroTIG(settings or model.settings, align=align).to(next(model.parameters()).device)
    weights = model.state_dict()
    for name in FIRST_LAYERS:
        whole = torch.zeros_like(inflated.state_dict()[name])
        whole[:, -weights[name].shape[1] :] = weights[name]
        weights[name] = whole
    inflated.load_state_dict(weights)
    return inflated.train(model.training)


def save_weights(model: ZeroIG, path: Path) -> None:
    """Writes the model's weights as .safetensors under this project's names; appears whole or not at all."""
    with appears_whole(path) as part:
        part.write_bytes(save({name: value.cpu().contiguous() for name, value in model.state_dict().items()}))
