"""What a reader of the walkthrough moves: a line between a frame as it was and as it became."""

from collections.abc import Mapping

from torch import Tensor

from lib.errors import ShapeError
from lib.show.panel import Slider, captioned

HIGHEST_GAIN = 8
MIDDLE = 50  # per cent of the width
LEAST_WIDTH_PX = 480  # that a frame is enlarged to


def split_sliders(num_frames: int) -> list[Slider]:
    """Place of the line, gain of what is left of it, and frame, which plays."""
    return [
        Slider("line", "line, %", 0, 100, MIDDLE),
        Slider("gain", "gain of I", 1, HIGHEST_GAIN, 1, step=0.5),
        Slider("frame", "frame", 0, num_frames - 1, 0, plays=True),
    ]


def split(before: Tensor, after: Tensor, values: Mapping[str, float]) -> bytes:
    """A frame as it was, times a gain, left of a line, and as it became right of it: the bytes of a JPEG file.

    before, after: (T, 3, H, W), 0..1. values: those of `split_sliders`. Raises ShapeError where the videos differ.
    """
    if before.shape != after.shape:
        raise ShapeError(f"both videos must have one shape: got {tuple(before.shape)} and {tuple(after.shape)}")
    number, gain = int(values["frame"]), float(values["gain"])
    zoom = max(1, -(-LEAST_WIDTH_PX // before.shape[-1]))
    picture = after[number].clone()
    column = round(values["line"] / 100 * picture.shape[-1])
    picture[..., :column] = (gain * before[number, ..., :column]).clamp(0, 1)
    if 0 < column < picture.shape[-1]:
        picture[..., column - 1 : column] = 1
    return captioned({f"frame {number}: left I times {gain:g}, right R": picture}, zoom=zoom)
