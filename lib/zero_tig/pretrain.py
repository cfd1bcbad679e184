"""Pre-training of Zero-IG on dark crops of a few real pictures: `python -m lib.zero_tig.pretrain OUT.safetensors`.

The paper begins its fine-tuning with a Zero-IG that has seen other dark material (sec. IV). This one has seen six
pictures of installed packages in simulated low light of random strength, and no bright truth: the losses have none.
"""

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Generator, Tensor

import lib
from lib.data.images import resized
from lib.data.samples import sample_image
from lib.data.simulate import LowLightSettings, lowlight
from lib.show.progress import progress
from lib.zero_tig.model import ZeroIG
from lib.zero_tig.settings import Settings
from lib.zero_tig.train import Trainer
from lib.zero_tig.weights import save_weights

SAMPLES = ("pagoda", "rocket")  # the clips are kept for trying the result


@dataclass(frozen=True)
class Pretraining:
    """How much, on what light, and how fast."""

    num_steps: int = 2500
    height_px: int = 72  # of the crops
    width_px: int = 96
    picture_height_px: int = 240  # pictures are made this high first
    exposures: tuple[float, float] = (0.06, 0.3)  # light over that of the bright picture
    electrons: tuple[float, float] = (500.0, 2600.0)  # at white: ISO 32000 to 6400
    learning_rate: float = 1e-3  # falls to a hundredth along half a cosine
    seed: int = 0


def pretrain(plan: Pretraining, *, device: torch.device | str = "cpu") -> ZeroIG:
    """A Zero-IG trained on dark crops, one step each; the same plan gives the same weights on one machine."""
    torch.manual_seed(plan.seed)
    trainer = Trainer(ZeroIG(Settings(learning_rate=plan.learning_rate, cut_detection=False)).to(device))
    for idx, crop in enumerate(progress(dark_crops(plan), total=plan.num_steps, label="pre-training steps")):
        decay = 0.01 + 0.99 * (1 + math.cos(math.pi * idx / plan.num_steps)) / 2
        trainer.optimizer.param_groups[0]["lr"] = plan.learning_rate * decay
        trainer.step(crop)
    return trainer.model.eval()


def dark_crops(plan: Pretraining) -> Iterator[Tensor]:
    """`num_steps` crops (3, height_px, width_px), each of a random picture in random light."""
    generator = Generator().manual_seed(plan.seed)
    pictures = [resized(picture, plan.picture_height_px) for picture in _pictures()]
    for _ in range(plan.num_steps):
        picture = pictures[_below(len(pictures), generator)]
        top = _below(picture.shape[-2] - plan.height_px + 1, generator)
        left = _below(picture.shape[-1] - plan.width_px + 1, generator)
        crop = picture[:, top : top + plan.height_px, left : left + plan.width_px]
        crop = crop.flip(-1) if _below(2, generator) else crop
        light = LowLightSettings(
            exposure=_between(plan.exposures, generator), electrons_at_white=_between(plan.electrons, generator)
        )
        yield lowlight(crop, generator=generator, settings=light).video


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


if __name__ == "__main__":
    save_weights(pretrain(Pretraining(), device=lib.device()), Path(sys.argv[1]))
