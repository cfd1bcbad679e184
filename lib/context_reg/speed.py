"""What `nocturne speed context_reg` times: loss and gradients, against padding and a grouped convolution.

Kernels are random with taps of any kind, as they are once learned; probabilities of 40 classes are those of random
scores. Memory is the peak above what was there before, in the same process. Real labels leave pixels out: where ours
ignores some, the peer still takes all of them, since it has no way to replace a neighbour.
"""

import ctypes
import gc
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from lib.context_reg import fused_form
from lib.context_reg.context_loss import context_loss
from lib.context_reg.directional import initial_kernels
from lib.context_reg.fcn import FCN32s
from lib.context_reg.regularization import ContextualRegularization
from lib.timing import Race

SIZES = ((240, 320), (480, 640))
CLASSES = 40
SIGMA, WEIGHT = 0.25, 100.0
GOAL, GOAL_WITH_IGNORED = 25.0, 20.0  # the second is this project's own
NYU_SIZE = (425, 560)  # of the paper's pictures
SHARE_OF_A_STEP = 0.15  # that the regulariser may add at most
GPU_BYTES_PER_S = 3e12  # about what the memory of a data-centre GPU gives
GPU_FACTOR = 4  # of the time that reading the probabilities and writing their gradient takes
Parts = tuple[Tensor, Tensor, Tensor]


def races() -> list[Race]:
    """Every row of the table, on random scores, picture and kernels of seed 0."""
    return [*(_race(*size) for size in SIZES), _race_with_ignored(*SIZES[-1]), _share_of_a_step(), _gpu_race()]


def plain_context_loss(
    probabilities: Tensor, image: Tensor, kernels: Tensor, *, sigma: float = SIGMA, scale: float = WEIGHT
) -> Tensor:
    """Eqs 6 and 7 as they are written: replicate padding, a convolution of each channel with each kernel, autograd."""
    weights = torch.exp(-_responses(image, kernels).square().sum(dim=1) / (2 * sigma**2))
    return scale * (weights[:, None] * _responses(probabilities, kernels)).abs().sum()


def random_parts(height: int, width: int, *, classes: int = CLASSES, device: str = "cpu") -> Parts:
    """Probabilities and kernels, which ask for gradients, with a picture between them."""
    generator = torch.Generator().manual_seed(0)
    scores = 2 * torch.randn(1, classes, height, width, generator=generator)
    image = 0.2 * torch.rand(1, 3, height, width, generator=generator)
    kernels = initial_kernels("random").float() + 0.02
    return scores.softmax(dim=1).to(device), image.to(device), kernels.to(device)


def random_void(height: int, width: int) -> Tensor:
    """(1, H, W): a frame of 10 pixels and smooth patches, about a fifth of the picture, as labels leave them out."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, 1, height // 20, width // 20, generator=generator)
    void: Tensor = F.interpolate(coarse, size=(height, width), mode="bilinear")[:, 0] > 0.75
    void[:, :10] = void[:, -10:] = void[:, :, :10] = void[:, :, -10:] = True
    return void


def step(function: Callable[[Tensor, Tensor, Tensor], Tensor], parts: Parts) -> list[Tensor]:
    """Loss and the gradients on probabilities and kernels."""
    probabilities, image, kernels = parts[0].detach().requires_grad_(), parts[1], parts[2].detach().requires_grad_()
    loss = function(probabilities, image, kernels)
    return [loss.detach(), *torch.autograd.grad(loss, (probabilities, kernels))]


def ours(probabilities: Tensor, image: Tensor, kernels: Tensor, *, ignore: Tensor | None = None) -> Tensor:
    """The project's loss with tied kernels."""
    return context_loss(probabilities, image, kernels, kernels, sigma=SIGMA, scale=WEIGHT, ignore=ignore)


def extra_memory(work: Callable[[], object]) -> int | None:
    """Bytes of this process's memory at the peak above what it held before; None where the system doesn't tell.

    Linux only. What the C library or the context loss has kept goes back to the system first, so that it counts again.
    """
    status, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    try:
        gc.collect()
        fused_form.forget_memory()
        ctypes.CDLL(None).malloc_trim(0)
        reset.write_text("5", encoding="ascii")  # the peak starts at what is held now
        before = _kibibytes(status, "VmRSS")
        work()
        return (_kibibytes(status, "VmHWM") - before) * 1024
    except (OSError, AttributeError, StopIteration):
        return None


def _kibibytes(status: Path, name: str) -> int:
    lines = status.read_text(encoding="ascii").splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(f"{name}:")))


def _responses(planes: Tensor, kernels: Tensor) -> Tensor:
    """(N, C, H, W) to (N, C, J, H, W)."""
    batch, channels, height, width = planes.shape
    padded = F.pad(planes, (1, 1, 1, 1), mode="replicate")
    filters = kernels[:, None].repeat(channels, 1, 1, 1)
    return F.conv2d(padded, filters, groups=channels).view(batch, channels, len(kernels), height, width)


def _race(height: int, width: int) -> Race:
    parts = random_parts(height, width)
    quick, plain = partial(step, ours, parts), partial(step, plain_context_loss, parts)

    def check() -> str:
        differs = f"loss differs by {abs(float(quick()[0] / plain()[0]) - 1):.0e}"
        used = [extra_memory(each) for each in (quick, plain)]
        if None in used:
            return f"{differs}; memory not measured on this system"
        small, large = (each / 2**20 for each in used if each is not None)
        return f"{differs}; memory {small:.0f} against {large:.0f} MiB, 1/{large / small:.0f}"

    work, peer = f"context loss and gradients, {height}x{width}x{CLASSES}", "grouped convolution, autograd"
    return Race(work, quick, peer, plain, GOAL, check=check)


def _race_with_ignored(height: int, width: int) -> Race:
    parts, void = random_parts(height, width), random_void(height, width)
    work = f"context loss, {void.float().mean():.0%} ignored, {height}x{width}x{CLASSES}"
    quick, plain = partial(step, partial(ours, ignore=void), parts), partial(step, plain_context_loss, parts)
    return Race(work, quick, "as above, nothing ignored", plain, GOAL_WITH_IGNORED)


def _share_of_a_step() -> Race:
    """What the regulariser adds to a training step, against the step, which is long and runs once after a warm-up."""
    height, width = NYU_SIZE
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(1, 3, height, width, generator=generator)
    labels = torch.randint(CLASSES, (1, height, width), generator=generator)
    scores = torch.randn(1, CLASSES, height, width, generator=generator).requires_grad_()
    regularizer = ContextualRegularization()

    def regularise() -> None:
        regularizer(scores.softmax(dim=1), image).total.backward()

    @cache
    def network() -> FCN32s:
        return FCN32s(CLASSES)

    def learn() -> None:
        F.cross_entropy(network()(image), labels).backward()

    work = f"all that the regulariser adds, {height}x{width}x{CLASSES}"
    return Race(work, regularise, "a step of FCN-32s at full width", learn, 1 / SHARE_OF_A_STEP, peer_rounds=1)


def _gpu_race() -> Race:
    height, width = SIZES[-1]
    budget = GPU_FACTOR * 2 * 4 * CLASSES * height * width / GPU_BYTES_PER_S
    work, peer = f"context loss and gradients, {height}x{width}x{CLASSES}, GPU", f"{GPU_FACTOR} times the bytes' time"
    if not torch.cuda.is_available():
        return Race(work, "needs a GPU", peer, budget, 1)
    return Race(work, partial(step, ours, random_parts(height, width, device="cuda")), peer, budget, 1)
