"""The context loss: golden values and gradients, finite differences, and that all forms are the same function."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lib.context_reg import block_form, fused, fused_form
from lib.context_reg import context_loss as module
from lib.context_reg.context_loss import context_loss, weight_maps
from lib.context_reg.directional import initial_kernels
from lib.context_reg.speed import plain_context_loss
from lib.errors import ShapeError, SpecError

SIGMA, LAMBDA = 0.25, 100.0
GOLDEN = "segmentation/segmentation"


def random_case(
    *, size: tuple[int, int], classes: int = 5, batch: int = 1, num_kernels: int = 8, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor, Tensor]:
    """Probabilities, picture and kernels of general taps that ask for gradients."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(batch, classes, *size, generator=generator, dtype=dtype)
    image = 0.3 * torch.rand(batch, 3, *size, generator=generator, dtype=dtype)
    kernels = initial_kernels("random", num_kernels=num_kernels).to(dtype) + 0.05
    return logits.softmax(dim=1).requires_grad_(), image.requires_grad_(), kernels.requires_grad_()


def loss_and_gradients(parts: tuple[Tensor, Tensor, Tensor], *, ignore: Tensor | None = None) -> list[Tensor]:
    copies = [part.detach().clone().requires_grad_() for part in parts]
    probabilities, image, kernels = copies
    loss = context_loss(probabilities, image, kernels, kernels, sigma=SIGMA, scale=LAMBDA, ignore=ignore)
    loss.backward()
    gradients = [copy.grad for copy in copies if copy.grad is not None]
    return [loss.detach(), *gradients]


def assert_close(found: list[Tensor], expected: list[Tensor], *, tolerance: float) -> None:
    """Each within `tolerance` of the largest magnitude of what is expected."""
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        scale = other.abs().max().item()
        assert (one.double() - other.double()).abs().max().item() <= tolerance * max(scale, 1e-30)


