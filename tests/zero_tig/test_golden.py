"""Agreement with the published code, number by number, in float64."""

from typing import Any

import pytest
import torch
from torch import Tensor

from lib.zero_tig import Settings, losses
from lib.zero_tig.model import TrainingPass
from lib.zero_tig.temporal import Alignment, equalise
from lib.zero_tig.train import Trainer

KINDS = ("ig", "tig")
QUIRKS = Settings(direction="forward", reference_quirks=True, cut_detection=False)
TRUE_GRADIENT_ZERO = "illuminator.conv.0.bias"  # batch norm takes out what the bias adds


def close(ours: Tensor, stored: Any, tolerance: float) -> None:
    expected = torch.as_tensor(stored, dtype=torch.float64)
    torch.testing.assert_close(ours.detach().squeeze(0), expected, rtol=0, atol=tolerance)


def trace_fields(trace: TrainingPass) -> dict[str, Tensor]:
    full, (p1, p2) = trace.full, trace.half_outputs.chunk(2)
    lp1, lp2 = trace.half_denoised.chunk(2)
    return {
        "L": full.denoised, "S": full.illumination, "H": full.rough, "R": full.reflectance,
        "Sp": full.illumination_refined, "Lp1": lp1, "Lp2": lp2, "P1": p1, "P2": p2,
    }  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("weights", ["init", "proc", "real"])
def test_forward_pass_is_the_published_one(kind: str, weights: str, model: Any, frames: Any, golden: Any) -> None:
    stored = golden(f"zero_tig/zero_{kind}_{weights}_forward.npz")
    ours = trace_fields(model(kind, weights).training_pass(frames(kind)[0]))
    names = [name for name in ours if f"f0_{name}" in stored.files]
    assert len(names) >= 5
    for name in names:
        close(ours[name], stored[f"f0_{name}"], 1e-7)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("weights", ["init", "proc", "real"])
def test_losses_are_the_published_ones(kind: str, weights: str, model: Any, frames: Any, golden: Any) -> None:
    stored = golden(f"zero_tig/zero_{kind}_losses.json")["sets"][weights]["float64"][0]
    net = model(kind, weights)
    terms = losses(net.training_pass(frames(kind)[0]), net.settings)
    assert set(terms) == set(stored["groups_weighted"])
    for name, value in stored["groups_weighted"].items():
        assert terms[name].item() == pytest.approx(value, rel=1e-9, abs=1e-15), name
    assert sum(terms.values()).item() == pytest.approx(stored["total"], rel=1e-9)
    corrected = losses(net.training_pass(frames(kind)[0]), Settings())
    assert sum(corrected.values()).item() == pytest.approx(stored["corrected_total"], rel=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_the_published_ones(kind: str, model: Any, frames: Any, tensors: Any) -> None:
    net = model(kind, "real")
    sum(losses(net.training_pass(frames(kind)[0]), net.settings).values()).backward()
    expected = tensors(f"zero_{kind}_real_grads_frame0")
    for name, parameter in net.named_parameters():
        if name == TRUE_GRADIENT_ZERO:
            assert parameter.grad.abs().max() < 1e-9
            continue
        largest = expected[name].abs().max().clamp_min(1e-30).item()
        torch.testing.assert_close(parameter.grad, expected[name].double(), rtol=0, atol=1e-6 * largest, msg=name)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("weights", ["proc", "real"])
def test_three_optimiser_steps_are_the_published_ones(
    kind: str, weights: str, model: Any, frames: Any, golden: Any, tensors: Any
) -> None:
    stored = golden(f"zero_tig/zero_{kind}_losses.json")["sets"][weights]["float64"]
    trainer = Trainer(model(kind, weights))
    for frame, expected in zip(frames(kind), stored, strict=True):
        step = trainer.step(frame[0])
        assert step.total == pytest.approx(expected["total"], rel=1e-8)
        assert step.gradient_norm == pytest.approx(expected["grad_norm_total_before_clip"], rel=1e-8)
    ends = tensors(f"zero_{kind}_{weights}_weights_after3")
    for name, value in trainer.model.state_dict().items():
        # Adam makes steps of +-lr of the bias's rounding noise; the batch mean follows it, and nothing else does
        if name in ends and name not in (TRUE_GRADIENT_ZERO, "illuminator.conv.1.running_mean"):
            torch.testing.assert_close(value, ends[name].to(value.dtype), rtol=0, atol=1e-6, msg=name)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("weights", ["proc", "real"])
def test_state_is_carried_as_published(kind: str, weights: str, model: Any, frames: Any, golden: Any) -> None:
    stored = golden(f"zero_tig/zero_{kind}_{weights}_forward.npz")
    net, state = model(kind, weights), None
    for idx, frame in enumerate(frames(kind)):
        full = net.training_pass(frame, state).full
        state = full.state
        if idx:
            close(full.reflectance, stored[f"noupdate_f{idx}_R"], 1e-7)


@pytest.mark.parametrize("weights", ["proc", "real"])
@pytest.mark.parametrize("reading", ["quirk", "corrected"])
def test_inference_in_both_readings(weights: str, reading: str, model: Any, frames: Any, golden: Any) -> None:
    stored = golden(f"zero_tig/zero_tig_{weights}_inference.npz")
    net = model("tig", weights, QUIRKS if reading == "quirk" else Settings()).eval()
    state = None
    for idx, frame in enumerate(frames("tig")):
        with torch.no_grad():
            result = net(frame, state)
        state = result.state
        close(result.reflectance, stored[f"{reading}_f{idx}_R"], 1e-7)


@pytest.mark.parametrize("weights", ["proc", "real"])
def test_zero_ig_inference(weights: str, model: Any, frames: Any, golden: Any) -> None:
    stored = golden(f"zero_tig/zero_ig_{weights}_inference.npz")
    net = model("ig", weights).eval()
    for idx, frame in enumerate(frames("ig")):
        close(net(frame).reflectance, stored[f"f{idx}_R"], 1e-7)


@pytest.mark.parametrize("case", ["zero", "const", "smooth"])
@pytest.mark.parametrize("image", [0, 1, 2])
def test_warp_drifts_as_published_or_not_at_all(case: str, image: int, golden: Any) -> None:
    stored = golden("zero_tig/warp.npz")
    picture = torch.from_numpy(stored[f"s{image}_img"]).permute(2, 0, 1).double()[None] / 255
    flow = torch.from_numpy(stored[f"s{image}_{case}_flow"]).double()[None]
    readings = {
        "reference_drifting": QUIRKS,
        "corrected_forwardflow_x-F": Settings(direction="forward"),
        "corrected_backwardflow_x+F": Settings(),
    }
    for name, settings in readings.items():
        close(Alignment(settings).warp(picture, flow), stored[f"s{image}_{case}_{name}"], 1e-5)


@pytest.mark.parametrize("case", range(9))
def test_equalisation_is_torchvisions(case: int, golden: Any) -> None:
    stored = golden("zero_tig/equalize.npz")
    levels = torch.from_numpy(stored[f"in{case}"]).permute(2, 0, 1)[None]
    # half a level more, so that truncation gives the level back
    ours = equalise((levels.double() + 0.5) / 255) * 255
    assert torch.equal(ours.round().to(torch.uint8)[0].permute(1, 2, 0), torch.from_numpy(stored[f"out{case}"]))
