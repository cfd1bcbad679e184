"""Algorithm 2: reference results, streaming, window at the clip's ends, memory, masks and bad input."""

import itertools

import pytest
import torch

from lib.context_fusion import VideoFuser, VideoSettings, clean_mask, fuse_video, median_background, motion_mask
from lib.errors import ShapeError, SpecError


def moving_square(num_frames=14, size=(20, 30)):
    """A dark clip with a bright square that moves two pixels a frame, and a day picture."""
    generator = torch.Generator().manual_seed(0)
    day = 0.3 + 0.4 * torch.rand(3, *size, generator=generator)
    clip = (0.1 * day).repeat(num_frames, 1, 1, 1)
    for index, frame in enumerate(clip):
        frame[:, 8:12, 2 * index % (size[1] - 4) : 2 * index % (size[1] - 4) + 4] = 0.6
    return clip, day


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", ["raw", "processed"])
def test_agrees_with_the_reference_cases(golden, name, dtype):
    data = golden("fusion/fusion.npz")
    clip = torch.from_numpy(data["night_clip"]).permute(0, 3, 1, 2).to(dtype) / 255
    day = torch.from_numpy(data["day"]).permute(2, 0, 1).to(dtype) / 255
    fusion = fuse_video(clip, day, settings=VideoSettings(susan_passes=0, clean_masks=name == "processed"))
    weight = torch.from_numpy(data[f"alg2_Wprime_{name}"])
    torch.testing.assert_close(fusion.importance.double(), weight, rtol=0, atol=1e-6)
    # stored as float32 of 0..255 and not clipped
    tolerance = 2e-5 if dtype == torch.float64 else 0.02
    for index in (0, 6, 12):
        expected = torch.from_numpy(data[f"alg2_{name}_out{index}"]).permute(2, 0, 1).double().clamp(0, 255)
        torch.testing.assert_close(fusion.image[index].double() * 255, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("name", ["raw", "processed"])
def test_motion_masks_agree_with_the_reference(golden, name):
    data = golden("fusion/fusion.npz")
    clip = torch.from_numpy(data["night_clip"]).permute(0, 3, 1, 2).double() / 255
    for index in range(1, len(clip)):
        mask = motion_mask(clip[index], clip[index - 1], threshold=20, difference="intensity")
        mask = clean_mask(mask) if name == "processed" else mask
        assert torch.equal(mask, torch.from_numpy(data[f"alg2_M_{name}"][index]).bool())


def test_median_background_agrees_with_the_reference(golden):
    data = golden("fusion/fusion.npz")
    clip = torch.from_numpy(data["night_clip"]).permute(0, 3, 1, 2).double()
    for name, frames in (("median_day", clip), ("median_day_even", clip[:12])):
        expected = torch.from_numpy(data[name]).permute(2, 0, 1)
        torch.testing.assert_close(median_background(frames), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("num_frames", [1, 2, 3, 6, 14])
@pytest.mark.parametrize(("half_window", "passes"), [(0, 0), (1, 0), (5, 0), (0, 1), (2, 2)])
def test_stream_equals_the_whole_clip_and_is_late_by_its_latency(num_frames, half_window, passes):
    clip, day = moving_square(num_frames)
    settings = VideoSettings(half_window=half_window, susan_passes=passes)
    whole = fuse_video(clip, day, settings=settings)
    fuser = VideoFuser(day, settings)
    for _ in range(2):  # a fuser can be used again after flush
        pushed = [fuser.push(frame) for frame in clip]
        assert [fusion is None for fusion in pushed] == [index < fuser.latency for index in range(num_frames)]
        streamed = [fusion for fusion in pushed if fusion is not None] + list(fuser.flush())
        assert torch.equal(torch.stack([fusion.image for fusion in streamed]), whole.image)
        assert torch.equal(torch.stack([fusion.importance for fusion in streamed]), whole.importance)


def test_importance_is_the_mean_of_the_masks_that_are_there():
    clip, day = moving_square(9)
    settings = VideoSettings(half_window=2, susan_passes=0, clean_masks=False)
    masks = [motion_mask(b, a, threshold=20, difference="intensity").float() for a, b in itertools.pairwise(clip)]
    masks = torch.stack([masks[0], *masks])
    importance = fuse_video(clip, day, settings=settings).importance
    for index in range(9):
        window = masks[max(0, index - 2) : index + 3]
        torch.testing.assert_close(importance[index], window.mean(0))


def test_still_clip_has_no_importance_and_its_target_is_the_day():
    clip, day = moving_square(1)
    fusion = fuse_video(clip.repeat(4, 1, 1, 1), day)
    assert fusion.importance.sum() == 0
    torch.testing.assert_close(fusion.target, day.expand(4, -1, -1, -1))


def test_stream_holds_a_bounded_number_of_frames():
    clip, day = moving_square(3)
    fuser = VideoFuser(day, VideoSettings(half_window=2, susan_passes=1))
    counts = []
    for index in range(60):
        fuser.push(clip[index % 3])
        counts.append(len(fuser._waiting) + len(fuser._masks) + len(fuser._raw))
    assert max(counts[10:]) == counts[10]


def test_settings_change_what_they_say():
    clip, day = moving_square()
    plain = fuse_video(clip, day, settings=VideoSettings(susan_passes=0))
    gated = fuse_video(clip, day, settings=VideoSettings(susan_passes=0, gradient_gate=True, gradient_threshold=255))
    assert gated.importance.sum() == 0 < plain.importance.sum()
    by_gradient = fuse_video(clip, day, settings=VideoSettings(susan_passes=0, difference="gradient"))
    assert by_gradient.importance.sum() > 0
    steady = fuse_video(clip, day, settings=VideoSettings(susan_passes=0, fit_memory=0.9))
    assert torch.equal(steady.image[0], plain.image[0])
    assert not torch.equal(steady.image[5], plain.image[5])
    raw = fuse_video(clip, day, settings=VideoSettings(susan_passes=1, gradient_source="raw"))
    assert not torch.equal(raw.image, fuse_video(clip, day, settings=VideoSettings(susan_passes=1)).image)
    tolerant = fuse_video(clip, day, settings=VideoSettings(susan_passes=0, zero_tolerance=1.0))
    assert not torch.equal(tolerant.image, plain.image)
    paper = fuse_video(clip, day, settings=VideoSettings.paper())
    assert paper.image.shape == clip.shape


def test_cleaned_mask_drops_single_pixels_and_grows_the_rest():
    mask = torch.zeros(20, 20, dtype=torch.bool)
    mask[3, 3] = True
    mask[10:13, 10:13] = True
    cleaned = clean_mask(mask)
    assert not cleaned[:8, :8].any()
    assert cleaned[9:14, 9:14].all()
    assert not cleaned[:, 16:].any()


def test_median_background_leaves_out_what_moves_and_thins_long_clips():
    clip, day = moving_square(13)
    assert torch.allclose(median_background(clip), 0.1 * day)
    assert torch.allclose(median_background(frame for frame in clip.repeat(40, 1, 1, 1)), 0.1 * day)
    assert torch.equal(median_background(clip[:2]), (clip[0] + clip[1]) / 2)
    with pytest.raises(ShapeError, match="at least one frame"):
        median_background([])


def test_every_device_agrees(device):
    clip, day = moving_square(8)
    on_device = fuse_video(clip.to(device), day.to(device)).image.cpu()
    # a mask pixel at its threshold may switch, which a picture in 0..1 shows as a small local change
    assert (on_device - fuse_video(clip, day).image).abs().mean() * 255 < 0.05


def test_bad_input_is_one_sentence():
    clip, day = moving_square(2)
    fuser = VideoFuser(day)
    with pytest.raises(ShapeError, match="share a grid"):
        fuser.push(clip[0][:, :-1])
    with pytest.raises(ShapeError, match="divide 8-bit"):
        fuser.push(clip[0] * 255)
    with pytest.raises(ShapeError, match="3 channels"):
        VideoFuser(day[:1])
    with pytest.raises(ShapeError, match="at least one frame"):
        fuse_video([], day)
    with pytest.raises(ShapeError, match="dtype and device"):
        fuser.push(clip[0].double())
    with pytest.raises(ShapeError, match="finite"):
        median_background([clip[0], clip[1] * float("nan")])
    with pytest.raises(ShapeError, match="share a grid"):
        median_background([clip[0], clip[1][:, :-1]])
    with pytest.raises(SpecError, match="at least 1"):
        median_background(clip, max_frames=0)
    for wrong in (
        {"half_window": 2.5},
        {"difference_threshold": float("inf")},
        {"half_window": -1},
        {"susan_sigma": 0},
        {"fit_memory": 1.0},
        {"difference": "colour"},
    ):
        with pytest.raises(SpecError):
            VideoSettings(**wrong)
