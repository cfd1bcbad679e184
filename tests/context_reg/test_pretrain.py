"""The command that makes the shipped network, and the network itself."""

from pathlib import Path

import pytest
import torch

from lib.context_reg import pretrain as module
from lib.context_reg.evaluate import count
from lib.context_reg.networks import NetworkSettings, load_network
from lib.context_reg.pretrain import CASE, TEST_SEED, TRAIN_SEED, Pretraining, main, pretrain
from lib.context_reg.scenes import simulated_rooms
from lib.errors import SpecError

TINY = Pretraining(num_rooms=4, height_px=32, width=1, num_steps=1, device="cpu")


def test_the_second_training_has_the_regulariser_and_the_first_has_not() -> None:
    rooms = simulated_rooms(4, seed=1, height_px=32, num_classes=4)
    trained, again = pretrain(rooms, TINY), pretrain(rooms, TINY)
    assert trained.settings.regularization is not None
    assert trained.kernels is not None
    assert len(trained.steps) == 1
    assert trained.network_settings.class_names == ("floor", "structure", "furniture", "prop")
    for ours, theirs in zip(trained.network.parameters(), again.network.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_the_command_writes_what_can_be_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "Pretraining", lambda **given: Pretraining(**{**given, "width": 1, "height_px": 32}))
    out = tmp_path / "rooms.safetensors"
    main(steps=1, num_rooms=2, num_tests=1, out=out, device="cpu", seed=3)
    loaded = load_network(out)
    assert (loaded.settings.host, loaded.settings.width, loaded.settings.seen_px) == ("segnet", 1, 32)
    assert "mean IU" in capsys.readouterr().out


def test_what_it_learns_from_is_not_what_it_is_scored_on() -> None:
    assert len({TRAIN_SEED, TEST_SEED, 0, 1000, 2000}) == 5  # the notebooks' with their default seed
    with pytest.raises(SpecError, match="seen_px"):
        NetworkSettings(seen_px=-1)


def test_the_shipped_network_knows_rooms() -> None:
    """Far more than the commonest class everywhere, which is a mean IU of an eighth or so."""
    loaded = load_network()
    assert loaded.settings.num_classes == CASE.num_classes
    tests = simulated_rooms(8, seed=TEST_SEED, height_px=loaded.settings.seen_px, num_classes=CASE.num_classes)
    scores = count(loaded.network, loaded.settings, tests).scores()
    assert scores["mean IU"] > 28
    assert scores["pixel accuracy"] > 55
