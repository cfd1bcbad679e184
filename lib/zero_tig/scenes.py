"""The videos that the methods are compared on: real clips in simulated darkness or water, and somebody's own."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from lib.data.images import read_image, resized
from lib.data.origin import Origin, folder_sha256
from lib.data.samples import SampleClip, sample_clip
from lib.data.simulate import LowLightSettings, lowlight, underwater
from lib.data.video import list_pictures, natural_key, open_video
from lib.errors import DataMissing, SpecError
from lib.metrics.planes import GREY_LEVELS, luma

LEVELS = {"20 %": LowLightSettings.mild(), "10 %": LowLightSettings.strong()}
STILL_STEP = 2.0  # grey levels a frame that the truth may change by and still count as still
STILL_WINDOW_PX = 5  # over which its own noise is averaged first


@dataclass(frozen=True)
class Case:
    """A video to enhance and what is known about it.

    video: (T, 3, H, W), 0..1. truth: the same scene in good light, (T, 3, H, W), or None.
    still: bool (T, H, W), pixels of the truth that stay as they are from the frame before to the frame after; None
    without truth. underwater: whether the cast of water is to be removed as well.
    """

    name: str
    video: Tensor
    truth: Tensor | None
    still: Tensor | None
    origin: Origin
    underwater: bool = False

    def to(self, device: torch.device | str) -> "Case":
        """The same case with its frames on a device."""
        truth, still = (None if one is None else one.to(device) for one in (self.truth, self.still))
        return replace(self, video=self.video.to(device), truth=truth, still=still)


def dark_clip(name: str, *, seed: int, num_frames: int, height_px: int, level: str = "20 %") -> Case:
    """An embedded real clip (`walk`, `street`, `taxi`) in simulated low light; the seed draws the camera's noise.

    level: light left, "20 %" or "10 %" as in BVI-RLV.
    """
    light = _light(level)
    clip = _clip(name, num_frames, height_px)
    dark = lowlight(clip.video, generator=Generator().manual_seed(seed), settings=light)
    source = f"lib.data.simulate.lowlight over the sample clip {name}"
    origin = replace(dark.origin, name=f"{name} in the dark", licence=clip.origin.licence, source=source)
    return Case(f"{name}, {level}", dark.video, dark.truth, still_areas(dark.truth), origin)


def wet_clip(name: str, *, seed: int, num_frames: int, height_px: int) -> Case:
    """An embedded real clip under simulated water (Jerlov type II, 10 m deep); the seed draws the camera's noise."""
    clip = _clip(name, num_frames, height_px)
    wet = underwater(clip.video, generator=Generator().manual_seed(seed))
    source = f"lib.data.simulate.underwater over the sample clip {name}"
    origin = replace(wet.origin, name=f"{name} under water", licence=clip.origin.licence, source=source)
    return Case(f"{name}, under water", wet.video, wet.truth, still_areas(wet.truth), origin, underwater=True)


def darkened_films(root: str, *, seed: int, num_frames: int, height_px: int, level: str = "20 %") -> list[Case]:
    """Somebody's own bright clips in simulated low light, the first frames of each; none for root "".

    root: a video file, a folder of frames, or a folder of either. Raises DataMissing when it holds no clip.
    """
    if not root:
        return []
    whole = Path(root)
    entries = [] if whole.is_file() or list_pictures(whole) else sorted(whole.iterdir(), key=natural_key)
    paths = [path for path in entries if path.is_file() or list_pictures(path)] if entries else [whole]
    cases = []
    for path in paths:
        truth = first_frames(str(path), num_frames=num_frames, height_px=height_px)
        dark = lowlight(truth, generator=Generator().manual_seed(seed), settings=_light(level))
        source = "lib.data.simulate.lowlight over a clip that the user gave"
        origin = replace(dark.origin, name=f"{path.stem} in the dark", licence="that of the clip", source=source)
        cases.append(Case(f"{path.stem}, {level}", dark.video, truth, still_areas(truth), origin))
    return cases


def first_frames(path: str, *, num_frames: int, height_px: int) -> Tensor:
    """The first frames of a video file or a folder of frames, (T, 3, H, W), at most `height_px` high."""
    with open_video(path) as film:
        frames = [resized(frame, height_px) for frame in islice(film, num_frames)]
    if not frames:
        raise DataMissing("the video holds no frame; give another one")
    return torch.stack(frames)


def still_areas(truth: Tensor) -> Tensor:
    """Where a clean clip (T, 3, H, W) stands still, bool (T, H, W): luma steps of at most 2 grey levels to both sides.

    Choice: of the 5x5 mean, so that the clip's own noise and compression don't count as motion. A pan leaves areas
    without texture only.
    """
    brightness = GREY_LEVELS * luma(truth)[:, None]
    pad = STILL_WINDOW_PX // 2
    smooth = F.avg_pool2d(F.pad(brightness, (pad,) * 4, mode="replicate"), STILL_WINDOW_PX, stride=1)[:, 0]
    calm = smooth.diff(dim=0).abs() <= STILL_STEP
    ones = torch.ones_like(calm[:1])
    return torch.cat([ones, calm]) & torch.cat([calm, ones])


@dataclass(frozen=True)
class Pictures:
    """Real pictures of a folder, each (3, H, W) with its name, and the folder's origin."""

    by_name: dict[str, Tensor]
    origin: Origin


def pictures_of(root: str, *, height_px: int, num_pictures: int, name: str) -> Pictures | None:
    """The first pictures of a folder by name, at most `height_px` high; None for root "".

    name: what the folder is called in the record. Raises DataMissing for a folder without pictures.
    """
    if not root:
        return None
    files = list_pictures(Path(root))[:num_pictures]
    if not files:
        raise DataMissing(f"the folder of {name} holds no picture; give a folder with .png or .jpg files")
    shown = {file.stem: resized(read_image(file), height_px) for file in files}
    origin = Origin(name, "sample", "as the folder's owner states it", folder_sha256(root), "given by the user")
    return Pictures(shown, origin)


def origin_of_all(cases: Sequence[Case], *, name: str = "simulated low light") -> Origin:
    """One origin for scores over several simulated cases; it names the clips under them and their licences."""
    names = list(dict.fromkeys(case.origin.name for case in cases))
    licences = list(dict.fromkeys(case.origin.licence for case in cases))
    return Origin(name, "simulated", "; ".join(licences), "", f"lib.data.simulate: {', '.join(names)}")


def _light(level: str) -> LowLightSettings:
    if level not in LEVELS:
        raise SpecError(f"level must be one of {', '.join(LEVELS)}: got {level!r}")
    return LEVELS[level]


# reading a film and shrinking it costs more than darkening it
@lru_cache(maxsize=4)
def _clip(name: str, num_frames: int, height_px: int) -> SampleClip:
    clip = sample_clip(name, max_frames=num_frames)
    return replace(clip, video=resized(clip.video, height_px))