def golden_case(golden: Callable[[str], Any], case: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Logits, picture and kernels."""
    stored = golden(f"{GOLDEN}.npz")
    image = stored[f"ctx{case}_image"]
    picture = image / 255 if image.dtype == np.uint8 else image
    parts = (stored[f"ctx{case}_logits"], picture, stored[f"ctx{case}_kernels"])
    logits, guide, kernels = (torch.from_numpy(part).to(dtype) for part in parts)
    return logits[None].requires_grad_(), guide[None], kernels.requires_grad_()


@pytest.mark.parametrize("case", range(4))
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_agrees_with_the_golden_values(
    case: int, dtype: torch.dtype, golden: Callable[[str], Any], device: torch.device
) -> None:
    """1e-9 in float64, 1e-4 in float32; what is stored in float32 is compared to its precision."""
    stored, numbers = golden(f"{GOLDEN}.npz"), golden(f"{GOLDEN}.json")["context"][case]
    logits, image, kernels = (part.detach().to(device) for part in golden_case(golden, case, dtype))
    logits.requires_grad_()
    kernels.requires_grad_()
    probabilities = logits.softmax(dim=1)
    probabilities.retain_grad()
    context_loss(probabilities, image, kernels, kernels, sigma=SIGMA, scale=LAMBDA).backward()
    found = {"f": probabilities.grad, "K": kernels.grad, "logits": logits.grad}
    for name, gradient in found.items():
        expected = torch.from_numpy(stored[f"ctx{case}_grad_{name}"])
        stored_exactly = expected.dtype == torch.float64
        tolerance = 1e-4 if dtype == torch.float32 else 1e-9 if stored_exactly else 1e-6
        assert_close([gradient.cpu().view(expected.shape)], [expected], tolerance=tolerance)
    loss = context_loss(probabilities, image, kernels, kernels, sigma=SIGMA, scale=LAMBDA)
    assert loss.item() == pytest.approx(numbers["l_c"], rel=1e-9 if dtype == torch.float64 else 1e-4)
    maps = weight_maps(image, kernels, sigma=SIGMA)[0].cpu()
    assert torch.allclose(maps.double(), torch.from_numpy(stored[f"ctx{case}_weight_maps"]).double(), atol=1e-6)


@pytest.mark.parametrize("case", range(4))
def test_kernel_gradient_with_detached_weights_is_the_golden_one(case: int, golden: Callable[[str], Any]) -> None:
    logits, image, kernels = golden_case(golden, case, torch.float64)
    context_loss(logits.softmax(dim=1), image, kernels, kernels.detach(), sigma=SIGMA, scale=LAMBDA).backward()
    expected = torch.from_numpy(golden(f"{GOLDEN}.npz")[f"ctx{case}_grad_K_detached_W"])
    assert_close([kernels.grad], [expected], tolerance=1e-9)


@pytest.mark.parametrize("with_ignored", [False, True])
def test_finite_differences(with_ignored: bool) -> None:
    """Through probabilities, picture and both sets of kernels in float64."""
    probabilities, image, kernels = random_case(size=(4, 5), classes=3, num_kernels=3, dtype=torch.float64)
    guide_kernels = (kernels.detach().flip(0) + 0.1).requires_grad_()
    ignore = torch.zeros(1, 4, 5, dtype=torch.bool)
    ignore[0, 1, 1:3] = ignore[0, 3, 4] = with_ignored

    def loss(*parts: Tensor) -> Tensor:
        return context_loss(*parts, sigma=SIGMA, scale=2.0, ignore=ignore if with_ignored else None)

    assert torch.autograd.gradcheck(loss, (probabilities, image, kernels, guide_kernels), eps=1e-7, atol=1e-5)


# one pixel, one line, wider than a tile, whole blocks of a tile, more rows than a band
SIZES = [(1, 1), (1, 2), (3, 1), (2, 2), (17, 70), (5, fused.TILE + 3), (4, fused.TILE), (2 * fused.BAND + 1, 9)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("num_kernels", [1, 4, 9])
def test_compiled_form_is_that_of_padding_and_convolution(size: tuple[int, int], num_kernels: int) -> None:
    parts = random_case(size=size, batch=2, num_kernels=num_kernels)
    expected = [part.detach().double().requires_grad_() for part in parts]
    plain = plain_context_loss(*expected, sigma=SIGMA, scale=LAMBDA)
    plain.backward()
    found = loss_and_gradients(parts)
    assert_close(found, [plain.detach(), *(each.grad for each in expected)], tolerance=2e-5)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("ignored", [None, "none", "scattered", "a corner"])
def test_forms_agree(ignored: str | None, size: tuple[int, int], device: torch.device) -> None:
    """The compiled form against the one of torch's operations in float64, on this device."""
    parts = random_case(size=size, batch=2, classes=7, num_kernels=7)
    ignore = None if ignored is None else torch.zeros(2, *size, dtype=torch.bool)
    if ignored == "scattered":
        ignore = torch.rand(2, *size, generator=torch.Generator().manual_seed(1)) < 0.2
    elif ignored == "a corner":  # whole blocks are ignored, others not at all
        ignore[0, size[0] // 3 :, size[1] // 4 :] = True
    found = loss_and_gradients(parts, ignore=ignore)
    exact = tuple(part.detach().double().to(device) for part in parts)
    expected = loss_and_gradients(exact, ignore=None if ignore is None else ignore.to(device))
    assert_close(found, [each.cpu() for each in expected], tolerance=2e-5)


def test_blocks_of_channels_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = random_case(size=(6, 8), classes=5, dtype=torch.float64)
    whole = loss_and_gradients(parts)
    monkeypatch.setattr(block_form, "BLOCK_ON_CPU", 2 * 6 * 8)
    assert_close(loss_and_gradients(parts), whole, tolerance=1e-13)


def test_threads_share_the_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = random_case(size=(12, 30), classes=7, batch=2)
    alone = loss_and_gradients(parts)
    monkeypatch.setattr(fused_form, "WORTH_A_THREAD", 100)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    assert_close(loss_and_gradients(parts), alone, tolerance=1e-6)


@pytest.mark.parametrize("with_ignored", [False, True])
@pytest.mark.parametrize("form", [block_form, fused_form])
def test_flat_windows_and_borders_of_differences_pull_with_nothing(
    form: ModuleType, with_ignored: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Probabilities that change from row to row only: the kernels of the left and right neighbour never respond.

    Their taps are no powers of two, so that rounded products would not cancel.
    """
    monkeypatch.setattr(module, "_form", lambda _: form)
    column = torch.linspace(0.1, 0.9, 7).view(1, 1, 7, 1).expand(1, 1, 7, 6)
    probabilities = torch.cat([column, 1 - column], dim=1)
    sideways = (0.3 * initial_kernels("differences")[[3, 4]].float()).requires_grad_()
    ignore = torch.zeros(1, 7, 6, dtype=torch.bool) if with_ignored else None
    image = torch.zeros(1, 3, 7, 6)
    loss = context_loss(probabilities, image, sideways, sideways, sigma=SIGMA, scale=LAMBDA, ignore=ignore)
    loss.backward()
    assert loss == 0
    assert (sideways.grad == 0).all()


def test_memory_serves_again_once_nobody_holds_it() -> None:
    fused_form.forget_memory()
    first, second = (random_case(size=(9, 11), num_kernels=count) for count in (4, 8))

    def gradient(parts: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        probabilities, image, kernels = parts
        loss = context_loss(probabilities, image, kernels, kernels, sigma=SIGMA)
        return torch.autograd.grad(loss, probabilities)[0]

    held = gradient(first)
    before, place = held.clone(), held.data_ptr()
    part = held[0, 2:]
    del held
    assert gradient(second).data_ptr() != place  # a view is left
    assert torch.equal(part, before[0, 2:])
    del part
    again = gradient(first)
    assert again.data_ptr() == place
    assert torch.equal(again, before)
    for width in range(3, 3 + 2 * fused_form.KEPT):
        gradient(random_case(size=(9, width)))
    assert len(fused_form._kept) <= fused_form.KEPT


def test_memory_of_as_many_kernels_as_classes_serves_twice() -> None:
    """Weights and gradient are then of one shape."""
    fused_form.forget_memory()
    both = [fused_form._memory((1, 4, 5, 6)) for _ in range(fused_form.KEPT)]
    places = {each.data_ptr() for each in both}
    del both
    again = [fused_form._memory((1, 4, 5, 6)) for _ in range(fused_form.KEPT)]
    assert len(places) == fused_form.KEPT
    assert {each.data_ptr() for each in again} == places


def test_upstream_factor_and_repeated_backward() -> None:
    probabilities, image, kernels = random_case(size=(5, 6))
    loss = context_loss(probabilities, image, kernels, kernels, sigma=SIGMA, scale=1.0)
    (once,) = torch.autograd.grad(loss, probabilities, retain_graph=True)
    (thrice,) = torch.autograd.grad(3 * loss, probabilities)
    assert torch.allclose(thrice, 3 * once)


@pytest.mark.parametrize("form", [block_form, fused_form])
def test_autocast_changes_nothing(form: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_form", lambda _: form)
    parts = random_case(size=(11, 13))
    expected = loss_and_gradients(parts)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = loss_and_gradients(parts)
    assert_close(found, expected, tolerance=1e-6)


def test_not_a_number_reaches_the_loss() -> None:
    probabilities, image, kernels = random_case(size=(5, 6))
    spoilt = probabilities.detach().clone()
    spoilt[0, 2, 3, 3] = float("nan")
    assert context_loss(spoilt, image, kernels, kernels, sigma=SIGMA).isnan()


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("guide", (1, 3, 5, 7)),
        ("guide", (2, 3, 5, 6)),
        ("guide", (3, 5, 6)),
        ("probabilities", (1, 4, 5, 0)),
        ("ignore", (1, 50, 60)),
        ("kernels", (4, 3, 3)),
        ("guide_kernels", (9, 3, 3)),
        ("guide_kernels", (8, 5, 5)),
    ],
)
def test_shapes_that_do_not_fit(name: str, size: tuple[int, ...]) -> None:
    """Compiled code would write beyond its arrays."""
    probabilities, image, kernels = random_case(size=(5, 6))
    parts = {"probabilities": probabilities, "guide": image, "kernels": kernels, "guide_kernels": kernels}
    changed = torch.zeros(size, dtype=torch.bool if name == "ignore" else torch.float32)
    with pytest.raises(ShapeError, match=name.removeprefix("guide_")):
        context_loss(**(parts | {name: changed}), sigma=SIGMA)


def test_values_that_do_not_fit() -> None:
    probabilities, image, kernels = random_case(size=(5, 6))
    for sigma, scale in ((0.0, 1.0), (SIGMA, -1.0), (SIGMA, float("nan"))):
        with pytest.raises(SpecError, match="sigma must be above 0"):
            context_loss(probabilities, image, kernels, kernels, sigma=sigma, scale=scale)
    with pytest.raises(ShapeError, match="ignore must be bool"):
        context_loss(probabilities, image, kernels, kernels, sigma=SIGMA, ignore=torch.zeros(1, 5, 6))
    with pytest.raises(ShapeError, match="kernels must be"):
        weight_maps(image, torch.zeros(8, 9), sigma=SIGMA)


def test_ignored_pixels_in_any_order_of_memory() -> None:
    """And nothing is compiled anew for them, which takes seconds."""
    parts = random_case(size=(12, 9), batch=2)
    ignore = torch.rand(2, 12, 9, generator=torch.Generator().manual_seed(1)) < 0.2
    expected, compiled = loss_and_gradients(parts, ignore=ignore), len(fused.sweep.signatures)
    columns = ignore.transpose(1, 2).contiguous().transpose(1, 2)
    assert_close(loss_and_gradients(parts, ignore=columns), expected, tolerance=0)
    assert len(fused.sweep.signatures) == compiled


def test_within_a_compiled_function() -> None:
    """torch.compile leaves the loss alone, also when a changing scale has it compile again and again, then give up."""
    probabilities, image, kernels = random_case(size=(5, 6))

    def gradient(function: Callable[..., Tensor], scale: float) -> Tensor:
        loss = function(probabilities, image, kernels, kernels, sigma=SIGMA, scale=scale)
        return torch.autograd.grad(loss, probabilities)[0]

    compiled = torch.compile(context_loss, backend="eager")
    for step in range(10):
        assert torch.equal(gradient(compiled, 1.0 + step), gradient(context_loss, 1.0 + step))


def test_only_the_gradients_that_are_asked_for() -> None:
    probabilities, image, kernels = random_case(size=(5, 6))
    context_loss(probabilities, image.detach(), kernels.detach(), kernels.detach(), sigma=SIGMA).backward()
    assert probabilities.grad is not None
    assert kernels.grad is None
    with torch.no_grad():
        assert not context_loss(probabilities, image, kernels, kernels, sigma=SIGMA).requires_grad


def test_weight_maps_by_hand(device: torch.device) -> None:
    """A step of 0.25 in one of three channels: exp(-(0.25 / sqrt 2)^2 / (2 x 0.25^2)) = exp(-1/4) across it, else 1."""
    image = torch.zeros(1, 3, 4, 6, device=device)
    image[:, 1, :, 3:] = 0.25
    right = initial_kernels("differences")[[4]].float().to(device)
    maps = weight_maps(image, right, sigma=SIGMA)[0, 0].cpu()
    expected = torch.ones(4, 6)
    expected[:, 2] = float(np.exp(-0.25))
    assert torch.allclose(maps, expected)
