"""The five steps, each by its own package: enhance, fuse with the day, discover, follow, label."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from lib.context_fusion import fuse_video
from lib.context_reg.networks import LoadedNetwork
from lib.context_reg.segment import segment_image
from lib.data.images import resized
from lib.fodvid.discover import Discoverer, motions
from lib.fodvid.settings import for_backbone
from lib.ir_tracking import SiameseNetwork, Tracker
from lib.metrics.planes import luma
from lib.night_watch.scene import Watch
from lib.zero_tig import Settings, enhance_video, fine_tuning_start
from lib.zero_tig.baselines import brighten_to_mean
from lib.zero_tig.settings import FINE_TUNING_RATE

NIGHT, BRIGHTENED, ENHANCED = "night", "night, brightened", "enhanced"
NIGHT_IN_DAY, ENHANCED_IN_DAY = "night + day", "enhanced + day"
DAYLIGHT = "same by daylight"  # of simulated rooms: the ceiling of what any step can give
DISCOVERY_STEP = 4
VERSIONS = (NIGHT, BRIGHTENED, ENHANCED, NIGHT_IN_DAY, ENHANCED_IN_DAY, DAYLIGHT)


@dataclass(frozen=True, eq=False)
class Tools:
    """The networks that later steps use, loaded once: of discovery, of tracking with the filter's planes and without,
    of labelling."""

    discoverer: Discoverer
    tracker: SiameseNetwork
    tracker_without_filter: SiameseNetwork
    labeller: LoadedNetwork


def make_discoverer(*, device: torch.device | str) -> Discoverer:
    """FODVid's graph cut with what a plain installation brings: EfficientNet-Lite0 and DIS flow."""
    return Discoverer(for_backbone("efficientnet_lite0").but(flow="dis"), device=device)


def enhanced(video: Tensor, *, epochs: int, seed: int = 0) -> Tensor:
    """Step 1: a dark video (T, 3, H, W) enhanced by Zero-TIG, the same form, on its device.

    epochs: passes of fine-tuning on the video itself; 0 applies the shipped network as it is. seed: of its draws.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = fine_tuning_start(Settings(epochs=epochs, learning_rate=FINE_TUNING_RATE)).to(video.device)
        return torch.stack(list(enhance_video(video, start=model, total=len(video))))


def in_day_context(video: Tensor, day: Tensor) -> Tensor:
    """Step 2: a video (T, 3, H, W) in the context of a day picture (3, H, W), by Algorithm 2; clipped to 0..1."""
    return fuse_video(video, day).image.clamp(0, 1)


def versions(watch: Watch, *, epochs: int, seed: int = 0) -> dict[str, Tensor]:
    """The watch's video (T, 3, H, W) as every later step could get it, by name, in the order of VERSIONS.

    Beside what the chain makes: the night brightened by a plain gain to the mean of the enhanced video, which tells
    what enhancement is worth beyond brightness, and the night fused as it is. DAYLIGHT is there with the truth only.
    """
    lit = enhanced(watch.night, epochs=epochs, seed=seed)
    videos = {
        NIGHT: watch.night,
        BRIGHTENED: brighten_to_mean(watch.night, mean=float(luma(lit).mean())),
        ENHANCED: lit,
        NIGHT_IN_DAY: in_day_context(watch.night, watch.day),
        ENHANCED_IN_DAY: in_day_context(lit, watch.day),
    }
    if watch.truth is not None:
        videos[DAYLIGHT] = watch.truth.bright
    return videos


def discovered(video: Tensor, discoverer: Discoverer, frames: Sequence[int]) -> Tensor:
    """Step 3: masks (N, H, W) bool of what moves in the chosen frames, ascending; the others only lend their motion."""
    wanted = set(frames)
    moved = motions(discoverer, video, chosen=wanted.__contains__)
    return torch.stack([discoverer.discover(frame, motion).mask for frame, motion in moved])


@dataclass(frozen=True, eq=False)
class Course:
    """Where a small target was found: boxes (T, 4), scores (T,) and whether it was seen, (T,) bool; on the CPU."""

    boxes: Tensor
    scores: Tensor
    seen: Tensor


def followed(video: Tensor, network: SiameseNetwork, box: Tensor) -> Course:
    """Step 4: a small target followed through the mean of R, G and B from its box (4,) in the first frame."""
    frames = video.mean(dim=1, keepdim=True)
    tracker = Tracker(network.to(video.device))
    tracks = [tracker.start(frames[0], box), *map(tracker.step, frames[1:])]
    return Course(
        torch.tensor([track.box for track in tracks], dtype=torch.float64),
        torch.tensor([track.score for track in tracks]),
        torch.tensor([track.seen for track in tracks]),
    )


def labelled(pictures: Tensor, labeller: LoadedNetwork) -> Tensor:
    """Step 5: classes (N, H, W) int64 of pictures (N, 3, H, W), which are seen as high as the network learnt from."""
    height_px, size = labeller.settings.seen_px or pictures.shape[-2], pictures.shape[-2:]
    found = [segment_image(labeller, resized(picture, height_px)).labels for picture in pictures]
    at_size = F.interpolate(torch.stack(found)[:, None].to(torch.uint8), size=size, mode="nearest-exact")
    return at_size[:, 0].long()


def background(video: Tensor, frames: Sequence[int], masks: Tensor | None = None) -> Tensor:
    """Mean (3, H, W) over chosen frames, of each pixel where no mask (N, H, W) covers it; over all where all do.

    What discovery can do for the labeller: many frames of a still scene, without the noise, and without whoever walks.
    """
    chosen = video[list(frames)]
    if masks is None:
        return chosen.mean(dim=0)
    free = (~masks)[:, None].to(chosen)
    count = free.sum(dim=0)
    return torch.where(count > 0, (chosen * free).sum(dim=0) / count.clamp_min(1), chosen.mean(dim=0))


def discovery_frames(num_frames: int) -> list[int]:
    """Numbers of the frames in which movers are looked for, every fourth: discovery is the slowest step."""
    return list(range(0, num_frames, DISCOVERY_STEP))


def film_frames(num_frames: int, count: int) -> list[int]:
    """So many frame numbers, evenly spread, without the very ends."""
    return [round((idx + 0.5) * num_frames / count - 0.5) for idx in range(count)]
