"""A simulated recording of a clip, frame by frame in bounded memory, with the same noise on every pass."""

from collections.abc import Iterable, Iterator

import torch
from torch import Generator, Tensor

from lib.checks import check_form, check_image
from lib.errors import ShapeError


class Recording:
    """Iterable of simulated images (3, H, W) of `frames`; children say in `_record` what the camera sees.

    frames: iterable of images (3, H, W), 0..1. One frame is held at a time. Every pass draws the same noise (the
    generator gives one number when the recording is made) and, if `frames` can be read again, starts anew.
    Raises ShapeError at a frame that is no image.
    """

    def __init__(self, frames: Iterable[Tensor], *, generator: Generator) -> None:
        self.truth = frames
        self._seed = int(torch.randint(1 << 62, (1,), generator=generator, device=generator.device))
        self._device = generator.device

    def __iter__(self) -> Iterator[Tensor]:
        generator = Generator(self._device).manual_seed(self._seed)
        for frame in self.truth:
            check_image("frame", frame)
            yield self._record(frame, generator)

    def develop(self, like: Tensor) -> Tensor:
        """All images as one tensor of the form of `like` (T, 3, H, W)."""
        video = torch.empty_like(like, memory_format=torch.contiguous_format)
        for out, image in zip(video, self, strict=True):
            out.copy_(image)
        return video

    def _record(self, frame: Tensor, generator: Generator) -> Tensor:
        raise NotImplementedError


def as_frames(video: Tensor) -> Tensor:
    """Clip (T, 3, H, W) of a clip or of one picture (3, H, W); raises ShapeError for anything else."""
    check_form("video", video)
    if video.ndim not in (3, 4):
        raise ShapeError(f"video must be (T, 3, H, W), or a picture (3, H, W): got shape {tuple(video.shape)}")
    check_image("video", video, ndim=video.ndim)
    return video if video.ndim == 4 else video[None]
