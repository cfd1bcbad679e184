"""A video from end to end: streaming, cuts, one frame, black and white, bad frames."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from lib.errors import DataMissing, ShapeError
from lib.zero_tig import Enhancer, Settings, ZeroIG, ZeroTIG, enhance_video, fine_tuning_start

QUICK = Settings(epochs=1)


def dark_clip(num_frames: int = 3, size: tuple[int, int] = (31, 45)) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    still = torch.nn.functional.interpolate(torch.rand(1, 3, 5, 7, generator=generator), size=size, mode="bicubic")
    noise = 0.01 * torch.randn(num_frames, 3, *size, generator=generator)
    return (0.15 * still.clamp(0, 1) + noise).clamp(0, 1)


def test_video_becomes_brighter_frame_by_frame() -> None:
    dark = dark_clip()
    told: list[int] = []
    start = fine_tuning_start(QUICK)
    images = list(enhance_video(dark, start=start, total=3, on_trained=lambda model, steps: told.append(len(steps))))
    assert told == [3]
    assert len(images) == 3
    for image, frame in zip(images, dark, strict=True):
        assert image.shape == frame.shape
        assert image.mean() > 2 * frame.mean()


def test_frames_are_read_one_at_a_time() -> None:
    held: list[int] = []

    class Counted:
        def __iter__(self) -> Iterator[Tensor]:
            for frame in dark_clip():
                held.append(1)
                yield frame

    stream = enhance_video(Counted(), start=ZeroIG(Settings(epochs=0)))
    next(stream)
    assert len(held) == 1


def test_state_is_carried_and_dropped_at_a_cut(device: torch.device) -> None:
    model = ZeroTIG().to(device)
    torch.nn.init.constant_(model.illuminator.in_conv[0].weight[:, :6], 0.1)
    first, second = dark_clip().to(device)[:2]
    other = (0.8 - 2 * second.flip(0).flip(-1)).clamp(0, 1)
    alone, carried = Enhancer(model), Enhancer(model)
    carried(first)
    assert not torch.equal(carried(second).reflectance, alone(second).reflectance)
    assert torch.equal(carried(other).reflectance, Enhancer(model)(other).reflectance)


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_black_and_white_videos_stay_finite(level: float) -> None:
    flat = torch.full((2, 3, 24, 26), level)
    for image in enhance_video(flat, start=fine_tuning_start(QUICK)):
        assert image.isfinite().all()
        assert 0 < image.min() <= image.max() <= 1


def test_one_frame_and_odd_sizes_do() -> None:
    (image,) = enhance_video(dark_clip(1, (23, 37)), start=fine_tuning_start(QUICK))
    assert image.shape == (3, 23, 37)


def test_bad_frame_leaves_the_state_as_it_was() -> None:
    enhancer = Enhancer(ZeroTIG())
    frames = dark_clip()
    enhancer(frames[0])
    state = enhancer.state
    with pytest.raises(ShapeError, match="finite"):
        enhancer(torch.full_like(frames[1], float("nan")))
    assert enhancer.state is state


def test_empty_video_is_refused() -> None:
    with pytest.raises(DataMissing, match="at least one frame"):
        next(enhance_video([], start=fine_tuning_start(QUICK)))
