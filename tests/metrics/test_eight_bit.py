"""PSNR and SSIM of Table I against scikit-image, torchmetrics and the reference values."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lib.errors import ShapeError
from lib.metrics import (
    PSNR_8BIT,
    PSNR_8BIT_HM,
    SSIM_8BIT,
    SSIM_8BIT_HM,
    Measure,
    match_histogram,
    psnr_8bit,
    ssim_8bit,
)


def picture(height: int = 24, width: int = 31, *, seed: int = 0) -> Tensor:
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(seed))


def stored(image: Tensor) -> np.ndarray:
    return np.round(image.clamp(0, 1).permute(1, 2, 0).numpy() * 255).astype(np.uint8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_agree_with_the_reference_values(
    golden: Callable[[str], Any], device: torch.device, dtype: torch.dtype
) -> None:
    images, results = golden("metrics/images.npz"), golden("metrics/results.json")["pairs"]
    assert len(results) == 6
    for pair_idx, expected in enumerate(results):
        result, reference, matched = (
            torch.from_numpy(images[name]).permute(2, 0, 1).to(device, dtype) / 255
            for name in (f"img{pair_idx}", f"ref{pair_idx}", f"img{pair_idx}_hm_joint")
        )
        assert psnr_8bit(result, reference) == pytest.approx(expected["psnr"], rel=1e-6)
        assert ssim_8bit(result, reference) == pytest.approx(expected["ssim_skimage_default"], rel=1e-6)
        assert psnr_8bit(matched, reference) == pytest.approx(expected["psnr_hm_joint"], rel=1e-6)
        assert ssim_8bit(matched, reference) == pytest.approx(expected["ssim_skimage_default_hm_joint"], rel=1e-6)
        if dtype == torch.float64:
            ours = match_histogram(result, reference)
            assert psnr_8bit(ours, reference) == pytest.approx(expected["psnr_hm_joint"], rel=1e-6)


@pytest.mark.parametrize("size", [(7, 7), (7, 40), (24, 31)])
def test_equal_scikit_image(size: tuple[int, int]) -> None:
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    for scale in (1.0, 0.02, 1.3):
        reference = picture(*size)
        result = scale * (0.7 * reference + 0.3 * picture(*size, seed=1))
        a, b = stored(result), stored(reference)
        assert psnr_8bit(result, reference) == pytest.approx(peak_signal_noise_ratio(b, a), rel=1e-9)
        assert ssim_8bit(result, reference) == pytest.approx(structural_similarity(b, a, channel_axis=-1), abs=2e-7)


def test_psnr_equals_torchmetrics() -> None:
    from torchmetrics.functional.image import peak_signal_noise_ratio

    result, reference = picture(seed=1), picture(seed=2)
    a, b = (torch.from_numpy(stored(it)).double() for it in (result, reference))
    assert psnr_8bit(result, reference) == pytest.approx(float(peak_signal_noise_ratio(a, b, data_range=255.0)))


def test_what_an_eight_bit_file_cannot_hold_does_not_count() -> None:
    levels = (picture() * 253 + 1).round() / 255
    assert psnr_8bit(levels + 0.4 / 255, levels) == float("inf")
    assert ssim_8bit(levels + 0.4 / 255, levels) == 1.0
    assert psnr_8bit(levels.round() * 9 - 4, levels.round()) == float("inf")


def test_by_hand() -> None:
    reference = torch.zeros(3, 8, 8)
    assert psnr_8bit(reference + 51 / 255, reference) == pytest.approx(20 * np.log10(5), rel=1e-9)
    grey = 51.0**2
    assert ssim_8bit(reference + 51 / 255, reference) == pytest.approx(2.55**2 / (grey + 2.55**2), rel=1e-6)


def test_a_video_scores_the_mean_of_its_frames() -> None:
    video, reference = torch.stack([picture(seed=seed) for seed in range(3)]), picture(seed=9)
    for measure in (psnr_8bit, ssim_8bit):
        mean = sum(measure(frame, reference) for frame in video) / 3
        assert measure(video, reference) == pytest.approx(mean, rel=1e-6)
        assert measure(video, reference.expand_as(video)) == pytest.approx(mean, rel=1e-6)


@pytest.mark.parametrize("measure", [psnr_8bit, ssim_8bit])
def test_bad_input_is_answered_in_one_sentence(measure: Callable[..., float]) -> None:
    image = picture()
    with pytest.raises(ShapeError, match="share a grid"):
        measure(image, image[..., 1:])
    with pytest.raises(ShapeError, match="finite"):
        measure(image * float("nan"), image)
    with pytest.raises(ShapeError, match="float tensor"):
        measure((image * 255).byte(), image)
    with pytest.raises(ShapeError, match="at least one pixel"):
        measure(image[..., :0], image[..., :0])


def test_ssim_says_when_no_window_fits() -> None:
    with pytest.raises(ShapeError, match="at least 7 pixels"):
        ssim_8bit(picture(6, 40), picture(6, 40))


@pytest.mark.parametrize("measure", [PSNR_8BIT, PSNR_8BIT_HM, SSIM_8BIT, SSIM_8BIT_HM], ids=lambda it: it.name)
def test_the_protocols_are_those_of_table_1(measure: Measure) -> None:
    from lib.bench.published import load_tables

    cells = [cell for table in load_tables("zero_tig") for cell in table.cells if cell.column == measure.name]
    assert cells
    assert {(cell.unit, cell.better, cell.protocol) for cell in cells} == {
        (measure.unit, measure.better, measure.protocol)
    }
