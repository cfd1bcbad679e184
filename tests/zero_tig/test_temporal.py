"""Temporal feedback: the previous result lands where the scene has moved to."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lib.flow import load_flow
from lib.zero_tig import Alignment, Enhancer, Settings, State, ZeroTIG, equalise
from lib.zero_tig.weights import with_statistics


def scene(device: torch.device) -> Tensor:
    """A smooth colourful picture (1, 3, 200, 260)."""
    coarse = torch.rand(1, 3, 26, 34, generator=torch.Generator().manual_seed(3))
    return F.interpolate(coarse, size=(200, 260), mode="bicubic").clamp(0, 1).to(device)


@pytest.mark.parametrize("direction", ["backward", "forward"])
def test_moved_scene_is_met(direction: str, device: torch.device) -> None:
    picture = scene(device)
    shift = (6, -3)  # columns right, rows up
    now = picture.roll((shift[1], shift[0]), dims=(-2, -1))
    align = Alignment(Settings(direction=direction, equalise=False))  # type: ignore[arg-type]
    aligned = align(State(picture, picture), now)
    inside = (..., slice(20, -20), slice(20, -20))
    before = (picture[inside] - now[inside]).abs().mean()
    after = (aligned.reflectance[inside] - now[inside]).abs().mean()
    assert after < 0.15 * before
    assert torch.equal(aligned.reflectance, aligned.illumination)


def test_dark_frame_meets_the_bright_result_through_equalisation(device: torch.device) -> None:
    picture = scene(device)
    dark = 0.15 * picture.roll(5, dims=-1)
    errors = {}
    for equalised in (True, False):
        align = Alignment(Settings(equalise=equalised), smallest_side=64)
        flow = align.flow(picture, dark)[..., 10:-10, 10:-10]
        errors[equalised] = (flow[:, 0] + 5 / 3).abs().mean().item()  # at a third of the size, back to where it was
    assert errors[True] < 0.35
    assert errors[True] < errors[False]


def test_zero_flow_is_the_identity_and_outside_is_zero() -> None:
    picture = torch.rand(1, 6, 31, 47)
    align = Alignment()
    assert torch.equal(align.warp(picture, torch.zeros(1, 2, 10, 15)), picture)
    away = align.warp(picture, torch.full((1, 2, 10, 15), 100.0))
    assert away.abs().max() == 0


def test_small_frames_are_shrunk_less() -> None:
    sizes = {side: Alignment().shrink(torch.rand(1, 3, side, side)).shape[-1] for side in (30, 255, 256, 383, 384)}
    assert sizes == {30: 30, 255: 255, 256: 128, 383: 191, 384: 128}
    full_hd = Alignment().shrink(torch.rand(1, 3, 1080, 1920))
    assert full_hd.shape[-2:] == (360, 640)  # the paper's factor 3


def test_equalisation_spreads_each_channel() -> None:
    dark = 0.1 * torch.rand(2, 3, 40, 40, generator=torch.Generator().manual_seed(0))
    spread = equalise(dark)
    assert spread.shape == dark.shape
    assert spread.amax(dim=(2, 3)).min() == 1
    assert (spread.mean(dim=(2, 3)) - 0.5).abs().max() < 0.05


def test_equalisation_of_a_constant_changes_nothing() -> None:
    constant = torch.full((1, 3, 8, 8), 51 / 255 + 1e-4)
    torch.testing.assert_close(equalise(constant), torch.full((1, 3, 8, 8), 51 / 255))


@pytest.mark.slow
@pytest.mark.parametrize("reading", ["corrected", "quirk"])
def test_pipeline_with_a_real_flow_network_is_the_published_one(
    reading: str, golden: Any, tensors: Any, reference: Path
) -> None:
    stored = golden("zero_tig/zero_tig_real_raftsmall_pipeline.npz")
    quirks = reading == "quirk"
    settings = Settings(direction="forward" if quirks else "backward", reference_quirks=quirks, cut_detection=False)
    estimator = load_flow("raft_small", weights=reference / "realdata/weights/raft_small.safetensors", iterations=20)
    flows: list[Tensor] = []

    def watched(first: Tensor, second: Tensor) -> Tensor:
        flows.append(estimator(first, second))
        return flows[-1]

    model = ZeroTIG(settings, align=Alignment(settings, estimator=watched))
    model.load_state_dict(with_statistics(tensors("zero_tig_real_weights")))
    stream = Enhancer(model).stream(torch.from_numpy(stored["frames"][:2]).permute(0, 3, 1, 2).float() / 255)
    for idx, result in enumerate(stream):
        crop = result[:, 160:224, 240:336]
        assert (crop - torch.from_numpy(stored[f"{reading}_R{idx}_crop"])).abs().mean() < 2e-3
        means = torch.from_numpy(stored[f"{reading}_R{idx}_mean"])
        torch.testing.assert_close(result.mean(dim=(1, 2)), means.float(), rtol=0, atol=2e-3)
    distance = (flows[0][0] - torch.from_numpy(stored[f"{reading}_flow1"])).norm(dim=0)
    assert distance.mean() < 0.02
