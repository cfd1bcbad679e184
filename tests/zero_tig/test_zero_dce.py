"""Zero-DCE: the paper's size, curves and losses by hand, gradients, training that brightens, bad input."""

import pytest
import torch
from torch import Generator

from lib.errors import LabError, ShapeError, SpecError
from lib.zero_tig.zero_dce import (
    DCENet,
    DCESettings,
    apply_curves,
    color_constancy,
    dce_losses,
    enhance_frames,
    exposure_error,
    illumination_smoothness,
    spatial_consistency,
    train_dce,
    zero_dce,
)

QUICK = DCESettings(steps=25, longest_px=32, learning_rate=3e-3)


def noise(*shape, seed=0, dtype=torch.float32):
    return torch.rand(*shape, generator=Generator().manual_seed(seed), dtype=dtype)


@pytest.fixture
def dark(device):
    ramp = torch.linspace(0.02, 0.3, 40).expand(4, 3, 24, 40)
    return (ramp + 0.02 * noise(4, 3, 24, 40)).to(device)


def test_the_network_has_the_size_of_the_paper():
    network = DCENet()
    assert sum(parameter.numel() for parameter in network.parameters()) == 79_416
    assert network(noise(2, 3, 9, 13)).shape == (2, 24, 9, 13)


def test_the_same_generator_gives_the_same_network():
    first, second = (DCENet(generator=Generator().manual_seed(4)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert float(first.layers[3].weight.detach().std()) == pytest.approx(0.02, rel=0.05)


def test_skips_join_mirrored_layers():
    network = DCENet(generator=Generator().manual_seed(0))
    frame = noise(1, 3, 6, 6)
    seen, x = [], frame
    for idx in range(4):
        x = network.layers[idx](x).relu()
        seen.append(x)
    fifth = network.layers[4](torch.cat([seen[2], seen[3]], 1)).relu()
    sixth = network.layers[5](torch.cat([seen[1], fifth], 1)).relu()
    torch.testing.assert_close(network(frame), network.layers[6](torch.cat([seen[0], sixth], 1)).tanh())


def test_curves_by_hand_keep_order_and_range():
    grey = torch.full((1, 3, 1, 1), 0.5)
    curves = torch.zeros(1, 24, 1, 1)
    assert torch.equal(apply_curves(grey, curves), grey)
    curves[:, :3] = 1  # one step: x + x (1 - x)
    assert apply_curves(grey, curves).flatten().tolist() == [0.75] * 3
    ramp = torch.linspace(0, 1, 101).expand(1, 3, 1, 101)
    for strength in (-1.0, 1.0):
        shown = apply_curves(ramp, torch.full((1, 24, 1, 101), strength))
        assert 0 <= float(shown.min()) <= float(shown.max()) <= 1
        assert (shown.diff(dim=-1) >= -1e-6).all()


def test_losses_by_hand():
    flat = torch.full((1, 3, 32, 32), 0.4)
    assert float(exposure_error(flat, exposure=0.6)) == pytest.approx(0.2, rel=1e-4)
    tinted = flat.clone()
    tinted[:, 0] += 0.1
    assert float(color_constancy(tinted)) == pytest.approx(0.02, rel=1e-4)
    assert float(spatial_consistency(flat + 0.3, flat)) == pytest.approx(0, abs=1e-10)
    # two 4x4 regions whose contrast grows from 0.1 to 0.3: each region sees its neighbour once, 0.2 squared
    before, after = torch.zeros(1, 3, 4, 8), torch.zeros(1, 3, 4, 8)
    before[..., 4:], after[..., 4:] = 0.1, 0.3
    assert float(spatial_consistency(after, before)) == pytest.approx(0.04, rel=1e-4)
    ramp = 0.1 * (torch.arange(5.0) + torch.arange(5.0)[:, None]).expand(1, 24, 5, 5)
    assert float(illumination_smoothness(ramp)) == pytest.approx(3 * 0.2**2, rel=1e-4)


def test_gradients_agree_with_differences():
    frames = 0.1 + 0.5 * noise(1, 3, 16, 16, dtype=torch.float64)
    curves = (0.6 * noise(1, 24, 16, 16, seed=1, dtype=torch.float64) - 0.3).requires_grad_()

    def total(a: torch.Tensor) -> torch.Tensor:
        return sum(dce_losses(frames, a, settings=DCESettings()).values())

    total(curves).backward()
    direction = noise(1, 24, 16, 16, seed=2, dtype=torch.float64)
    step = 1e-6
    with torch.no_grad():
        slope = (total(curves + step * direction) - total(curves - step * direction)) / (2 * step)
    assert float((curves.grad * direction).sum()) == pytest.approx(float(slope), rel=1e-5)


def test_training_brightens_towards_the_wanted_exposure(dark):
    shown = zero_dce(dark, generator=Generator().manual_seed(0), settings=QUICK)
    assert shown.shape == dark.shape
    assert shown.device == dark.device
    assert float(dark.mean()) < 0.2
    assert 0.4 < float(shown.mean()) < 0.8
    assert 0 <= float(shown.min()) <= float(shown.max()) <= 1


def test_frames_stream_and_the_seed_decides(dark):
    network = train_dce(dark, generator=Generator().manual_seed(1), settings=QUICK)
    again = train_dce(list(dark), generator=Generator().manual_seed(1), settings=QUICK)
    streamed = list(enhance_frames(network, iter(dark)))
    assert len(streamed) == len(dark)
    assert torch.equal(streamed[2], next(enhance_frames(again, iter(dark[2:]))))


def test_no_steps_leave_the_frame_nearly_as_it_was(dark):
    shown = zero_dce(dark, generator=Generator().manual_seed(0), settings=DCESettings(steps=0))
    torch.testing.assert_close(shown, dark, atol=0.02, rtol=0)


def test_wrong_frames_and_settings_are_named():
    generator = Generator().manual_seed(0)
    with pytest.raises(ShapeError, match="at least one frame"):
        train_dce([], generator=generator)
    with pytest.raises(ShapeError, match="16 px"):
        train_dce(torch.zeros(2, 3, 12, 40), generator=generator)
    with pytest.raises(ShapeError, match="finite"):
        train_dce(torch.full((1, 3, 16, 16), torch.nan), generator=generator)
    for wrong in ({"exposure": 0.0}, {"learning_rate": -1.0}, {"steps": -1}, {"batch": 0}, {"smooth_weight": -1.0}):
        with pytest.raises(SpecError, match=next(iter(wrong))):
            DCESettings(**wrong)


def test_divergence_stops_with_step_and_parts(dark, monkeypatch):
    monkeypatch.setattr("lib.zero_tig.zero_dce.exposure_error", lambda result, exposure: result.sum() * torch.nan)
    with pytest.raises(LabError, match=r"step 0.*exposure nan"):
        train_dce(dark, generator=Generator().manual_seed(0), settings=QUICK)
