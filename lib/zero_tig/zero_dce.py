"""Zero-DCE (Guo et al., CVPR 2020), trained on the given video alone: per-pixel curves that brighten, frame by frame.

Written from the paper: curves of sec. 3.1, network of sec. 3.2, the four losses of sec. 3.3. It stands in the table
as what a zero-shot method without noise model and without time gives.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from lib.checks import check_image
from lib.errors import LabError, ShapeError, SpecError
from lib.show.progress import progress

CURVES = 8  # iterations of the curve, sec. 3.1
WIDTH = 32  # channels of a layer, sec. 3.2
REGION_PX = 4  # spatial consistency, sec. 3.3
PATCH_PX = 16  # exposure control, sec. 3.3


@dataclass(frozen=True)
class DCESettings:
    """Weights of the losses and how the network is trained.

    Choice: the paper trains at 1e-4 for 200 epochs on 2422 pictures of many exposures, 512x512; one video has few
    frames, so steps are few and larger, and frames are shrunk for training, as curves are smooth anyway.
    """

    exposure: float = 0.6  # E, sec. 3.3
    color_weight: float = 0.5  # W_col, sec. 4
    smooth_weight: float = 20.0  # W_tvA, sec. 4
    learning_rate: float = 1e-3  # 1e-4 in sec. 4, see above
    steps: int = 200
    batch: int = 2  # 8 in sec. 4
    longest_px: int = 128  # longer side of the frames it is trained on
    clip: float = 0.1  # gradient norm; the paper is silent

    def __post_init__(self) -> None:
        if not 0 < self.exposure < 1:
            raise SpecError(f"exposure must lie between 0 and 1: got {self.exposure}")
        for name in ("learning_rate", "clip"):
            if not 0 < getattr(self, name) < math.inf:
                raise SpecError(f"{name} must be positive: got {getattr(self, name)}")
        for name in ("color_weight", "smooth_weight"):
            if not 0 <= getattr(self, name) < math.inf:
                raise SpecError(f"{name} must not be negative: got {getattr(self, name)}")
        for name, low in (("steps", 0), ("batch", 1), ("longest_px", PATCH_PX)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < low:
                raise SpecError(f"{name} must be a whole number of at least {low}: got {value!r}")


class DCENet(nn.Module):
    """DCE-Net: seven 3x3 convolutions of 32 channels with symmetrical skips, 24 curve maps out; 79 416 parameters.

    Choice: biases start at 0; the paper says "a constant". Weights are drawn from N(0, 0.02) as it says.
    """

    def __init__(self, *, generator: Generator | None = None) -> None:
        super().__init__()
        inputs = (3, WIDTH, WIDTH, WIDTH, 2 * WIDTH, 2 * WIDTH, 2 * WIDTH)
        outputs = (*[WIDTH] * 6, 3 * CURVES)
        self.layers = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in zip(inputs, outputs, strict=True))
        for name, parameter in self.layers.named_parameters():
            if name.endswith("weight"):
                nn.init.normal_(parameter, 0.0, 0.02, generator=generator)
            else:
                nn.init.zeros_(parameter)

    def forward(self, frames: Tensor) -> Tensor:
        """Curve maps A (B, 24, H, W), -1..1, of frames (B, 3, H, W), 0..1."""
        seen: list[Tensor] = []
        x = frames
        for layer in self.layers[:4]:
            x = F.relu(layer(x))
            seen.append(x)
        for layer, skip in zip(self.layers[4:6], seen[2::-1], strict=False):
            x = F.relu(layer(torch.cat([skip, x], 1)))
        return torch.tanh(self.layers[6](torch.cat([seen[0], x], 1)))


def apply_curves(frames: Tensor, curves: Tensor) -> Tensor:
    """LE_n = LE_(n-1) + A_n LE_(n-1) (1 - LE_(n-1)), eq. (3), eight times: (B, 3, H, W), 0..1.

    frames: (B, 3, H, W), 0..1. curves: A, (B, 24, H, W), -1..1, three maps an iteration.
    """
    for alpha in curves.split(3, dim=1):
        frames = frames + alpha * frames * (1 - frames)
    return frames


def spatial_consistency(result: Tensor, frames: Tensor) -> Tensor:
    """Eq. (4): contrast between neighbouring 4x4 regions of the mean channel stays as in the input.

    result, frames: (B, 3, H, W). Choice: pairs inside the picture only, each counted from both ends, over the number
    of regions.
    """
    bright, dark = (F.avg_pool2d(picture.mean(1, keepdim=True), REGION_PX) for picture in (result, frames))
    terms = [(bright.diff(dim=dim).abs() - dark.diff(dim=dim).abs()).square().sum() for dim in (-2, -1)]
    return 2 * (terms[0] + terms[1]) / bright.numel()


def exposure_error(result: Tensor, *, exposure: float) -> Tensor:
    """Eq. (5): mean distance of 16x16 patches' mean intensity from E."""
    return (F.avg_pool2d(result.mean(1, keepdim=True), PATCH_PX) - exposure).abs().mean()


