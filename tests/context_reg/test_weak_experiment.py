"""The command that trains with strokes, end to end, on rooms and on CamVid."""

from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn

from lib.context_reg import weak_experiment
from lib.context_reg.compare import ALONE, read_runs
from lib.context_reg.weak_experiment import main
from lib.data.images import write_image


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """One 1x1 convolution in place of the host, few and small rooms."""
    monkeypatch.setattr("lib.context_reg.train.build_network", lambda one, vgg: nn.Conv2d(3, one.num_classes, 1))
    monkeypatch.setattr("lib.context_reg.weak_experiment.NUM_ROOMS", 2)
    monkeypatch.setattr("lib.context_reg.weak_experiment.NUM_TESTS", 1)
    monkeypatch.setattr("lib.context_reg.weak_experiment.HEIGHT_PX", 24)


def test_on_rooms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    main(tmp_path / "runs", steps=2, seed=[4, 5])
    runs = read_runs(tmp_path / "runs")
    assert sorted({run.seed for run in runs}) == [4, 5]
    assert {run.variant for run in runs} == {ALONE, "with the regulariser", "with the regulariser, lambda 0.3"}
    assert all((run.last_loss["context"] > 0) == (run.variant != ALONE) for run in runs)
    said = capsys.readouterr().out
    assert "% of all pixels" in said
    assert "mean IU, with the regulariser, lambda 0.3" in said
    monkeypatch.setattr("lib.context_reg.compare.run_once", None)
    main(tmp_path / "runs", steps=2, seed=[4, 5])  # nothing is run again


def test_on_camvid(tmp_path: Path) -> None:
    for split in ("train", "val"):
        (tmp_path / split).mkdir()
        (tmp_path / f"{split}annot").mkdir()
        write_image(tmp_path / split / "0.png", torch.rand(3, 45, 60))
        labels = torch.randint(0, 12, (9, 12)).repeat_interleave(5, 0).repeat_interleave(5, 1)
        Image.fromarray(labels.byte().numpy()).save(tmp_path / f"{split}annot" / "0.png")
    main(tmp_path / "runs", camvid=tmp_path, steps=1, seed=[0])
    assert len(read_runs(tmp_path / "runs")) == len(weak_experiment.VARIANTS)
    assert {len(run.iu_by_class) for run in read_runs(tmp_path / "runs")} <= set(range(1, 12))
