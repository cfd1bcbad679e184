"""Training: losses fall, a break changes nothing, shares of a batch, schedule, divergence."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor

from lib.errors import DataMissing, SpecError, Unavailable
from lib.ir_tracking.network_settings import NetworkSettings
from lib.ir_tracking.pairs import PairMaker, PairSettings
from lib.ir_tracking.train import Diverged, Trained, Trainer, TrainingSettings, make_fabric, train
from tests.ir_tracking.moving_spots import Clip, spot_clip, straight

TINY = NetworkSettings.small().but(
    channels=(4, 4, 6, 6, 4), fused_width=6, head_width=6, scales=(2.5,), ratios=(1,), search_px=111,
    training_search_px=111,
)  # fmt: skip
SETTINGS = TrainingSettings(
    num_steps=6, batch_size=4, learning_rates=(0.02, 0.002), warm_up=2, device="cpu", checkpoint_every=2,
    pairs=PairSettings(max_gap=8, negative_share=0.0),
)  # fmt: skip


def clips() -> list[Clip]:
    return [spot_clip(straight(10, start=(30.0 + 9 * idx, 40.0)), size=(64, 80), seed=idx) for idx in range(4)]


def trainer(settings: TrainingSettings = SETTINGS, network: NetworkSettings = TINY) -> Trainer:
    maker = PairMaker(clips(), network=network, settings=settings.pairs, filter_settings=settings.filter)
    return Trainer(maker, settings=settings, fabric=make_fabric(settings))


def weights_of(trained: Trained | Trainer) -> Tensor:
    return torch.cat([value.detach().float().flatten() for value in trained.network.state_dict().values()])


@pytest.mark.parametrize("head", ["depthwise", "correlation"])
def test_losses_fall(head: str, device: torch.device) -> None:
    settings = SETTINGS.but(num_steps=16, batch_size=6, learning_rates=(0.1, 0.03), device=str(device))
    trained = train(clips(), network=TINY.but(head=head), settings=settings)
    assert [step.number for step in trained.steps] == list(range(1, 17))
    first, last = (sum(step.total for step in part) / 4 for part in (trained.steps[:4], trained.steps[-4:]))
    assert last < 0.8 * first
    assert not trained.network.training
    for step in trained.steps:
        assert sum(step.loss_by_name.values()) == pytest.approx(step.total)


def test_resumed_training_ends_where_the_whole_one_does(tmp_path: Path) -> None:
    whole = train(clips(), network=TINY, settings=SETTINGS)
    broken = trainer()
    for _, batch in zip(range(3), broken.batches(), strict=False):
        broken.step(batch)
    broken.save(tmp_path / "training.pt")
    resumed = train(clips(), network=TINY, settings=SETTINGS, checkpoint=tmp_path / "training.pt")
    assert [step.number for step in resumed.steps] == [4, 5, 6]
    assert torch.equal(weights_of(resumed), weights_of(whole))
    assert [path.name for path in tmp_path.iterdir()] == ["training.pt"]


def test_checkpoints_of_something_else_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "training.pt"
    trainer().save(path)
    with pytest.raises(SpecError, match=r"batch_size 4, not 8"):
        train(clips(), network=TINY, settings=SETTINGS.but(batch_size=8), checkpoint=path)
    with pytest.raises(SpecError, match="fusion True, not False"):
        train(clips(), network=TINY.but(fusion=False), settings=SETTINGS, checkpoint=path)
    torch.save({"kind": "other"}, path)
    with pytest.raises(SpecError, match="holds something else"):
        train(clips(), network=TINY, settings=SETTINGS, checkpoint=path)
    path.write_bytes(b"no checkpoint")
    with pytest.raises(DataMissing, match="no readable training checkpoint"):
        train(clips(), network=TINY, settings=SETTINGS, checkpoint=path)


def test_seed_decides_and_nobody_elses_numbers_are_touched() -> None:
    settings = SETTINGS.but(num_steps=2)
    before = torch.random.get_rng_state()
    first = train(clips(), network=TINY, settings=settings)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.rand(3)
    assert torch.equal(weights_of(first), weights_of(train(clips(), network=TINY, settings=settings)))
    assert not torch.equal(weights_of(first), weights_of(train(clips(), network=TINY, settings=settings.but(seed=1))))


def test_workers_change_nothing() -> None:
    settings = SETTINGS.but(num_steps=2)
    alone = train(clips(), network=TINY, settings=settings)
    helped = train(clips(), network=TINY, settings=settings.but(num_workers=1))
    assert torch.equal(weights_of(alone), weights_of(helped))


def test_a_batch_in_parts_has_the_gradient_of_the_whole() -> None:
    """Without norms' statistics of the batch, which parts don't share, and the same number of targets in each pair."""
    gradients = []
    for parts in (1, 2):
        made = trainer(SETTINGS.but(accumulate=parts))
        made.module.eval()
        batch = made.maker.batch([1, 2, 3, 4])
        made.settings = made.settings.but(learning_rates=(1e-9, 1e-9), clip_norm=1e9)
        made.step(batch)
        gradients.append(torch.cat([value.grad.flatten() for value in made.network.parameters()]))
    torch.testing.assert_close(gradients[0], gradients[1], atol=1e-5, rtol=1e-4)


def test_rate_warms_up_and_falls_along_a_logarithm() -> None:
    settings = TrainingSettings()
    rates = [settings.rate(step) for step in range(1000)]
    assert rates[0] == pytest.approx(0.005)
    assert max(rates) == rates[50] == pytest.approx(0.05)
    assert rates[-1] == pytest.approx(1e-4)
    falls = [later / earlier for earlier, later in pairwise(rates[50:])]
    assert max(falls) - min(falls) < 1e-12


def test_training_stops_at_what_is_not_finite() -> None:
    made = trainer()
    batch = made.maker.batch([1, 2, 3, 4])
    before = weights_of(made)
    broken = replace(batch, searches=batch.searches * float("inf"))
    with pytest.raises(Diverged, match=r"stopped at step 1: total loss nan.*classes nan"):
        made.step(broken)
    parameters = torch.cat([value.detach().flatten() for value in made.network.parameters()])
    assert bool(parameters.isfinite().all())
    assert before.numel() == weights_of(made).numel()
    assert made.num_steps == 0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"learning_rates": (1e-4, 0.05)}, "learning_rates must fall"),
        ({"batch_size": 3, "accumulate": 2}, "multiple of num_devices x accumulate"),
        ({"precision": "half"}, "full, bf16"),
        ({"box_loss": "l2"}, "smooth_l1, l1"),
        ({"num_steps": -1}, "num_steps"),
        ({"clip_norm": 0.0}, "clip_norm"),
    ],
)
def test_settings_that_cannot_be(changes: dict[str, object], words: str) -> None:
    with pytest.raises(SpecError, match=words):
        TrainingSettings().but(**changes)


def test_bf16_trains_and_keeps_losses_in_full() -> None:
    trained = train(clips(), network=TINY, settings=SETTINGS.but(precision="bf16", num_steps=1))
    assert next(trained.network.parameters()).dtype == torch.float32
    assert trained.steps[0].total > 0


def test_paper_settings() -> None:
    paper = TrainingSettings.paper()
    assert (paper.num_steps, paper.learning_rates) == (1000, (0.05, 1e-4))
    if not torch.cuda.is_available():
        with pytest.raises(Unavailable):
            make_fabric(paper)