def color_constancy(result: Tensor) -> Tensor:
    """Eq. (6): squared differences of the channels' mean intensities, mean over the batch; grey world."""
    red, green, blue = result.mean((-2, -1)).unbind(1)
    return ((red - green).square() + (red - blue).square() + (green - blue).square()).mean()


def illumination_smoothness(curves: Tensor) -> Tensor:
    """Eq. (7): square of |dx A| + |dy A|, summed over the three channels, mean over iterations, pixels and batch.

    Choice: forward differences where both exist.
    """
    right, down = curves.diff(dim=-1)[..., :-1, :].abs(), curves.diff(dim=-2)[..., :-1].abs()
    return 3 * (right + down).square().mean()


def dce_losses(frames: Tensor, curves: Tensor, *, settings: DCESettings) -> dict[str, Tensor]:
    """The four weighted losses by name; training minimises their sum, eq. (8)."""
    result = apply_curves(frames, curves)
    return {
        "spatial": spatial_consistency(result, frames),
        "exposure": exposure_error(result, exposure=settings.exposure),
        "color": settings.color_weight * color_constancy(result),
        "smooth": settings.smooth_weight * illumination_smoothness(curves),
    }


def train_dce(
    frames: Sequence[Tensor] | Tensor, *, generator: Generator, settings: DCESettings | None = None
) -> DCENet:
    """DCE-Net trained on the frames (3, H, W) of one video, which lie in memory; batches drawn by the generator.

    A long video: give every tenth frame, then stream all of it through `enhance_frames`.
    Raises ShapeError for no frame or frames below 16 px a side, LabError with step and parts when the loss diverges.
    """
    settings = settings or DCESettings()
    clip = _shrunk(_clip_of(frames), settings.longest_px)
    network = DCENet(generator=generator).to(clip.device)
    optimiser = torch.optim.Adam(network.parameters(), lr=settings.learning_rate)
    for step in progress(range(settings.steps), label="Zero-DCE steps"):
        chosen = torch.randint(len(clip), (min(settings.batch, len(clip)),), generator=generator)
        batch = clip[chosen.to(clip.device)]
        parts = dce_losses(batch, network(batch), settings=settings)
        total = torch.stack(list(parts.values())).sum()
        if not math.isfinite(float(total.detach())):
            said = ", ".join(f"{name} {float(part.detach()):.3g}" for name, part in parts.items())
            raise LabError(f"Zero-DCE diverged at step {step}: {said}; lower the learning rate")
        optimiser.zero_grad()
        total.backward()
        nn.utils.clip_grad_norm_(network.parameters(), settings.clip)
        optimiser.step()
    return network.eval()


@torch.no_grad()
def enhance_frames(network: DCENet, frames: Iterable[Tensor]) -> Iterator[Tensor]:
    """Each frame (3, H, W) through its own curves, one after the other."""
    for frame in frames:
        yield apply_curves(frame[None], network(frame[None]))[0].clamp(0, 1)


def zero_dce(video: Tensor, *, generator: Generator, settings: DCESettings | None = None) -> Tensor:
    """A video (T, 3, H, W), 0..1, trained on and enhanced: (T, 3, H, W), 0..1."""
    network = train_dce(video, generator=generator, settings=settings)
    return torch.stack(list(enhance_frames(network, video)))


def _clip_of(frames: Sequence[Tensor] | Tensor) -> Tensor:
    """The frames as one checked tensor (T, 3, H, W)."""
    if len(frames) == 0:
        raise ShapeError("frames must hold at least one frame: got none")
    clip = frames if isinstance(frames, Tensor) else torch.stack(list(frames))
    check_image("frames", clip, ndim=4)
    if min(clip.shape[-2:]) < PATCH_PX:
        raise ShapeError(f"Zero-DCE needs at least {PATCH_PX} px a side: got {tuple(clip.shape[-2:])}")
    return clip


def _shrunk(clip: Tensor, longest_px: int) -> Tensor:
    """The clip so small that its longer side has `longest_px`, but no side fewer than a patch; never enlarged."""
    height, width = clip.shape[-2:]
    scale = min(1.0, max(longest_px / max(height, width), PATCH_PX / min(height, width)))
    size = (max(PATCH_PX, round(height * scale)), max(PATCH_PX, round(width * scale)))
    return clip if scale == 1 else F.interpolate(clip, size=size, mode="area")
