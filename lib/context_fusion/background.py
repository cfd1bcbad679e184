"""Day background of a fixed camera: the temporal median, in which what moves disappears (sec. 4)."""

from collections.abc import Iterable

import torch
from torch import Tensor

from lib.checks import check_planes, check_same_grid
from lib.errors import ShapeError, SpecError

# rows sorted at a time, so that the scratch memory stays a fraction of the clip
ROWS_AT_A_TIME = 32


def median_background(video: Tensor | Iterable[Tensor], *, max_frames: int = 101) -> Tensor:
    """Per-pixel median over time, (3, H, W); the mean of the two middle values for an even count.

    video: (T, 3, H, W) or an iterator of frames (3, H, W). A clip of more than `max_frames` is thinned evenly, in
    memory of at most twice that many frames. The paper takes the median over about 15 s.
    Raises ShapeError for a clip without frames, frames of different sizes or values that are not finite, SpecError for
    max_frames < 1.
    """
    if max_frames < 1:
        raise SpecError(f"max_frames must be at least 1: got {max_frames}")
    frames: list[Tensor] = []
    stride = 1
    for index, frame in enumerate(video):
        if index % stride:
            continue
        check_planes("video frame", frame, ndim=3)
        if frames:
            check_same_grid("video frame", frame, "the first frame", frames[0])
        frames.append(frame)
        if len(frames) == 2 * max_frames:
            frames, stride = frames[::2], stride * 2
    if not frames:
        raise ShapeError("video must hold at least one frame: got none")
    frames = frames[:: -(-len(frames) // max_frames)]
    middle = len(frames) // 2
    result = torch.empty_like(frames[0])
    for top in range(0, result.shape[-2], ROWS_AT_A_TIME):
        rows = slice(top, top + ROWS_AT_A_TIME)
        ordered = torch.stack([frame[..., rows, :] for frame in frames]).sort(dim=0).values
        lower = middle if len(frames) % 2 else middle - 1
        result[..., rows, :] = (ordered[lower] + ordered[middle]) / 2
    return result
