"""Previews: the first, the middle and the last frame, before and after, in one picture."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lib.data.images import image_from_array, resized, write_image
from lib.data.video import VideoReader
from lib.errors import DataMissing
from lib.footage.places import Places

HEIGHT_PX = 720  # of a frame in the picture, at most
TEXT_PX = 24
SLACK_S = 1.0  # headers may promise a frame or two that aren't there


@dataclass(frozen=True, eq=False)
class Clip:
    """Consecutive frames (3, H, W), 0..1, of which that with the number `idx` is shown; its time in seconds."""

    frames: list[Tensor]
    idx: int
    time_s: float

    @property
    def shown(self) -> Tensor:
        """The frame that is shown."""
        return self.frames[self.idx]


@dataclass(frozen=True, eq=False)
class Shown:
    """One frame (3, H, W), 0..1, before and after, at a time in seconds."""

    time_s: float
    before: Tensor
    after: Tensor


def clips(reader: VideoReader, *, before: int = 0, after: int = 0) -> list[Clip]:
    """The first, the middle and the last frame, each with so many around it as there are; fewer of a shorter video."""
    num_frames = reader.num_frames or sum(1 for _ in reader)
    numbers = sorted({0, (num_frames - 1) // 2, num_frames - 1})
    found = [_clip(reader, number / reader.fps, before, after) for number in numbers]
    return [clip for clip in found if clip is not None]


def write_preview(places: Places, rows: Sequence[Shown]) -> None:
    """Writes the picture of a preview, one row a frame, and prints its name; an older one is replaced."""
    if not rows:
        raise DataMissing(f"no frame of {places.source} can be shown; is it complete?")
    drawn = []
    for row in rows:
        before, after = (resized(image.detach().cpu(), HEIGHT_PX) for image in (row.before, row.after))
        gap = before.new_ones(3, before.shape[1] + TEXT_PX, TEXT_PX // 4)
        named = _titled(before, f"{row.time_s:.2f} s, before"), gap, _titled(after, "after")
        drawn.append(torch.cat(named, dim=2))
    write_image(places.preview, torch.cat(drawn, dim=1))
    print(places.preview)


def _clip(reader: VideoReader, time_s: float, before: int, after: int) -> Clip | None:
    """The frames around a time; None where the file has none there."""
    frame_s = 1 / reader.fps
    upto: deque[tuple[float, Tensor]] = deque(maxlen=before + 1)
    following: list[Tensor] = []
    for stamp, frame in reader.timed(from_s=max(time_s - before * frame_s - SLACK_S, 0)):
        if stamp <= time_s + frame_s / 2:
            upto.append((stamp, frame))
        elif len(following) < after:
            following.append(frame)
        if stamp > time_s - frame_s / 2 and len(following) == after:
            break
    if not upto:
        return None
    return Clip([frame for _, frame in upto] + following, len(upto) - 1, upto[-1][0])


def _titled(image: Tensor, text: str) -> Tensor:
    """The picture with a line of text above it."""
    from PIL import Image, ImageDraw, ImageFont

    strip = Image.new("RGB", (image.shape[2], TEXT_PX), "white")
    ImageDraw.Draw(strip).text((2, 2), text, fill="black", font=ImageFont.load_default(size=TEXT_PX * 0.6))
    return torch.cat([image_from_array(np.asarray(strip).copy()), image], dim=1)
