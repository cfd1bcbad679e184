"""Pre-training on simulated low light: `python -m lib.zero_tig.pretrain` writes data/weights/zero_{ig,tig}.safetensors.

The paper begins its fine-tuning with a Zero-IG that has seen other dark material (sec. IV). Ours have seen six pictures
of installed packages, panned, with a disc of another picture moving across, in low light of random strength, and no
bright truth: the losses have none. Zero-IG and Zero-TIG share the first stage and get the same frames in the second.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import cast

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

import lib
from lib.data.images import resized
from lib.data.samples import sample_image
from lib.data.simulate import LowLightSettings, lowlight
from lib.data.weights import manifest_path
from lib.show.progress import progress
from lib.zero_tig.model import ZeroIG
from lib.zero_tig.settings import Settings
from lib.zero_tig.train import Trainer
from lib.zero_tig.weights import inflate, save_weights

SAMPLES = ("pagoda", "rocket")  # the clips are kept for trying the result


@dataclass(frozen=True)
class Pretraining:
    """How much, on what light and motion, and how fast."""

    num_single: int = 2500  # steps of Zero-IG alone, one frame a scene
    num_temporal: int = 1500  # steps of Zero-IG and of Zero-TIG each, on moving scenes
    num_calibration: int = 150  # scenes of two frames that batch norm's running statistics are taken over
    num_frames: int = 8  # of a moving scene
    height_px: int = 72
    width_px: int = 96
    picture_height_px: int = 240  # pictures are made this high first
    speed_px: float = 3.0  # of camera and disc at most, per frame and axis
    disc_px: tuple[float, float] = (8.0, 28.0)  # radius
    exposures: tuple[float, float] = (0.06, 0.3)  # light over that of the bright picture
    electrons: tuple[float, float] = (500.0, 2600.0)  # at white: ISO 32000 to 6400
    learning_rates: tuple[float, float] = (1e-3, 5e-4)  # of the two stages; each falls to a hundredth along a cosine
    seed: int = 0


@dataclass(frozen=True)
class Pretrained:
    """Both models after both stages."""

    single: ZeroIG
    temporal: ZeroIG


def pretrain(plan: Pretraining, *, device: torch.device | str = "cpu") -> Pretrained:
    """Zero-IG on single dark frames, then Zero-IG and Zero-TIG on moving scenes; same plan, same weights."""
    torch.manual_seed(plan.seed)
    first = ZeroIG(Settings(learning_rate=plan.learning_rates[0], cut_detection=False)).to(device)
    _run(first, dark_scenes(plan, num_frames=1, seed=plan.seed), plan.num_single)
    settings = Settings(learning_rate=plan.learning_rates[1], cut_detection=False)
    single = ZeroIG(settings).to(device)
    single.load_state_dict(first.state_dict())
    temporal = inflate(first, settings=settings)
    for model in (single, temporal):
        _run(model, dark_scenes(plan, num_frames=plan.num_frames, seed=plan.seed + 1), plan.num_temporal)
        calibrate(model, dark_scenes(plan, num_frames=2, seed=plan.seed + 2), plan.num_calibration)
    return Pretrained(single.eval(), temporal.eval())


def _run(model: ZeroIG, scenes: Iterator[Tensor], num_steps: int) -> None:
    trainer, rate = Trainer(model), model.settings.learning_rate
    for idx, (frame, is_first) in zip(progress(range(num_steps), label="pre-training"), _frames(scenes), strict=False):
        trainer.optimizer.param_groups[0]["lr"] = rate * (0.01 + 0.99 * (1 + math.cos(math.pi * idx / num_steps)) / 2)
        if is_first:
            trainer.state = None
        trainer.step(frame)


def calibrate(model: ZeroIG, scenes: Iterator[Tensor], num_scenes: int) -> None:
    """Sets the running statistics of batch norm to the mean over many scenes; training leaves those of its last ones.

    Choice: the published code has no such step, because it applies a model to the video that it was trained on. Its one
    set of statistics for all three uses of the block gets their mean.
    """
    norm = cast(nn.BatchNorm2d, model.illuminator.conv[1])
    usual = norm.momentum
    model.train()
    with torch.no_grad():
        for idx, scene in enumerate(islice(scenes, num_scenes)):
            state = None
            for number, frame in enumerate(scene, start=idx * len(scene) + 1):
                norm.momentum = 1 / number  # a running mean of all passes so far
                state = model(frame[None].to(norm.weight.device), state).state
    norm.momentum = usual
    uses = [use.state_dict() for use in model.illuminator.uses]
    means, variances = (torch.stack([use[name] for use in uses]) for name in ("running_mean", "running_var"))
    together = {
        "running_mean": means.mean(dim=0),
        "running_var": variances.mean(dim=0) + means.var(dim=0, correction=0),
    }
    norm.load_state_dict({**norm.state_dict(), **together})


def _frames(scenes: Iterator[Tensor]) -> Iterator[tuple[Tensor, bool]]:
    for scene in scenes:
        yield from ((frame, idx == 0) for idx, frame in enumerate(scene))


def dark_scenes(plan: Pretraining, *, num_frames: int, seed: int) -> Iterator[Tensor]:
    """Dark clips (T, 3, height_px, width_px) without end: a panned picture, a disc of another one moving over it."""
    generator = Generator().manual_seed(seed)
    pictures = [resized(picture, plan.picture_height_px) for picture in _pictures()]
    while True:
        behind, before = (pictures[_below(len(pictures), generator)] for _ in range(2))
        clip = _panned(behind, plan, num_frames, generator)
        disc = _disc(plan, num_frames, generator)
        clip = torch.lerp(clip, _panned(before, plan, num_frames, generator), disc)
        light = LowLightSettings(
            exposure=_between(plan.exposures, generator), electrons_at_white=_between(plan.electrons, generator)
        )
        yield lowlight(clip, generator=generator, settings=light).video


def _panned(picture: Tensor, plan: Pretraining, num_frames: int, generator: Generator) -> Tensor:
    """A window that glides over the picture at a constant speed, (T, 3, h, w); bilinear."""
    size = torch.tensor([plan.width_px, plan.height_px])
    room = torch.tensor([picture.shape[-1], picture.shape[-2]]) - size
    velocity = plan.speed_px * (2 * torch.rand(2, generator=generator) - 1)
    path = velocity * torch.arange(num_frames)[:, None]
    free = room - (path.amax(dim=0) - path.amin(dim=0))
    corners = path - path.amin(dim=0) + free * torch.rand(2, generator=generator)
    rows, columns = torch.arange(plan.height_px), torch.arange(plan.width_px)
    x, y = columns + corners[:, :1], rows + corners[:, 1:]
    grid = torch.stack(
        [
            (2 * x / (picture.shape[-1] - 1) - 1)[:, None, :].expand(-1, plan.height_px, -1),
            (2 * y / (picture.shape[-2] - 1) - 1)[:, :, None].expand(-1, -1, plan.width_px),
        ],
        dim=-1,
    )
    return F.grid_sample(picture.expand(num_frames, -1, -1, -1), grid, align_corners=True).clamp(0, 1)


def _disc(plan: Pretraining, num_frames: int, generator: Generator) -> Tensor:
    """Soft disc on a straight path, (T, 1, h, w), 0..1."""
    centre = torch.rand(2, generator=generator) * torch.tensor([plan.width_px, plan.height_px])
    velocity = plan.speed_px * (2 * torch.rand(2, generator=generator) - 1)
    centres = centre + velocity * torch.arange(num_frames)[:, None]
    dx = torch.arange(plan.width_px) - centres[:, :1]
    dy = torch.arange(plan.height_px) - centres[:, 1:]
    distance = torch.hypot(dx[:, None, :], dy[:, :, None])
    return (_between(plan.disc_px, generator) - distance).add(0.5).clamp(0, 1)[:, None]


def _pictures() -> list[Tensor]:
    from skimage import data

    others = (data.astronaut(), data.chelsea(), data.coffee(), data.stereo_motorcycle()[0])
    pictures = [torch.from_numpy(picture).permute(2, 0, 1).float() / 255 for picture in others]
    return [sample_image(name).image for name in SAMPLES] + pictures


def _below(end: int, generator: Generator) -> int:
    return int(torch.randint(end, (1,), generator=generator))


def _between(ends: tuple[float, float], generator: Generator) -> float:
    """A number between two, evenly on a logarithmic scale."""
    low, high = (math.log(end) for end in ends)
    return math.exp(low + (high - low) * float(torch.rand((), generator=generator)))


def main() -> None:
    """Pre-trains both models and writes them beside the weights manifest, each whole or not at all."""
    trained = pretrain(Pretraining(), device=lib.device())
    save_weights(trained.single, manifest_path().parent / "zero_ig.safetensors")
    save_weights(trained.temporal, manifest_path().parent / "zero_tig.safetensors")


if __name__ == "__main__":
    main()
