"""Table I on BVI-RLV itself: frame by frame, nothing of a scene in memory but the frame at hand."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

import torch
from torch import Generator, Tensor

from lib.data.bvi import BVIRLV, RLV, LowLightScene
from lib.data.origin import Origin
from lib.metrics import lpips, match_histogram, psnr_8bit, ssim_8bit
from lib.show.progress import progress
from lib.show.scores import Scores
from lib.zero_tig.baselines import clahe, equalise_luma, gamma, gamma_to_mean
from lib.zero_tig.evaluate import PERCEPTUAL_NAMES, TABLE_NAMES, why_no_lpips
from lib.zero_tig.methods import Kind, Recipe, play, start_model
from lib.zero_tig.model import ZeroIG
from lib.zero_tig.train import Trainer
from lib.zero_tig.zero_dce import enhance_frames, train_dce

KINDS: tuple[Kind, Kind] = ("zero_ig", "zero_tig")
DCE_FRAMES = 32  # of a scene, evenly spread, that Zero-DCE is trained on
NEEDS = (
    f"not run: BVI-RLV is not here. Expected: {RLV.layout}. It comes from {RLV.source}; name its folder with rlv_root"
)

Stream = Iterator[Tensor]


@dataclass(frozen=True)
class TableOne:
    """Our rows of Table I: the mean over all frames of all scenes, and where they come from.

    why_no_lpips: the reason where LPIPS could not be measured, else "".
    """

    scores: Scores
    origin: Origin
    num_scenes: int
    num_frames: int
    why_no_lpips: str


def table_one(root: str, recipe: Recipe, *, device: torch.device | str = "cpu", seed: int = 0) -> TableOne | None:
    """Every method on every scene and level of BVI-RLV's test list; None for root "".

    Zero-IG and Zero-TIG are fine-tuned on each scene as the recipe says, from weights that were pre-trained alike (sec.
    IV). Choice: each scene by itself, as "zero-shot" promises; the paper doesn't say.
    Protocol: frames as they are stored, 8-bit scores of R, plain mean over all frames.
    Raises DataMissing that says what is absent for a folder of another layout.
    """
    if not root:
        return None
    data = BVIRLV(root)
    scenes = [data[idx] for idx in range(len(data))]
    reason = why_no_lpips()
    names = [name for name in TABLE_NAMES if not reason or name not in PERCEPTUAL_NAMES]
    sums: dict[str, dict[str, float]] = {}
    num_frames = 0
    for scene in progress(scenes, label="scenes"):
        num_frames += scene.num_frames
        for method, method_player in players(scene, recipe, torch.device(device), seed=seed).items():
            with scene.open() as dark, scene.open_truth() as truth:
                held = sums.setdefault(method, dict.fromkeys(names, 0.0))
                for result, wanted in zip(method_player(on(device, dark)), on(device, truth), strict=True):
                    for name, value in frame_scores(result, wanted, names).items():
                        held[name] += value
    scores = {method: {name: [total / num_frames] for name, total in held.items()} for method, held in sums.items()}
    return TableOne(scores, _origin(scenes), len(scenes), num_frames, reason)


def players(
    scene: LowLightScene, recipe: Recipe, device: torch.device, *, seed: int
) -> dict[str, Callable[[Iterable[Tensor]], Stream]]:
    """Every method ready to play the frames of a scene; the networks are trained on it here."""
    single, temporal = (start_model(kind, recipe, seed=seed).to(device) for kind in KINDS)
    with scene.open() as dark:
        for model in (single, temporal):
            Trainer(model).fit(dark, total=scene.num_frames)
        step = max(1, scene.num_frames // DCE_FRAMES)
        some = [frame.to(device) for idx, frame in enumerate(dark) if idx % step == 0]
    dce = train_dce(some, generator=Generator().manual_seed(seed), settings=recipe.dce)
    return {
        "Zero-TIG": lambda frames: results(temporal, frames),
        "Zero-IG": lambda frames: results(single, frames),
        "Zero-DCE": lambda frames: enhance_frames(dce, frames),
        "gamma 1/2.2": lambda frames: map(gamma, frames),
        "gamma to mean 0.5": lambda frames: map(gamma_to_mean, frames),
        "CLAHE": lambda frames: map(clahe, frames),
        "histogram equalisation": lambda frames: map(equalise_luma, frames),
    }


def results(model: ZeroIG, frames: Iterable[Tensor]) -> Stream:
    """The result R (3, H, W) of each frame, one after the other."""
    return (found.reflectance[0] for found in play(model, frames))


def frame_scores(result: Tensor, truth: Tensor, names: Iterable[str]) -> dict[str, float]:
    """Table I's measures of one frame, both (3, H, W), 0..1."""
    matched = match_histogram(result, truth)
    measured: dict[str, Callable[[], float]] = {
        "psnr": lambda: psnr_8bit(result, truth),
        "psnr_hm": lambda: psnr_8bit(matched, truth),
        "ssim": lambda: ssim_8bit(result, truth),
        "ssim_hm": lambda: ssim_8bit(matched, truth),
        "lpips": lambda: lpips(result, truth),
        "lpips_hm": lambda: lpips(matched, truth),
    }
    return {name: measured[name]() for name in names}


def on(device: torch.device | str, frames: Iterable[Tensor]) -> Stream:
    """The frames on a device, one after the other."""
    return (frame.to(device) for frame in frames)


def _origin(scenes: Sequence[LowLightScene]) -> Origin:
    """One origin for all scenes, whose checksum is that of their checksums."""
    sums = "".join(f"{scene.origin.sha256}  {scene.name}\n" for scene in scenes)
    return replace(scenes[0].origin, name=RLV.name, sha256=sha256(sums.encode()).hexdigest())
