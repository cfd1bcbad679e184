"""Strict loading of published weights: every key must fit, and a file that doesn't fit is explained.

Files are .safetensors, or pickles of torch.save read with weights_only=True, which runs no code of the file. The state
dict may lie under "state_dict" (ARFlow) or "model" (GMFlow) and its keys under "module." (RAFT, data parallel).
"""

import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lib.errors import DataMissing, LabError

Rename = Callable[[str], str | None]

WRAPPERS = ("state_dict", "model")
PARALLEL_PREFIX = "module."
# a step counter that many published files leave out; no forward pass reads it
STEP_COUNTER = "num_batches_tracked"
NUM_LISTED = 5

# what a file is, by a key that only such files have; the first that matches names it
SIGNATURES = {
    "backbone.trident_conv.weight": "a refined GMFlow",
    "feature_flow_attn.q_proj.weight": "a basic GMFlow",
    "feature_pyramid_extractor.convs.0.0.0.weight": "a PWC-Lite of ARFlow",
    "update_block.gru.convz1.weight": "a basic RAFT in its authors' names",
    "update_block.gru.convz.weight": "a small RAFT in its authors' names",
    "update_block.recurrent_block.convgru2.convz.weight": "torchvision's large RAFT",
    "update_block.recurrent_block.convgru1.convz.weight": "torchvision's small RAFT",
    "enhance.in_conv.0.weight": "a Zero-IG or Zero-TIG in its authors' names",
    "patch_embed.proj.weight": "a vision transformer",
    "features.0.weight": "a VGG or AlexNet trunk",
    "layer1.0.conv1.weight": "a ResNet",
}


def load_checkpoint(module: nn.Module, path: str | Path, *, rename: Rename | None = None) -> None:
    """Fills `module` with the weights of a file, all of them or none.

    path: .safetensors, or a file of torch.save.
    rename: gives the module's name of a key in the file, or None for a key that is left out on purpose.
    Raises DataMissing for a file that is absent or unreadable; LabError for one that doesn't fit, with the keys.
    """
    fill(module, read_checkpoint(path), source=str(path), rename=rename)


def read_checkpoint(path: str | Path) -> dict[str, Tensor]:
    """State dict of a file on the CPU, without wrapper and "module." prefix.

    Raises DataMissing for a file that is absent or unreadable and LabError for one that holds no state dict.
    """
    path = Path(path)
    if not path.is_file():
        raise DataMissing(f"no weights file at {path}; give the path of a .safetensors or .pth file")
    content = _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickle(path)
    for wrapper in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping):
        raise LabError(f"{path} must hold a state dict of tensors: got {type(content).__name__}")
    not_tensors = [str(key) for key, value in content.items() if not isinstance(value, Tensor)]
    if not_tensors or not content:
        what = f"{_listed('no tensor', not_tensors)}" if not_tensors else "nothing"
        raise LabError(f"{path} must hold a state dict of tensors, alone or under {' or '.join(WRAPPERS)}: got {what}")
    return {str(key).removeprefix(PARALLEL_PREFIX): value for key, value in content.items()}


def fill(module: nn.Module, weights: Mapping[str, Tensor], *, source: str, rename: Rename | None = None) -> None:
    """Copies a state dict into `module`, all of it or nothing; `source` names it in the message.

    Two keys that `rename` sends to one name must hold equal numbers (a shared layer that was saved twice).
    Raises LabError that lists missing, unexpected, mis-shaped and not finite keys.
    """
    renamed: dict[str, Tensor] = {}
    clashes = []
    for key, value in weights.items():
        name = rename(key) if rename else key
        if name is not None and not torch.equal(renamed.setdefault(name, value), value):
            clashes.append(f"{key} for {name}")
    expected = module.state_dict()
    common = renamed.keys() & expected.keys()
    wrong_shape = [
        f"{name} {tuple(renamed[name].shape)} instead of {tuple(expected[name].shape)}"
        for name in expected
        if name in common and renamed[name].shape != expected[name].shape
    ]
    problems = [
        _listed("missing", [name for name in expected if name not in common and not name.endswith(STEP_COUNTER)]),
        _listed("unexpected", [name for name in renamed if name not in common]),
        _listed("wrong shape", wrong_shape),
        _listed("not finite", [name for name in renamed if not renamed[name].isfinite().all()]),
        _listed("given twice with different numbers", clashes),
    ]
    if any(problems):
        found = "; ".join(problem for problem in problems if problem)
        raise LabError(f"{source} does not fit {type(module).__name__}: {found}. It {describe(weights)}")
    module.load_state_dict({**{name: expected[name] for name in expected if name not in common}, **renamed})


def describe(weights: Mapping[str, Tensor]) -> str:
    """What a state dict looks like, for an error message: "looks like a basic GMFlow (123 tensors)"."""
    for signature, kind in SIGNATURES.items():
        if signature in weights:
            return f"looks like {kind} ({len(weights)} tensors)"
    return f"is of no kind known here ({len(weights)} tensors, the first is {next(iter(weights), 'none')})"


def _listed(what: str, names: list[str]) -> str:
    """`missing: a, b, ... (7)`, or nothing where there are no names."""
    if not names:
        return ""
    dots = ", ..." if len(names) > NUM_LISTED else ""
    return f"{what}: {', '.join(names[:NUM_LISTED])}{dots} ({len(names)})"


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise DataMissing(f"{path} is not a readable safetensors file ({error}); fetch it again") from error


def _read_pickle(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise LabError(
            f"{path} is no file of torch.save, or holds other Python objects than tensors, which could run code; "
            "where it is trusted, save its state dict again as .safetensors"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise DataMissing(f"{path} is not a readable file of torch.save ({error}); fetch it again") from error
