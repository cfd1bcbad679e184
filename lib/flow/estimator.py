"""One call for every optical flow: `load_flow(name)` gives an estimator, `estimator(a, b)` the flow from a to b."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import lib
from lib.checks import check_image, check_same_grid
from lib.errors import LabError, ShapeError, SpecError
from lib.flow.warp import resize_flow

FlowName = Literal["raft", "raft_small", "arflow", "gmflow", "gmflow_refine", "dis"]
NAMES: tuple[str, ...] = get_args(FlowName)
ITERATED = ("raft", "raft_small")
RANDOM_SEED = 0


@dataclass(frozen=True, eq=False)
class FlowEstimator:
    """Optical flow of any picture pair by one method.

    network: takes a and b (B, 3, H, W), 0..1, with sides that are multiples of its `multiple` and not below its
        `smallest_px`, and gives (B, 2, H, W). Its `checkpoint_key`, if it has one, renames the keys of a weights file.
    weights: what it runs with, for records; "" for a method without weights.
    device: where it computes; None follows the pictures.
    """

    name: str
    network: nn.Module
    weights: str = ""
    device: torch.device | None = None

    @torch.no_grad()
    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        """Flow (B, 2, H, W) float32 in pixels, x then y, on a's grid, on a's device: where a's pixels are in b.

        a, b: (B, 3, H, W) or (3, H, W), RGB, 0..1, any size; sides are padded by repeating the outermost pixels
        (half on either side) to what the network takes, and the flow is cropped back. On CUDA in half precision
        (autocast), elsewhere in float32. Raises ShapeError for another form, LabError for a flow that is not finite.
        """
        a, b = _checked(a, b)
        device = self.device or a.device
        self.network.to(device)
        padding = _padding(a.shape[-2], a.shape[-1], self.network)
        with torch.autocast(device.type, dtype=torch.float16, enabled=device.type == "cuda"):
            moved = [image.to(device, torch.float32) for image in (a, b)]
            if any(padding):
                moved = [F.pad(image, padding, mode="replicate") for image in moved]
            flow = self.network(*moved)
        left, right, top, bottom = padding
        flow = flow[..., top : flow.shape[-2] - bottom, left : flow.shape[-1] - right].float().to(a.device)
        if not flow.isfinite().all():
            raise LabError(f"{self.name} gave a flow that is not finite; its weights ({self.weights}) may be unusable")
        return flow.contiguous()


def load_flow(
    name: FlowName,
    *,
    weights: str | Path | None = "auto",
    device: torch.device | str | None = None,
    iterations: int | None = None,
) -> FlowEstimator:
    """The named method, ready to be called with two pictures.

    name: raft, raft_small, arflow, gmflow, gmflow_refine or dis (by OpenCV, without weights).
    weights: "auto" takes the file of lib.data.weights; a path takes that file, .safetensors or .pth, in the authors'
        key names or, for RAFT, also torchvision's; None starts at random, for tests and layer tables only.
    device: where to compute; None follows the pictures.
    iterations: updates of RAFT, 20 if None as in Zero-TIG.
    Raises SpecError for an unknown name or an option that the method does not have, Unavailable when the weights are
    not on this machine (with the command that fetches them), LabError for a file that does not fit.
    """
    if name not in NAMES:
        raise SpecError(f"flow must be one of {', '.join(NAMES)}: got {name!r}")
    if iterations is not None and (name not in ITERATED or not isinstance(iterations, int) or iterations < 1):
        raise SpecError(
            f"iterations is a whole number above 0 for {' and '.join(ITERATED)}: got {iterations} for {name}"
        )
    if name == "dis" and weights not in ("auto", None):
        raise SpecError(f"dis has no weights: got {weights}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(RANDOM_SEED)
        network = _build(name, iterations)
    described = "" if name == "dis" else _load(network, name, weights)
    chosen = None if device is None else lib.device(str(device))
    network.eval().requires_grad_(False).to(chosen)
    return FlowEstimator(name, network, described, chosen)


def estimate_downscaled(
    estimator: Callable[[Tensor, Tensor], Tensor], a: Tensor, b: Tensor, *, factor: int = 3
) -> Tensor:
    """Flow (B, 2, H, W) of pictures (B, 3, H, W) that the estimator sees at (H // factor, W // factor).

    The pictures shrink bilinearly without antialiasing, the flow grows by resize_flow.
    Source: Zero-TIG sec. III-B, factor 3. Raises SpecError when a side would fall below one pixel.
    """
    a, b = _checked(a, b)
    height, width = a.shape[-2:]
    if not isinstance(factor, int) or not 1 <= factor <= min(height, width):
        raise SpecError(f"factor must be a whole number from 1 to the shorter side of {height}x{width}: got {factor}")
    small = (height // factor, width // factor)
    shrunk = (F.interpolate(image, size=small, mode="bilinear", align_corners=False) for image in (a, b))
    return resize_flow(estimator(*shrunk), (height, width))


def _checked(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Both pictures as batches of one shape."""
    ndim = a.ndim if isinstance(a, Tensor) and a.ndim == 3 else 4
    check_image("a", a, ndim=ndim)
    check_image("b", b, ndim=ndim)
    check_same_grid("a", a, "b", b)
    if a.shape != b.shape:
        raise ShapeError(f"a and b must hold as many pictures: got {len(a)} and {len(b)}")
    return (a, b) if ndim == 4 else (a[None], b[None])


def _padding(height: int, width: int, network: nn.Module) -> list[int]:
    """Pixels to add on the left, right, top and bottom, half on either side."""
    multiple: Any = network.multiple
    smallest_px: Any = getattr(network, "smallest_px", multiple)
    padding = []
    for length in (width, height):
        wanted = max(length, smallest_px)
        missing = wanted + -wanted % multiple - length
        padding += [missing // 2, missing - missing // 2]
    return padding


def _build(name: str, iterations: int | None) -> nn.Module:
    """The network at its random start; its module is imported only here."""
    if name == "dis":
        from lib.flow.dis import DIS

        return DIS()
    if name in ITERATED:
        from lib.flow.raft import DEFAULT_ITERATIONS, RAFT

        return RAFT(small=name == "raft_small", iterations=iterations or DEFAULT_ITERATIONS)
    if name == "arflow":
        from lib.flow.arflow import PWCLite

        return PWCLite()
    from lib.flow.gmflow import GMFlow

    return GMFlow(refine=name == "gmflow_refine")


def _load(network: nn.Module, name: str, weights: str | Path | None) -> str:
    """Fills the network; gives back what a record says of the weights."""
    if weights is None:
        return f"random start (seed {RANDOM_SEED})"
    from lib.data.checkpoint import load_checkpoint
    from lib.data.origin import file_sha256
    from lib.data.weights import weights_file

    path = weights_file(name).path if weights == "auto" else Path(weights)
    load_checkpoint(network, path, rename=getattr(network, "checkpoint_key", None))
    return f"{path.name}, sha256 {file_sha256(path)[:8]}"
