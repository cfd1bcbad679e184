"""Histogram matching against scikit-image, the reference pictures, and by hand."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lib.errors import ShapeError
from lib.metrics import match_histogram


def picture(height: int = 24, width: int = 31, *, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize("joint", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("levels", [4, 255, None])
def test_equals_scikit_image(device: torch.device, joint: bool, dtype: torch.dtype, levels: int | None) -> None:
    from skimage.exposure import match_histograms

    image, reference = picture(dtype=dtype) * 0.3 - 0.1, picture(17, 12, seed=1, dtype=dtype) ** 2
    if levels is not None:
        image, reference = (image * levels).round() / levels, (reference * levels).round() / levels
    ours = match_histogram(image.to(device), reference.to(device), joint=joint)
    oracle = match_histograms(image.numpy(), reference.numpy(), channel_axis=None if joint else 0)
    assert (ours.dtype, ours.device.type) == (dtype, device.type)
    assert np.abs(ours.cpu().numpy() - oracle).max() <= (1e-12 if dtype == torch.float64 else 1e-7)


def test_agrees_with_the_reference_pictures(golden: Callable[[str], Any], device: torch.device) -> None:
    images = golden("metrics/images.npz")
    for pair_idx in range(6):
        image, reference = (
            torch.from_numpy(images[f"{name}{pair_idx}"]).permute(2, 0, 1).to(device, torch.float64) / 255
            for name in ("img", "ref")
        )
        joint = (255 * match_histogram(image, reference)).round()
        # the per-channel pictures were made from 8-bit ones, which scikit-image truncates
        separate = (255 * match_histogram(image, reference, joint=False) + 1e-9).floor()
        for ours, kind in ((joint, "joint"), (separate, "per_channel")):
            expected = torch.from_numpy(images[f"img{pair_idx}_hm_{kind}"]).permute(2, 0, 1)
            assert torch.equal(ours.cpu().to(torch.uint8), expected)


def test_by_hand() -> None:
    image = torch.tensor([0.1, 0.2, 0.2, 0.9]).view(1, 2, 2).expand(3, -1, -1)
    reference = torch.tensor([0.5, 0.6, 0.7, 0.8]).view(1, 2, 2).expand(3, -1, -1)
    # a quarter of the image is at most 0.1, three quarters at most 0.2
    expected = torch.tensor([0.5, 0.7, 0.7, 0.8]).view(1, 2, 2).expand(3, -1, -1)
    assert torch.allclose(match_histogram(image, reference), expected)


def test_a_picture_matches_itself_and_any_rising_curve_is_undone() -> None:
    image = picture(dtype=torch.float64)
    assert torch.allclose(match_histogram(image, image), image, atol=1e-12)
    assert torch.allclose(match_histogram(0.1 + 0.2 * image**3, image), image, atol=1e-12)


def test_joint_keeps_the_order_of_the_colours_and_per_channel_takes_a_cast_out() -> None:
    reference = picture(dtype=torch.float64)
    cast = reference * reference.new_tensor([0.2, 0.5, 1.0]).view(3, 1, 1)
    assert torch.allclose(match_histogram(cast, reference, joint=False), reference, atol=1e-12)
    flat = match_histogram(cast, reference).flatten()
    assert (flat[cast.flatten().argsort()].diff() >= 0).all()


def test_frames_are_matched_one_by_one() -> None:
    video, references = torch.stack([picture(seed=1), picture(seed=2) * 0.1]), torch.stack([picture(seed=3)] * 2) ** 2
    matched = match_histogram(video, references)
    assert torch.equal(matched, match_histogram(video, references[0]))
    for frame, expected in zip(matched, video, strict=True):
        assert torch.equal(frame, match_histogram(expected, references[0]))


def test_constant_pictures_and_single_pixels() -> None:
    constant, reference = torch.full((3, 5, 7), 0.3), picture()
    assert torch.equal(match_histogram(constant, reference), torch.full_like(constant, float(reference.max())))
    assert torch.equal(match_histogram(reference, constant), torch.full_like(reference, 0.3))
    pixel = torch.tensor([0.1, 0.2, 0.3]).view(3, 1, 1)
    assert match_histogram(pixel, reference).shape == pixel.shape


def test_zeros_of_both_signs_are_one_value() -> None:
    zeros = torch.tensor([0.0, -0.0, 0.0, -0.0]).view(1, 2, 2).expand(3, -1, -1)
    assert match_histogram(zeros, picture()).unique().numel() == 1


def test_inputs_stay_and_no_gradient_is_kept() -> None:
    image = picture().requires_grad_()
    before = image.detach().clone()
    assert not match_histogram(image, picture(seed=1)).requires_grad
    assert torch.equal(image, before)


def test_half_precision_keeps_its_type() -> None:
    assert match_histogram(picture().half(), picture(seed=1).half()).dtype == torch.float16


def test_bad_input_is_answered_in_one_sentence() -> None:
    image = picture()
    for wrong, complaint in (
        (image * float("nan"), "finite"),
        (image[:1], "RGB"),
        (image[:, :0], "at least one pixel"),
        ((image * 255).byte(), "float tensor"),
        (image.double(), "share dtype"),
    ):
        with pytest.raises(ShapeError, match=complaint):
            match_histogram(image, wrong)
    with pytest.raises(ShapeError, match="one picture or one a frame"):
        match_histogram(image.expand(3, -1, -1, -1), image.expand(2, -1, -1, -1))
