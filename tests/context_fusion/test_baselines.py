"""Baselines: against the reference values, by hand, and ranked by the measures as their failures are named."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lib.context_fusion.baselines import average, gradient_maximum, importance_blend, maximum, seamless_clone
from lib.errors import ShapeError, SpecError
from lib.metrics import contrast_kept, ghosting, seam_energy
from lib.solvers.poisson import gradient


def picture(seed: int, height: int = 32, width: int = 40) -> Tensor:
    coarse = torch.rand(1, 3, 9, 11, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(coarse, (height, width), mode="bicubic", align_corners=False)[0].clamp(0, 1)


def golden_picture(name: str, golden: Callable[[str], Any], frame_idx: int | None = None) -> Tensor:
    pixels = golden("fusion/fusion.npz")[name]
    pixels = pixels if frame_idx is None else pixels[frame_idx]
    return torch.from_numpy(pixels).permute(2, 0, 1).float() / 255


def box_mask(height: int, width: int, top: int, left: int, bottom: int, right: int) -> Tensor:
    mask = torch.zeros(height, width, dtype=torch.bool)
    mask[top:bottom, left:right] = True
    return mask


@pytest.mark.parametrize("mode", ["mixed", "normal", "monochrome"])
def test_seamless_clone_agrees_with_the_reference(golden: Callable[[str], Any], mode: Any) -> None:
    fusion = golden("fusion/fusion.npz")
    night_frame = golden("fusion/fusion.json")["alg1"]["night_frame_index"]
    night, day = golden_picture("night_clip", golden, night_frame), golden_picture("day", golden)
    mask = torch.from_numpy(fusion["opencv_mask"] > 0)
    if mode != "mixed":
        # OpenCV 5 rewrites the mask that it is given: the reference's other two calls saw the whole rectangle
        rows, columns = mask.any(1).nonzero().flatten(), mask.any(0).nonzero().flatten()
        mask = box_mask(*mask.shape, int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)
    expected = fusion["opencv_mono" if mode == "monochrome" else f"opencv_{mode}"]
    result = seamless_clone(night, day, mask, mode=mode)
    np.testing.assert_array_equal((result * 255).round().permute(1, 2, 0).byte().numpy(), expected)


def test_seamless_clone_leaves_its_inputs_and_the_outside_alone() -> None:
    night, day = picture(1), picture(2)
    mask = box_mask(32, 40, 8, 9, 24, 30)
    before = night.clone(), day.clone(), mask.clone()
    result = seamless_clone(night, day, mask)
    assert all(torch.equal(old, new) for old, new in zip(before, (night, day, mask), strict=True))
    assert float((result - day)[:, ~mask].abs().max()) <= 0.5 / 255 + 1e-6


@pytest.mark.parametrize("box", [(0, 0, 8, 9), (0, 0, 9, 8), (11, 20, 32, 40), (12, 21, 32, 40), (0, 0, 32, 40)])
def test_a_mask_at_the_border_does_not_shift_the_clone(box: tuple[int, int, int, int]) -> None:
    day = picture(3)
    cloned = seamless_clone(day, day, box_mask(32, 40, *box), mode="normal")
    assert float((cloned - day).abs().max()) <= 2 / 255  # its 8-bit result is truncated


@pytest.mark.parametrize("box", [(0, 0, 0, 0), (5, 5, 6, 6), (0, 3, 32, 4), (31, 39, 32, 40), (7, 7, 9, 30)])
def test_an_empty_or_thin_mask_leaves_the_day(box: tuple[int, int, int, int]) -> None:
    day = picture(3)
    result = seamless_clone(picture(1), day, box_mask(32, 40, *box))
    assert float((result - day).abs().max()) <= 0.5 / 255 + 1e-6


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 7), (3, 3)])
def test_seamless_clone_of_tiny_pictures(size: tuple[int, int]) -> None:
    day = torch.full((3, *size), 0.4)
    result = seamless_clone(day, day, torch.ones(size, dtype=torch.bool))
    torch.testing.assert_close(result, day, atol=1 / 255, rtol=0)


def test_pixel_baselines_by_hand(device: torch.device) -> None:
    night, day = torch.full((3, 2, 2), 0.2, device=device), torch.full((3, 2, 2), 0.6, device=device)
    importance = torch.tensor([[0.0, 1.0], [0.5, 0.25]], device=device)
    assert float(average(night, day).mean()) == pytest.approx(0.4)
    assert torch.equal(maximum(night, day), day)
    blend = importance_blend(night, day, importance)
    torch.testing.assert_close(blend[0], torch.tensor([[0.6, 0.2], [0.4, 0.5]], device=device))


def test_gradient_maximum_agrees_with_the_reference_before_its_colour_fit(
    golden: Callable[[str], Any], device: torch.device
) -> None:
    fusion, facts = golden("fusion/fusion.npz"), golden("fusion/fusion.json")["alg1"]
    night = golden_picture("night_clip", golden, facts["night_frame_index"]).to(device)
    day = golden_picture("day", golden).to(device)
    gain, offset = np.array(facts["rules"]["max"]["c1_c2"]).T
    integrated = (fusion["alg1_max_out"] - offset) / gain  # mean 0
    expected = (integrated / 255 + day.mean((-2, -1)).cpu().numpy()).clip(0, 1)
    result = gradient_maximum(night, day).permute(1, 2, 0).cpu().numpy()
    np.testing.assert_allclose(255 * result, 255 * expected, atol=0.02)


def test_gradient_maximum_of_equal_pictures_returns_them(device: torch.device) -> None:
    day = picture(2).to(device)
    torch.testing.assert_close(gradient_maximum(day, day), day, atol=1e-5, rtol=0)
    torch.testing.assert_close(gradient_maximum(torch.zeros_like(day), day), day, atol=1e-5, rtol=0)


def test_one_day_serves_a_whole_clip(device: torch.device) -> None:
    night, day = torch.stack([picture(1), picture(4)]).to(device), picture(2).to(device)
    importance = torch.rand(2, 32, 40, generator=torch.Generator().manual_seed(0)).to(device)
    assert average(night, day).shape == maximum(night, day).shape == night.shape
    torch.testing.assert_close(
        importance_blend(night, day, importance)[1], importance_blend(night[1], day, importance[1])
    )
    torch.testing.assert_close(gradient_maximum(night, day)[1], gradient_maximum(night[1], day), atol=1e-5, rtol=0)


def test_measures_rank_the_baselines_as_their_failures_are_named() -> None:
    """A lit car over a dark night: averaging is a ghost with half the contrast, the pixel blend has a seam."""
    mask = box_mask(32, 40, 10, 12, 24, 30)
    day = 0.5 + 0.5 * picture(5)
    night = torch.where(mask, 0.6 * picture(6), 0.05 + 0.02 * picture(7))
    field = [torch.where(mask, *pair) for pair in zip(gradient(night), gradient(day), strict=True)]
    blended, averaged = importance_blend(night, day, mask.float()), average(night, day)
    ideal_like = gradient_maximum(torch.where(mask, night, 0), day)
    assert ghosting(averaged, night, day, mask=mask) > 0.45
    assert ghosting(blended, night, day, mask=mask) < 0.01
    assert contrast_kept(averaged, *field, mask=~mask) < 0.6
    assert contrast_kept(blended, *field, mask=~mask) == pytest.approx(1.0, abs=1e-5)
    assert seam_energy(blended, night, day, mask) > 3 * seam_energy(ideal_like, night, day, mask)


def test_bad_input_is_answered_in_one_sentence() -> None:
    night, day = picture(1), picture(2)
    with pytest.raises(ShapeError, match="share a grid"):
        average(night, day[..., 1:])
    with pytest.raises(ShapeError, match=r"within 0\.\.1"):
        maximum(night * 255, day)
    with pytest.raises(ShapeError, match="share a grid"):
        importance_blend(night, day, torch.ones(3, 3))
    with pytest.raises(ShapeError, match="finite"):
        gradient_maximum(night * float("nan"), day)
    with pytest.raises(ShapeError, match="bool"):
        seamless_clone(night, day, torch.ones(32, 40))
    with pytest.raises(ShapeError, match="3 axes"):
        seamless_clone(night[None], day, torch.ones(32, 40, dtype=torch.bool))
    unknown_mode: Any = "wide"
    with pytest.raises(SpecError, match="one of normal, mixed, monochrome"):
        seamless_clone(night, day, torch.ones(32, 40, dtype=torch.bool), mode=unknown_mode)
    with pytest.raises(ShapeError, match="clip or normalise"):
        importance_blend(night, day, torch.full((32, 40), 1.5))
    with pytest.raises(ShapeError, match="a frame for each"):
        average(torch.stack([night] * 3), torch.stack([day] * 2))
