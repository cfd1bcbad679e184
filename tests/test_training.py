"""The shared ground of trainings: a stop that names what diverged, checkpoints of one kind, devices that are there."""

import math
from pathlib import Path

import pytest
import torch

from lib.errors import DataMissing, LabError, SpecError, Unavailable
from lib.training import Diverged, check_finite, check_same_training, make_fabric, read_training, write_training


@pytest.mark.parametrize(
    ("parts", "norm"),
    [({"softmax": math.nan, "context": 1.0}, 1.0), ({"softmax": math.inf}, 1.0), ({"softmax": 1.0}, math.inf)],
)
def test_what_is_not_finite_is_named(parts: dict[str, float], norm: float) -> None:
    with pytest.raises(Diverged, match=r"step 7: .*softmax .*; take less") as found:
        check_finite(7, parts, norm, cure="take less")
    assert isinstance(found.value, LabError)
    assert all(name in str(found.value) for name in parts)


def test_a_finite_step_passes() -> None:
    check_finite(1, {"softmax": -3.0}, 1e30, cure="")


def test_checkpoints_come_back_and_have_a_kind(tmp_path: Path) -> None:
    path = tmp_path / "training.pt"
    write_training(path, "cat training", {"weights": torch.arange(3), "steps": 4})
    held = read_training(path, "cat training", device=torch.device("cpu"))
    assert held["weights"].tolist() == [0, 1, 2]
    assert held["steps"] == 4
    assert [file.name for file in tmp_path.iterdir()] == ["training.pt"]
    with pytest.raises(SpecError, match="dog training"):
        read_training(path, "dog training", device=torch.device("cpu"))
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(DataMissing, match="checkpoint"):
        read_training(path, "cat training", device=torch.device("cpu"))
    with pytest.raises(DataMissing, match="checkpoint"):
        read_training(tmp_path / "absent.pt", "cat training", device=torch.device("cpu"))


def test_another_training_is_told_by_its_settings(tmp_path: Path) -> None:
    then = {"rate": 0.1, "seed": 1, "device": "cpu"}
    check_same_training(then, {"rate": 0.1, "seed": 1, "device": "cuda"}, free=("device",), path=tmp_path)
    with pytest.raises(SpecError, match=r"rate 0\.1, not 0\.2; seed 1, not 3;"):
        check_same_training(then, {"rate": 0.2, "seed": 3, "device": "cpu"}, free=("device",), path=tmp_path)


def test_devices_and_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    fabric = make_fabric(device="cpu", precision="bf16")
    assert fabric.device.type == "cpu"
    assert fabric.world_size == 1
    monkeypatch.setattr("lib.device", lambda _name: torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(Unavailable, match="2 GPUs"):
        make_fabric(device="cuda", num_devices=2)
