"""One frame taken apart: ranges, what gets a gradient, the role of the state, bad input."""

import pytest
import torch

from lib.errors import ShapeError
from lib.zero_tig import Settings, State, ZeroIG, ZeroTIG, inflate, losses


@pytest.fixture
def frame(device: torch.device) -> torch.Tensor:
    return 0.2 * torch.rand(1, 3, 30, 41, generator=torch.Generator().manual_seed(1)).to(device)


def test_every_picture_stays_within_the_floor_and_one(frame: torch.Tensor) -> None:
    for level in (0.0, 1.0):
        shown = ZeroTIG().to(frame.device)(torch.full_like(frame, level))
        for picture in vars(shown).values():
            assert picture.shape == frame.shape
            assert picture.min() >= 1e-4
            assert picture.max() <= 1


def test_only_its_own_losses_train_the_denoiser(frame: torch.Tensor) -> None:
    model = ZeroIG().to(frame.device)
    for name, value in losses(model.training_pass(frame), model.settings).items():
        (gradient,) = torch.autograd.grad(value, model.denoiser.conv1.weight, retain_graph=True, allow_unused=True)
        reached = gradient is not None and bool(gradient.abs().max() > 0)
        assert reached == (name in ("res1", "cons1")), name


def test_reflectance_losses_reach_the_illumination(frame: torch.Tensor) -> None:
    model = ZeroIG().to(frame.device)
    losses(model.training_pass(frame), model.settings)["color"].backward()
    assert model.illuminator.in_conv[0].weight.grad.abs().max() > 0


def test_without_a_state_an_inflated_model_is_the_single_one(frame: torch.Tensor) -> None:
    torch.manual_seed(0)
    single = ZeroIG().to(frame.device).eval()
    temporal = inflate(single)
    expected = single(frame)
    torch.testing.assert_close(temporal(frame).reflectance, expected.reflectance)
    # its temporal filters are zeros, so that a state changes nothing either
    with_state = temporal(frame, State(torch.rand_like(frame), torch.rand_like(frame)))
    torch.testing.assert_close(with_state.reflectance, expected.reflectance)


def test_state_carries_no_gradient(frame: torch.Tensor) -> None:
    state = ZeroIG().to(frame.device).training_pass(frame).full.state
    assert not state.reflectance.requires_grad
    assert not state.illumination.requires_grad


def test_denoised_retinex_divides_the_denoised_frame(frame: torch.Tensor) -> None:
    torch.manual_seed(0)
    model = ZeroIG(Settings(retinex="denoised")).to(frame.device)
    shown = model(frame)
    torch.testing.assert_close(shown.rough, (shown.denoised / shown.illumination).clamp(1e-4, 1))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (torch.full((1, 3, 30, 41), float("nan")), "finite"),
        (torch.full((1, 3, 30, 41), 255.0), "0..1"),
        (torch.zeros(1, 1, 30, 41), "3 channels"),
        (torch.zeros(3, 30, 41), "4 axes"),
    ],
)
def test_bad_frames_are_refused_in_one_sentence(bad: torch.Tensor, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        ZeroIG()(bad)


def test_state_of_another_size_is_refused(frame: torch.Tensor) -> None:
    other = torch.rand(1, 3, 20, 20, device=frame.device)
    with pytest.raises(ShapeError, match="share a size"):
        ZeroTIG().to(frame.device)(frame, State(other, other))


def test_training_needs_room_for_the_windows() -> None:
    model = ZeroIG()
    with pytest.raises(ShapeError, match="at least 22 pixels a side: got 40x20"):
        losses(model.training_pass(torch.rand(1, 3, 20, 40)), model.settings)
