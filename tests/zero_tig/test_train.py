"""Training: resumes to the same result, stops at what is not finite, samples long videos."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from lib.errors import DataMissing, ShapeError, SpecError, Unavailable
from lib.zero_tig import Diverged, LossWeights, Settings, Trainer, ZeroIG, ZeroTIG
from lib.zero_tig.train import RUN


def clip(num_frames: int = 3, seed: int = 0) -> list[Tensor]:
    """A dark picture that moves by a pixel a frame, with noise."""
    generator = torch.Generator().manual_seed(seed)
    scene = torch.nn.functional.interpolate(torch.rand(1, 3, 6, 8, generator=generator), size=(32, 48), mode="bicubic")
    still = scene[0].clamp(0, 1) * 0.2
    return [
        (still.roll(idx, -1) + 0.01 * torch.randn(3, 32, 48, generator=generator)).clamp(0, 1)
        for idx in range(num_frames)
    ]


@pytest.fixture
def trainer(device: torch.device) -> Callable[..., Trainer]:
    def build(kind: type[ZeroIG] = ZeroTIG, **settings: object) -> Trainer:
        torch.manual_seed(0)
        return Trainer(kind(Settings(**{"epochs": 2, **settings})).to(device))  # type: ignore[arg-type]

    return build


def weights_of(trainer: Trainer) -> Tensor:
    return torch.cat([value.detach().flatten() for value in trainer.model.parameters()])


def test_loss_falls_and_every_part_is_told(trainer: Callable[..., Trainer]) -> None:
    steps = trainer(epochs=8, learning_rate=1e-3).fit(clip(), total=3)
    assert [step.number for step in steps] == list(range(1, 25))
    assert steps[-1].total < 0.7 * steps[0].total
    for step in steps:
        assert sum(step.loss_by_name.values()) == pytest.approx(step.total, rel=1e-5)


def test_same_seed_same_weights(trainer: Callable[..., Trainer]) -> None:
    first, second = trainer(), trainer()
    first.fit(clip())
    second.fit(clip())
    assert torch.equal(weights_of(first), weights_of(second))


@pytest.mark.parametrize("kind", [ZeroIG, ZeroTIG])
def test_resumed_training_ends_where_the_whole_one_does(
    kind: type[ZeroIG], trainer: Callable[..., Trainer], tmp_path: Path
) -> None:
    whole = trainer(kind)
    whole.fit(clip())
    broken = trainer(kind)
    frames = broken._remaining(clip(), 1, 1)
    for _ in range(4):  # one epoch and one frame
        broken.step(next(frames))
    broken.save(tmp_path / "training.pt")
    resumed = trainer(kind)
    resumed.resume(tmp_path / "training.pt")
    steps = resumed.fit(clip())
    assert [step.number for step in steps] == [5, 6]
    assert torch.equal(weights_of(resumed), weights_of(whole))


def test_state_is_carried_within_and_not_across_epochs(trainer: Callable[..., Trainer]) -> None:
    seen = []
    tried = trainer()
    align = tried.model.align
    tried.model.align = lambda state, denoised: seen.append(tried.num_steps) or align(state, denoised)
    tried.fit(clip())
    assert seen == [1, 2, 4, 5]


def test_a_cut_starts_a_new_sequence(trainer: Callable[..., Trainer]) -> None:
    tried, seen = trainer(epochs=1), []
    align = tried.model.align
    tried.model.align = lambda state, denoised: seen.append(tried.num_steps) or align(state, denoised)
    # another scene, twice as bright and of other colours
    other = [(0.8 - 2 * frame.flip(0).flip(-1)).clamp(0, 1) for frame in clip(2, seed=5)]
    tried.fit([*clip(2), *other])
    assert seen == [1, 3]


def test_frames_of_another_size_start_a_new_sequence(trainer: Callable[..., Trainer]) -> None:
    smaller = [frame[:, :30, :40] for frame in clip(2)]
    assert len(trainer(epochs=1).fit([*clip(2), *smaller])) == 4


@pytest.mark.parametrize(
    ("total", "expected"), [(40, [0, 1, 2, 3, 4, 5, 6, 7, 20, 21, 22, 23, 24, 25, 26, 27]), (None, range(16))]
)
def test_long_videos_train_on_runs(total: int | None, expected: list[int], trainer: Callable[..., Trainer]) -> None:
    tried = trainer(epochs=1, training_frames=16)
    numbered = [torch.full((3, 24, 24), idx / 100) for idx in range(40)]
    chosen = [round(frame[0, 0, 0].item() * 100) for frame in tried._remaining(numbered, *tried._runs(total))]
    assert chosen == list(expected)
    assert RUN == 8


def test_training_sees_the_centre_only(trainer: Callable[..., Trainer]) -> None:
    frame = clip(1)[0]
    (seen,) = trainer(epochs=1, crop_px=24)._remaining([frame], 1, 1)
    assert torch.equal(seen, frame[:, 4:28, 12:36])


def test_divergence_stops_with_step_and_parts_and_keeps_the_weights(trainer: Callable[..., Trainer]) -> None:
    tried = trainer(weights=LossWeights(color=3e38), epochs=1)
    before = weights_of(tried)
    with pytest.raises(Diverged, match=r"step 1: .* gradient norm inf \(over .*color .*smaller learning_rate"):
        tried.step(torch.full((3, 30, 30), 0.1).index_fill(2, torch.arange(15), 0.9))
    assert torch.equal(weights_of(tried), before)


def test_bad_frames_and_files_are_refused(trainer: Callable[..., Trainer], tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match="at least one frame"):
        trainer().fit([])
    with pytest.raises(ShapeError, match="finite"):
        trainer().fit([clip(1)[0].fill_(float("nan"))])
    (tmp_path / "text.pt").write_text("nothing")
    with pytest.raises(DataMissing, match="no readable training checkpoint"):
        trainer().resume(tmp_path / "text.pt")
    trainer(ZeroIG).save(tmp_path / "single.pt")
    with pytest.raises(SpecError, match="checkpoint of ZeroTIG: it holds ZeroIG"):
        trainer(ZeroTIG).resume(tmp_path / "single.pt")


def test_mixed_precision_needs_a_gpu() -> None:
    with pytest.raises(Unavailable, match="mixed precision needs a GPU"):
        Trainer(ZeroIG(Settings(precision="mixed")))
