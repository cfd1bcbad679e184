"""Clips that the shipped network learns from, and a training of a few steps by the command's own functions."""

from pathlib import Path

import pytest
import torch
from torch import Generator

from lib.errors import SpecError
from lib.ir_tracking.bodies import BodySettings, body_clip
from lib.ir_tracking.network_settings import NetworkSettings
from lib.ir_tracking.pairs import PairSettings, usable_frames
from lib.ir_tracking.pretrain import Pretraining, SimulatedClips, main, pretrain
from lib.ir_tracking.train import TrainingSettings

PLAN = Pretraining(
    num_sequences=6,
    side_px=64,
    num_frames=4,
    body=BodySettings(side_px=64, num_frames=3, heights_px=(8.0, 24.0)),
    network=NetworkSettings.small().but(channels=(4, 4, 4, 4, 4), fused_width=4, head_width=4),
    training=TrainingSettings(num_steps=2, batch_size=2, warm_up=1, device="cpu", pairs=PairSettings(max_gap=4)),
)


def test_clips_are_made_once_and_the_same_again() -> None:
    clips, again = SimulatedClips(PLAN), SimulatedClips(PLAN)
    assert len(clips) == 6
    sizes = set()
    for idx in range(6):
        clip = clips[idx]
        assert clips[idx] is clip
        assert torch.equal(clip.frames, again[idx].frames)
        assert torch.equal(clip.boxes, again[idx].boxes)
        assert usable_frames(clip)
        sizes.add(len(clip.frames))
    assert sizes == {3, 4}  # bodies and scans
    assert not torch.equal(clips[0].frames[:3], SimulatedClips(PLAN.but(seed=1))[0].frames[:3])
    with pytest.raises(IndexError):
        clips[6]


def test_a_body_is_warmest_inside_its_box() -> None:
    settings = BodySettings(num_others=0, contrast=(4.0, 4.0), heights_px=(30.0, 40.0))
    for seed in range(4):
        clip = body_clip(settings, Generator().manual_seed(seed))
        for frame, box in zip(clip.frames[:, 0], clip.boxes.tolist(), strict=True):
            x, y, w, h = box
            left, top = max(round(x), 0), max(round(y), 0)
            inside = frame[top : round(y + h), left : round(x + w)]
            assert float(inside.mean()) > float(frame.mean()) + 0.5
            assert 25 < h < 60


def test_bodies_move_and_their_visibility_is_being_whole_in_the_frame() -> None:
    clip = body_clip(BodySettings(speed_px=30.0), Generator().manual_seed(3))
    inside = ((clip.boxes[:, :2] >= 0) & (clip.boxes[:, :2] + clip.boxes[:, 2:] <= 160)).all(dim=1)
    assert torch.equal(clip.visible, inside)
    assert float((clip.boxes[1:, :2] - clip.boxes[:-1, :2]).abs().max()) > 5


def test_pretraining_repeats(tmp_path: Path) -> None:
    first, again = (pretrain(PLAN, checkpoint=tmp_path / f"{idx}.pt") for idx in range(2))
    for one, other in zip(first.network.parameters(), again.network.parameters(), strict=True):
        assert torch.equal(one, other)
    assert [step.number for step in first.steps] == [1, 2]


def test_the_wide_network_is_no_shipped_file() -> None:
    with pytest.raises(SpecError, match="needs --out"):
        main(steps=0, width="wide")
    with pytest.raises(SpecError, match="one of small, wide: got 'broad'"):
        main(steps=0, width="broad")


def test_the_wide_network_has_the_small_ones_anchors_in_the_frame() -> None:
    small, wide = NetworkSettings.small(), NetworkSettings.wide()
    sides = [[scale * one.stride / one.template_px for scale in one.scales] for one in (small, wide)]
    assert sides[1] == pytest.approx(sides[0], rel=0.25)
    assert min(sides[1]) == pytest.approx(min(sides[0]), rel=0.01)
    assert (wide.ratios, wide.head, wide.inputs) == (small.ratios, small.head, small.inputs)
    assert wide.channels == NetworkSettings().channels
