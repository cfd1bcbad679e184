"""PSNR and SSIM against the reference values and by hand."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from lib.errors import ShapeError
from lib.metrics import psnr, ssim

NUM_GOLDEN_PAIRS = 6


def picture(height: int = 24, width: int = 31, *, seed: int = 0) -> Tensor:
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def golden_picture(images: Any, name: str, device: torch.device, dtype: torch.dtype) -> Tensor:
    return torch.from_numpy(images[name]).permute(2, 0, 1).to(device, dtype) / 255


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_agree_with_the_reference_values(
    golden: Callable[[str], Any], device: torch.device, dtype: torch.dtype
) -> None:
    images, results = golden("metrics/images.npz"), golden("metrics/results.json")["pairs"]
    assert len(results) == NUM_GOLDEN_PAIRS
    for pair_idx, expected in enumerate(results):
        result = golden_picture(images, f"img{pair_idx}", device, dtype)
        reference = golden_picture(images, f"ref{pair_idx}", device, dtype)
        matched = golden_picture(images, f"img{pair_idx}_hm_joint", device, dtype)
        assert psnr(result, reference) == pytest.approx(expected["psnr"], rel=1e-6)
        assert psnr(matched, reference) == pytest.approx(expected["psnr_hm_joint"], rel=1e-6)
        assert ssim(result, reference) == pytest.approx(expected["ssim_wang_rgb"], rel=1e-6)


def test_equal_pictures_score_best() -> None:
    image = picture()
    assert psnr(image, image) == float("inf")
    assert ssim(image, image) == pytest.approx(1.0, abs=1e-12)


def test_psnr_by_hand() -> None:
    image = torch.full((3, 2, 2), 0.5)
    assert psnr(image + 0.1, image) == pytest.approx(20.0, abs=1e-5)


def test_masks_choose_the_pixels_that_count() -> None:
    reference = picture(40, 48)
    result = reference.clone()
    result[:, :, 24:] = 1 - result[:, :, 24:]
    left = torch.zeros(40, 48, dtype=torch.bool)
    left[:, :19] = True
    assert psnr(result, reference, mask=left) == float("inf")
    assert ssim(result, reference, mask=left) == pytest.approx(1.0, abs=1e-9)
    assert psnr(result, reference, mask=~left) < psnr(result, reference)
    assert ssim(result, reference, mask=~left) < ssim(result, reference)


def test_full_mask_changes_nothing() -> None:
    result, reference = picture(seed=1), picture(seed=2)
    everything = torch.ones(24, 31, dtype=torch.bool)
    assert psnr(result, reference, mask=everything) == pytest.approx(psnr(result, reference), rel=1e-12)
    assert ssim(result, reference, mask=everything) == pytest.approx(ssim(result, reference), rel=1e-12)


def test_a_video_scores_like_its_frames() -> None:
    video = torch.stack([picture(seed=seed) for seed in range(3)])
    reference = picture(seed=9)
    assert ssim(video, reference) == pytest.approx(sum(ssim(frame, reference) for frame in video) / 3, rel=1e-12)
    errors = [10 ** (-psnr(frame, reference) / 10) for frame in video]
    assert 10 ** (-psnr(video, reference) / 10) == pytest.approx(sum(errors) / 3, rel=1e-9)


def test_both_are_symmetric_and_keep_their_inputs() -> None:
    first, second = picture(seed=1), picture(seed=2)
    before = first.clone()
    assert psnr(first, second) == pytest.approx(psnr(second, first))
    assert ssim(first, second) == pytest.approx(ssim(second, first))
    assert torch.equal(first, before)


@pytest.mark.parametrize("measure", [psnr, ssim])
def test_bad_input_is_answered_in_one_sentence(measure: Callable[..., float]) -> None:
    image = picture()
    with pytest.raises(ShapeError, match="share a grid"):
        measure(image, image[..., 1:])
    with pytest.raises(ShapeError, match="RGB"):
        measure(image[:1], image[:1])
    with pytest.raises(ShapeError, match="finite"):
        measure(image * float("nan"), image)
    with pytest.raises(ShapeError, match="float tensor"):
        measure((image * 255).byte(), image)
    with pytest.raises(ShapeError, match="empty mask"):
        measure(image, image, mask=torch.zeros(24, 31, dtype=torch.bool))
    with pytest.raises(ShapeError, match="bool"):
        measure(image, image, mask=torch.ones(24, 31))
    with pytest.raises(ShapeError, match="one picture for all"):
        measure(image.expand(3, -1, -1, -1), image.expand(2, -1, -1, -1))


def test_ssim_says_when_no_window_fits() -> None:
    with pytest.raises(ShapeError, match="at least 11 pixels"):
        ssim(picture(10, 40), picture(10, 40))
    corner = torch.zeros(24, 31, dtype=torch.bool)
    corner[0, 0] = True
    with pytest.raises(ShapeError, match="no whole SSIM window"):
        ssim(picture(), picture(), mask=corner)
