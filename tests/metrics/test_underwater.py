"""UIQM and UCIQE in each variant against the reference values, slow loops, and on pictures that are easy to judge."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lib.errors import ShapeError, SpecError
from lib.metrics import uciqe, uciqe_parts, uiqm, uiqm_parts

UCIQE_NAMES = {"float_lab": "recommended", "authors": "authors_style", "popular": "popular_port"}


def picture(height: int = 43, width: int = 57, *, seed: int = 0) -> Tensor:
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(seed))


def from_pixels(pixels: np.ndarray, device: torch.device, dtype: torch.dtype) -> Tensor:
    return torch.from_numpy(pixels).permute(2, 0, 1).to(device, dtype) / 255


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_uiqm_agrees_with_the_reference_values(
    golden: Callable[[str], Any], device: torch.device, dtype: torch.dtype
) -> None:
    images, results = golden("metrics/images.npz"), golden("metrics/results.json")["pairs"]
    for pair_idx, pair in enumerate(results):
        image = from_pixels(images[f"img{pair_idx}"], device, dtype)
        formula, port = pair["uiqm_formula_block8"], pair["uiqm_funie_port_block10"]
        ours = uiqm_parts(image)
        assert (ours.colourfulness, ours.sharpness, ours.contrast) == pytest.approx(
            (formula["uicm"], formula["uism"], formula["uiconm_negated"]), rel=1e-6
        )
        assert uiqm(image) == pytest.approx(formula["uiqm_with_negated"], rel=1e-6)
        ours = uiqm_parts(image, variant="funie")
        assert (ours.colourfulness, ours.sharpness, ours.contrast) == pytest.approx(
            (port["uicm"], port["uism"], port["uiconm"]), rel=1e-6
        )
        assert uiqm(image, variant="funie") == pytest.approx(port["uiqm"], rel=1e-6)
        reference = from_pixels(images[f"ref{pair_idx}"], device, dtype)
        assert uiqm(reference) == pytest.approx(pair["uiqm_formula_block8_of_ref"]["uiqm_with_negated"], rel=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("variant", UCIQE_NAMES)
def test_uciqe_agrees_with_the_reference_values(
    golden: Callable[[str], Any], device: torch.device, variant: Any, dtype: torch.dtype
) -> None:
    images, results = golden("metrics/images.npz"), golden("metrics/results.json")["pairs"]
    for pair_idx, pair in enumerate(results):
        for name, expected in (("img", pair["uciqe"]), ("ref", pair["uciqe_of_ref"])):
            image = from_pixels(images[f"{name}{pair_idx}"], device, dtype)
            wanted, parts = expected[UCIQE_NAMES[variant]], uciqe_parts(image, variant=variant)
            assert uciqe(image, variant=variant) == pytest.approx(wanted["uciqe"], rel=1e-6)
            # the popular contrast is a small difference of means of L, 0..100: 1e-6 is 1e-8 of their range
            assert (parts.chroma, parts.luminance, parts.saturation) == pytest.approx(
                (wanted["sigma_c"], wanted["con_l"], wanted["mu_s"]), rel=1e-6, abs=1e-6
            )


def test_block_terms_equal_a_loop_over_blocks() -> None:
    levels = (picture() * 255).round().double()
    image = levels / 255
    sums, total = 0.0, 0
    for top in range(0, 43 - 9, 10):
        for left in range(0, 57 - 9, 10):
            block = levels[:, top : top + 10, left : left + 10]
            share = float((block.max() - block.min()) / (block.max() + block.min()))
            sums += share * math.log(share)
            total += 1
    assert uiqm_parts(image, variant="funie").contrast == pytest.approx(-sums / total, rel=1e-9)


def test_sharpness_equals_scipy() -> None:
    from scipy import ndimage

    levels = (picture(40, 48) * 255).round().double()
    expected = 0.0
    for weight, channel in zip((0.299, 0.587, 0.114), levels.numpy(), strict=True):
        edges = channel * np.hypot(ndimage.sobel(channel, 0), ndimage.sobel(channel, 1))
        blocks = edges.reshape(5, 8, 6, 8).swapaxes(1, 2).reshape(30, 64)
        kept = blocks[blocks.min(1) > 0]
        expected += weight * 2 / 30 * np.log(kept.max(1) / kept.min(1)).sum()
    assert uiqm_parts(levels / 255).sharpness == pytest.approx(expected, rel=1e-6)


def test_colour_by_hand() -> None:
    red = torch.zeros(3, 16, 16)
    red[0] = 1
    # red - green = 255 and (red + green) / 2 - blue = 127.5, without any spread
    parts = uiqm_parts(red)
    assert parts.colourfulness == pytest.approx(-0.0268 * math.hypot(255, 127.5), rel=1e-6)
    assert (parts.sharpness, parts.contrast) == (0, 0)


@pytest.mark.parametrize("variant", ["formula", "funie"])
def test_blur_lowers_sharpness_and_fog_colourfulness(variant: Any) -> None:
    from lib.data.samples import sample_image

    image = sample_image("pagoda").image
    blurred = torch.nn.functional.avg_pool2d(image, 7, 1, 3, count_include_pad=False)
    assert uiqm_parts(blurred, variant=variant).sharpness < uiqm_parts(image, variant=variant).sharpness
    foggy = 0.3 + 0.4 * image
    assert uiqm_parts(foggy, variant=variant).colourfulness < uiqm_parts(image, variant=variant).colourfulness


def test_contrast_rises_up_to_a_share_of_1_over_e_and_falls_beyond() -> None:
    stripes = torch.tensor([0.0, 1.0]).repeat(20).expand(3, 40, 40)
    contrasts = [uiqm_parts(0.5 + half * (stripes - 0.5), variant="funie").contrast for half in (0.1, 0.36, 0.9)]
    assert contrasts[1] == pytest.approx(1 / math.e, rel=1e-3)
    assert contrasts[0] < contrasts[1] > contrasts[2]


@pytest.mark.parametrize("variant", ["float_lab", "popular"])
def test_fog_and_fading_colours_lower_uciqe(variant: Any) -> None:
    from lib.data.samples import sample_image

    image = sample_image("pagoda").image
    faded = 0.5 * image + 0.5 * image.mean(0, keepdim=True)
    assert uciqe(faded, variant=variant) < uciqe(image, variant=variant)
    assert uciqe(0.3 + 0.4 * image, variant=variant) < uciqe(image, variant=variant)


@pytest.mark.parametrize("level", [0.0, 0.4, 1.0])
def test_constant_pictures_have_finite_scores(level: float) -> None:
    flat = torch.full((3, 10, 12), level)
    for variant in ("formula", "funie"):
        assert uiqm(flat, variant=variant) == pytest.approx(0, abs=1e-6)
    for variant in ("float_lab", "popular"):
        assert uciqe(flat, variant=variant) == pytest.approx(0, abs=1e-3)
    assert math.isfinite(uciqe(flat, variant="authors"))


def test_a_video_gives_the_mean_of_its_frames() -> None:
    video = torch.stack([picture(seed=1), picture(seed=2) * 0.4])
    assert uiqm(video) == pytest.approx((uiqm(video[0]) + uiqm(video[1])) / 2)
    assert uciqe(video) == pytest.approx((uciqe(video[0]) + uciqe(video[1])) / 2)


def test_mirrored_pictures_score_the_same() -> None:
    image = picture(40, 80)
    for measure in (uiqm, uciqe):
        assert measure(image.flip(-1)) == pytest.approx(measure(image), rel=1e-6)


def test_one_pixel_is_enough_for_uciqe_only() -> None:
    pixel = torch.tensor([0.2, 0.5, 0.7]).view(3, 1, 1)
    for variant in UCIQE_NAMES:
        assert math.isfinite(uciqe(pixel, variant=variant))
    for variant, block in (("formula", 8), ("funie", 10)):
        with pytest.raises(ShapeError, match=f"at least {block} pixels"):
            uiqm(picture(block - 1, 40), variant=variant)


@pytest.mark.parametrize("measure", [uiqm, uciqe])
def test_bad_input_is_answered_in_one_sentence(measure: Callable[..., float]) -> None:
    image = picture()
    for wrong, complaint in (
        (image * float("nan"), "finite"),
        (image[:1], "RGB"),
        (image[..., :0], "at least one pixel"),
        ((image * 255).byte(), "float tensor"),
    ):
        with pytest.raises(ShapeError, match=complaint):
            measure(wrong)
    with pytest.raises(SpecError, match="variant must be one of"):
        measure(image, variant="best")


def test_parts_take_one_picture() -> None:
    for parts in (uiqm_parts, uciqe_parts):
        with pytest.raises(ShapeError, match="one picture"):
            parts(torch.stack([picture(), picture()]))
