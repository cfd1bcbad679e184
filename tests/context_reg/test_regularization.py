"""The regulariser as a module: one call, both terms, sums and means, void pixels, ramp, and what it refuses."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lib.context_reg import ContextualRegularization, RegularizationSettings
from lib.context_reg.regularization import scale_features
from lib.errors import ShapeError, SpecError


def case(*, classes: int = 5, size: tuple[int, int] = (9, 11), batch: int = 2, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Probabilities and picture of random numbers."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(batch, classes, *size, generator=generator)
    return logits.softmax(dim=1), torch.rand(batch, 3, *size, generator=generator)


def build(**changes: object) -> ContextualRegularization:
    return ContextualRegularization(RegularizationSettings().but(**changes))


def test_one_edge_by_hand() -> None:
    """Columns of probability 1 and 0 on a flat picture: three differences of 1 / sqrt 2 on each side, two classes."""
    column = torch.tensor([1.0, 1.0, 0.0, 0.0])
    probabilities = torch.stack([column, 1 - column]).view(1, 2, 1, 4).expand(1, 2, 3, 4)
    terms = build(reduction="sum", weight=1.0)(probabilities, torch.full((1, 3, 3, 4), 0.5))
    # 3 rows, 2 classes, 2 pixels at the edge, each with three neighbours on the other side (borders repeat)
    assert terms.context.item() == pytest.approx(3 * 2 * 2 * 3 / math.sqrt(2), rel=1e-6)
    assert terms.kernel.item() == pytest.approx(0, abs=1e-6)
    assert terms.total == terms.context + terms.kernel


def test_mean_is_the_sum_over_the_pixels_that_count() -> None:
    probabilities, image = case()
    ignore = torch.zeros(2, 9, 11, dtype=torch.bool)
    ignore[0, 2:5, 3:9] = True
    summed, mean = build(reduction="sum"), build(reduction="mean")
    for mask, count in ((None, 198), (ignore, 198 - 18)):
        ratio = summed(probabilities, image, mask).context / mean(probabilities, image, mask).context
        assert ratio.item() == pytest.approx(count, rel=1e-6)
    assert summed(probabilities, image).kernel == mean(probabilities, image).kernel


def test_ratio_to_the_softmax_loss_is_the_same_in_both_modes() -> None:
    probabilities, image = case()
    label = torch.randint(0, 5, (2, 9, 11), generator=torch.Generator().manual_seed(1))
    label[0, :3] = 255
    ratios = []
    for reduction in ("sum", "mean"):
        softmax = F.nll_loss(probabilities.log(), label, ignore_index=255, reduction=reduction)
        ratios.append(build(reduction=reduction)(probabilities, image, label == 255).context / softmax)
    assert ratios[0].item() == pytest.approx(ratios[1].item(), rel=1e-5)


def test_ignored_pixels_change_nothing_and_get_no_gradient() -> None:
    probabilities, image = case()
    ignore = torch.rand(2, 9, 11, generator=torch.Generator().manual_seed(2)) < 0.3
    regularizer = build()
    expected = regularizer(probabilities, image, ignore).context
    other_probabilities, other_image = case(seed=7)
    hidden = ignore[:, None]
    changed = torch.where(hidden, other_probabilities, probabilities).requires_grad_()
    changed_image = torch.where(hidden, other_image, image).requires_grad_()
    found = regularizer(changed, changed_image, ignore).context
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)
    found.backward()
    for gradient in (changed.grad, changed_image.grad):
        assert gradient is not None
        assert (gradient * hidden == 0).all()
        assert (gradient * ~hidden).abs().max() > 0


def test_a_difference_across_an_ignored_neighbour_is_zero() -> None:
    """An ignored column between two halves of another class: nothing is left of the edge."""
    left = (torch.arange(5) < 2).float().expand(4, 5)
    probabilities = torch.stack([left, 1 - left])[None]
    image, ignore = torch.zeros(1, 3, 4, 5), torch.zeros(1, 4, 5, dtype=torch.bool)
    ignore[:, :, 2] = True
    assert build()(probabilities, image).context > 0
    assert build()(probabilities, image, ignore).context == 0


def test_all_ignored_is_zero_with_zero_gradients() -> None:
    probabilities, image = case()
    probabilities.requires_grad_()
    regularizer = build()
    terms = regularizer(probabilities, image, torch.ones(2, 9, 11, dtype=torch.bool))
    terms.total.backward()
    assert terms.context == 0
    assert (probabilities.grad == 0).all()
    assert regularizer.kernels.grad.isfinite().all()


def test_ramp_scales_the_context_term_only() -> None:
    probabilities, image = case()
    regularizer = build()
    whole = regularizer(probabilities, image)
    regularizer.set_ramp(0.25)
    part = regularizer(probabilities, image)
    assert part.context.item() == pytest.approx(0.25 * whole.context.item(), rel=1e-6)
    assert part.kernel == whole.kernel
    regularizer.set_ramp(0)
    assert regularizer(probabilities, image).context == 0
    assert regularizer.ramp == 0
    with pytest.raises(SpecError, match=r"0\.\.1: got 1\.5"):
        regularizer.set_ramp(1.5)


def test_detached_weights_leave_the_kernels_of_the_weights_alone() -> None:
    probabilities, image = case()
    image.requires_grad_()
    untied = build(tied=False)
    untied(probabilities, image).context.backward()
    assert untied.guide_kernels.grad.abs().max() > 0
    assert image.grad.abs().max() > 0
    detached = build(tied=False, detach_weights=True)
    image.grad = None
    detached(probabilities, image).context.backward()
    assert detached.guide_kernels.grad is None
    assert image.grad is None
    assert torch.equal(detached.kernels.grad, untied.kernels.grad)


def test_tied_gradient_is_the_sum_of_both_untied_ones() -> None:
    probabilities, image = case()
    tied, untied = build(), build(tied=False)
    for each in (tied, untied):
        each(probabilities, image).context.backward()
    assert torch.allclose(tied.kernels.grad, untied.kernels.grad + untied.guide_kernels.grad, rtol=1e-5, atol=1e-5)
    assert len(list(tied.parameters())) == 1
    assert len(list(untied.parameters())) == 2


def test_fixed_kernels_have_no_gradient() -> None:
    probabilities, image = case()
    probabilities.requires_grad_()
    fixed = build(learn_kernels=False)
    fixed(probabilities, image).total.backward()
    assert fixed.kernels.grad is None
    assert probabilities.grad.abs().max() > 0


def test_steps_on_the_loss_smooth_inside_regions_and_keep_the_edge(device: torch.device) -> None:
    """A noisy two-class map over a picture with one edge: noise goes, the step at the edge stays."""
    generator = torch.Generator().manual_seed(0)
    side = (torch.arange(16) < 8).float().expand(12, 16)
    image = (0.1 + 0.8 * side).expand(1, 3, 12, 16).to(device)
    noisy = (4 * side - 2)[None, None] * torch.tensor([1.0, -1.0]).view(1, 2, 1, 1)
    noisy = noisy + torch.randn(1, 2, 12, 16, generator=generator)
    logits = noisy.to(device).requires_grad_()
    regularizer = build().to(device)
    optimizer = torch.optim.Adam([logits], lr=0.05)
    start = logits.softmax(dim=1)[0, 0].detach()
    for _ in range(60):
        optimizer.zero_grad()
        regularizer(logits.softmax(dim=1), image).total.backward()
        optimizer.step()
    after = logits.softmax(dim=1)[0, 0].detach()
    assert after[:, :8].std() < start[:, :8].std() / 2
    assert after[:, :8].mean() - after[:, 8:].mean() > 0.8


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_summed_in_float32(dtype: torch.dtype, device: torch.device) -> None:
    probabilities, image = case(classes=40, size=(24, 32))
    low = probabilities.to(device, dtype).requires_grad_()
    summed = build(reduction="sum").to(device)
    found = summed(low, image.to(device)).context
    assert found.dtype == torch.float32
    assert found > torch.finfo(torch.float16).max
    assert found.item() == pytest.approx(summed(low.float(), image.to(device)).context.item(), rel=1e-6)
    found.backward()
    assert low.grad.dtype == dtype
    assert low.grad.isfinite().all()


def test_features_are_cropped_and_scaled() -> None:
    generator = torch.Generator().manual_seed(0)
    features = 50 * torch.rand(2, 64, 9 + 8, 11 + 8, generator=generator)
    features[:, 3] = 0
    scaled = scale_features(features, (9, 11))
    assert scaled.shape == (2, 64, 9, 11)
    assert (scaled[:, 3] == 0).all()
    scale = 0.25 * math.sqrt(3 / 64)
    assert torch.allclose(scaled[:, 5].std(dim=(1, 2), correction=0), torch.tensor(scale), rtol=1e-5)
    assert torch.equal(scaled[0, 5].argsort(), features[0, 5, 4:13, 4:15].argsort())
    probabilities, _ = case()
    features.requires_grad_()
    build(guide="features")(probabilities, features).context.backward()
    assert features.grad[:, :, 4:13, 4:15].abs().max() > 0
    assert (features.grad[:, :, :4] == 0).all()


def test_what_is_refused() -> None:
    probabilities, image = case()
    regularizer = build()
    with pytest.raises(ShapeError, match="share a grid"):
        regularizer(probabilities, image[..., 1:])
    with pytest.raises(ShapeError, match="as many"):
        regularizer(probabilities, image[:1])
    with pytest.raises(ShapeError, match="divide 8-bit pictures by 255"):
        regularizer(probabilities, image * 255)
    with pytest.raises(ShapeError, match=r"apply softmax\(dim=1\) first"):
        regularizer(probabilities.log(), image)
    with pytest.raises(ShapeError, match=r'guide="features"'):
        regularizer(probabilities, image[:, :1])
    with pytest.raises(ShapeError, match="as large as the probabilities"):
        build(guide="features")(probabilities, image[..., 1:])
    with pytest.raises(ShapeError, match=r"pass label == 255"):
        regularizer(probabilities, image, torch.zeros(2, 9, 11))
    with pytest.raises(ShapeError, match=r"ignore must have the shape"):
        regularizer(probabilities, image, torch.zeros(2, 9, 10, dtype=torch.bool))
    with pytest.raises(ShapeError, match="4 axes"):
        regularizer(probabilities[0], image)
    with pytest.raises(ShapeError, match="image must hold finite"):
        regularizer(probabilities, torch.full_like(image, math.nan))
    overflown = torch.full((2, 5, 9, 11), 1e5).half().softmax(dim=1)
    with pytest.raises(ShapeError, match="half precision its scores overflowed"):
        regularizer(overflown, image)
