"""SUSAN: reference values, the slow definition, streaming, borders, and the median of pixels that stand alone."""

import numpy as np
import pytest
import torch

from lib.context_fusion import SusanFilter, susan_smooth
from lib.context_fusion.speed import numpy_susan
from lib.errors import ShapeError, SpecError


def clip(*shape, dtype=torch.float64, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-8), (torch.float32, 2e-4)])
def test_agrees_with_the_reference_cases(golden, dtype, tolerance):
    data = golden("fusion/fusion.npz")
    video = torch.from_numpy(data["susan_clip"]).permute(0, 3, 1, 2).to(dtype) / 255
    results = {
        "susan_red_channel_1pass": susan_smooth(video[:, :1])[:, 0],
        "susan_red_sigma1p5_t12": susan_smooth(video[:, :1], sigma=1.5, threshold=12)[:, 0],
        "susan_rgb_joint_1pass": susan_smooth(video).permute(0, 2, 3, 1),
        "susan_rgb_joint_3pass": susan_smooth(video, passes=3).permute(0, 2, 3, 1),
    }
    for name, result in results.items():
        expected = torch.from_numpy(data[name])
        torch.testing.assert_close(result.double() * 255, expected, rtol=0, atol=tolerance, msg=name)


@pytest.mark.parametrize("num_frames", [1, 2, 3, 4, 9])
@pytest.mark.parametrize("size", [(1, 1), (1, 6), (5, 1), (7, 8)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equals_the_definition_on_short_and_thin_clips(num_frames, size, dtype):
    video = 0.4 + 0.2 * clip(num_frames, *size)
    if num_frames < 2:  # numpy's symmetric padding repeats a single frame, as the filter does
        assert np.pad([1, 2], 2, mode="symmetric").tolist() == [2, 1, 1, 2, 2, 1]
    expected = torch.from_numpy(numpy_susan(video.numpy()))
    result = susan_smooth(video[:, None].to(dtype))[:, 0]
    torch.testing.assert_close(result.double(), expected, rtol=0, atol=1e-10 if dtype == torch.float64 else 1e-6)


def test_compiled_and_tensor_forms_agree():
    video = clip(6, 3, 20, 30)
    torch.testing.assert_close(susan_smooth(video.float()).double(), susan_smooth(video), rtol=0, atol=1e-6)


def test_constant_clip_stays_and_noise_shrinks():
    assert torch.allclose(susan_smooth(torch.full((4, 3, 8, 8), 0.3)), torch.tensor(0.3))
    noisy = 0.5 + 0.02 * torch.randn(9, 1, 40, 40, generator=torch.Generator().manual_seed(1))
    assert susan_smooth(noisy).std() < 0.35 * noisy.std()


def test_step_of_many_thresholds_survives():
    video = torch.zeros(5, 1, 8, 8)
    video[..., 4:] = 1.0
    assert torch.allclose(susan_smooth(video), video, atol=1e-6)


def test_pixel_unlike_its_neighbours_takes_their_median():
    video = clip(5, 1, 5, 5, dtype=torch.float32) * 0.02
    video[2, 0, 2, 2] = 1.0
    around = torch.cat([video[:, 0, 1:4, 1:4].flatten()[:22], video[:, 0, 1:4, 1:4].flatten()[23:]])
    expected = around.sort().values[21:23].mean()
    assert susan_smooth(video)[2, 0, 2, 2] == pytest.approx(float(expected), abs=1e-7)


def test_stream_gives_frames_two_late_and_can_be_used_again():
    frames = clip(7, 3, 6, 5, dtype=torch.float32)
    susan = SusanFilter(sigma=15, threshold=20)
    whole = susan_smooth(frames)
    for _ in range(2):
        pushed = [susan.push(frame) for frame in frames]
        assert [frame is None for frame in pushed] == [True, True] + [False] * 5
        streamed = [frame for frame in pushed if frame is not None] + list(susan.flush())
        assert torch.equal(torch.stack(streamed), whole)


def test_time_reversal_and_mirror_commute_with_the_filter():
    video = clip(6, 1, 9, 8)
    torch.testing.assert_close(susan_smooth(video.flip(0)), susan_smooth(video).flip(0))
    torch.testing.assert_close(susan_smooth(video.flip(3)), susan_smooth(video).flip(3))


def test_every_device_agrees(device):
    video = clip(5, 3, 12, 10, dtype=torch.float32)
    torch.testing.assert_close(susan_smooth(video.to(device)).cpu(), susan_smooth(video), rtol=0, atol=1e-5)


def test_bad_input_is_one_sentence():
    with pytest.raises(ShapeError, match="4 axes"):
        susan_smooth(torch.zeros(3, 4, 4))
    with pytest.raises(ShapeError, match="finite"):
        susan_smooth(torch.full((2, 1, 4, 4), float("nan")))
    with pytest.raises(SpecError, match="above 0"):
        susan_smooth(torch.zeros(2, 1, 4, 4), threshold=0)
    with pytest.raises(SpecError, match="passes"):
        susan_smooth(torch.zeros(2, 1, 4, 4), passes=-1)
    susan = SusanFilter(sigma=15, threshold=20)
    susan.push(torch.zeros(1, 4, 4))
    with pytest.raises(ShapeError, match="every frame"):
        susan.push(torch.zeros(1, 4, 5))
