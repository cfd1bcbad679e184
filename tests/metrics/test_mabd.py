"""MABD by hand, against the reference values, and what its mask and bad clips do."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from lib.errors import ShapeError, SpecError
from lib.metrics import flicker, mabd, mabd_error, mabd_variance, moving_average


def clip(num_frames: int = 5, *, seed: int = 0) -> Tensor:
    return torch.rand(num_frames, 3, 9, 13, generator=torch.Generator().manual_seed(seed))


def grey(*levels: float) -> Tensor:
    return torch.tensor(levels).view(-1, 1, 1, 1).expand(-1, 3, 4, 6) / 255


def test_agrees_with_the_reference_values(golden: Callable[[str], Any], device: torch.device) -> None:
    images, expected = golden("metrics/images.npz"), golden("metrics/results.json")["mabd"]
    result, reference = (
        torch.from_numpy(images[name]).permute(0, 3, 1, 2).to(device).float() / 255
        for name in ("mabd_clip", "mabd_clip_ref")
    )
    ours, theirs = mabd(result), mabd(reference)
    assert ours.device.type == device.type
    assert ours.tolist() == pytest.approx(expected["mabd"], rel=1e-6)
    assert theirs.tolist() == pytest.approx(expected["mabd_ref"], rel=1e-6)
    assert moving_average(ours).tolist() == pytest.approx(expected["moving_average15_valid"], rel=1e-6)
    assert mabd_error(ours, theirs) == pytest.approx(expected["mse_between_vectors"], rel=1e-6)
    assert mabd_variance(ours) == pytest.approx(expected["variance"], rel=1e-6)
    assert mabd_variance(theirs) == pytest.approx(expected["variance_ref"], rel=1e-6)


def test_by_hand() -> None:
    assert mabd(grey(10, 30, 25)).tolist() == pytest.approx([20, 5])
    red = torch.zeros(2, 3, 4, 6)
    red[1, 0] = 1
    assert mabd(red).tolist() == pytest.approx([0.299 * 255])


def test_a_constant_clip_does_not_change() -> None:
    still = mabd(grey(7, 7, 7))
    assert still.tolist() == [0, 0]
    assert mabd_variance(still) == 0
    assert mabd_error(still, still) == 0


def test_turned_round_it_is_the_same_turned_round() -> None:
    video = clip()
    assert torch.allclose(mabd(video.flip(0)), mabd(video).flip(0))
    assert torch.allclose(mabd(video.flip(-1)), mabd(video))


def test_frames_may_come_one_by_one() -> None:
    def stream() -> Iterator[Tensor]:
        yield from clip()

    assert torch.equal(mabd(stream()), mabd(clip()))


def test_still_areas_count_where_they_are_still_in_both_frames() -> None:
    video = grey(10, 20, 40).clone()
    video[1, :, :, 3:] = 1.0
    left = torch.zeros(4, 6, dtype=torch.bool)
    left[:, :3] = True
    assert mabd(video, mask=left).tolist() == pytest.approx([10, 20])
    moving = left.repeat(3, 1, 1)
    moving[0, :, :2] = False
    video[:2, :, :, :2] = 0.5
    assert mabd(video, mask=moving)[0].item() == pytest.approx(10)
    assert mabd(video, mask=torch.ones(4, 6, dtype=torch.bool)).tolist() == pytest.approx(mabd(video).tolist())


def test_over_still_areas_its_mean_is_the_flicker() -> None:
    video, mask = clip(), torch.rand(9, 13, generator=torch.Generator().manual_seed(3)) > 0.5
    assert mabd(video, mask=mask).mean().item() == pytest.approx(flicker(video, still=mask))


def test_moving_average_by_hand() -> None:
    values = torch.tensor([1.0, 2, 3, 6])
    assert moving_average(values, window=2).tolist() == [1.5, 2.5, 4.5]
    assert moving_average(values, window=4).tolist() == [3]
    assert torch.equal(moving_average(values, window=1), values)


def test_bad_clips_are_answered_in_one_sentence() -> None:
    video = clip()
    for frames, complaint in (
        (video[:1], "at least two"),
        (video[:0], "at least two"),
        (video * float("nan"), "finite"),
        (video[:, :1], "RGB"),
        (video.unsqueeze(0), "not a batch"),
        ([video[0], video[0, :, 1:]], "one size"),
    ):
        with pytest.raises(ShapeError, match=complaint):
            mabd(frames)


def test_bad_masks_are_answered_in_one_sentence() -> None:
    video, everything = clip(), torch.ones(9, 13, dtype=torch.bool)
    with pytest.raises(ShapeError, match="bool"):
        mabd(video, mask=everything.float())
    with pytest.raises(ShapeError, match="empty mask"):
        mabd(video, mask=~everything)
    with pytest.raises(ShapeError, match="4 masks for a longer video"):
        mabd(video, mask=everything.expand(4, -1, -1))
    alternating = everything.repeat(5, 1, 1)
    alternating[::2, :5], alternating[1::2, 5:] = False, False
    with pytest.raises(ShapeError, match="frames 0 and 1 both"):
        mabd(video, mask=alternating)


def test_bad_vectors_are_answered_in_one_sentence() -> None:
    values = torch.arange(4.0)
    for window in (0, 5):
        with pytest.raises(SpecError, match=r"within 1\.\.4"):
            moving_average(values, window=window)
    with pytest.raises(ShapeError, match="one length: got 4 and 3"):
        mabd_error(values, values[:3])
    for wrong in (values[:0], values.view(2, 2), values * float("nan")):
        with pytest.raises(ShapeError, match="one finite number a frame pair"):
            mabd_variance(wrong)


def test_no_gradient_is_kept() -> None:
    assert not mabd(clip().requires_grad_()).requires_grad
