"""Comparisons with and without the regulariser: paired by seed, recorded once, and the CamVid command end to end."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn

from lib.context_reg import camvid_experiment
from lib.context_reg.camvid_experiment import Budget, run_camvid, summary
from lib.context_reg.compare import ALONE, Run, paired_differences, read_runs, run_all, scores_of, shrunk
from lib.context_reg.networks import NetworkSettings
from lib.context_reg.recipes import TrainingSettings
from lib.context_reg.settings import RegularizationSettings
from lib.data.images import write_image
from lib.data.labels import LabelledPicture
from lib.data.origin import Origin
from lib.errors import DataMissing

ORIGIN = Origin("halves", "simulated", "MIT", "", "this test")
NETWORK = NetworkSettings(host="fcn32s", num_classes=2, width=1, padding="head", class_names=("dark", "light"))
SETTINGS = TrainingSettings(num_steps=3, batch_size=2, scale=(1.0, 1.0), device="cpu", learning_rate=0.1)
VARIANTS = {ALONE: None, "lambda 0.1": RegularizationSettings(weight=0.1)}


def halves(idx: int) -> LabelledPicture:
    labels = (torch.arange(20) >= 4 + idx).long().expand(16, 20)
    return LabelledPicture(f"halves {idx}", 0.2 + 0.6 * labels.float().expand(3, 16, 20), labels, ORIGIN)


DATA = [halves(idx) for idx in range(4)]


@pytest.fixture
def linear(monkeypatch: pytest.MonkeyPatch) -> None:
    """One 1x1 convolution in place of every host."""
    monkeypatch.setattr(
        "lib.context_reg.train.build_network", lambda settings, vgg: nn.Conv2d(3, settings.num_classes, 1)
    )


def test_shrunk_pictures_keep_their_classes() -> None:
    picture = replace(halves(6), hha=torch.full((3, 16, 20), 0.25))
    (small,) = shrunk([picture], (8, 10))
    assert small.image.shape == small.hha.shape == (3, 8, 10)
    assert torch.equal(small.labels, picture.labels[::2, ::2])
    assert small.hha.unique().tolist() == pytest.approx([0.25])
    inside = small.image[0][:, [0, 1, 8, 9]]
    torch.testing.assert_close(inside, torch.tensor([0.2, 0.2, 0.8, 0.8]).expand(8, 4))


@pytest.mark.usefixtures("linear")
def test_runs_are_recorded_and_not_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = {"networks": [(NETWORK, SETTINGS)], "variants": VARIANTS, "seeds": [3, 4]}
    runs = run_all(DATA, DATA, folder=tmp_path, **arguments)
    assert [(run.variant, run.seed) for run in runs] == [(ALONE, 3), ("lambda 0.1", 3), (ALONE, 4), ("lambda 0.1", 4)]
    assert runs[0].kernels is None
    assert len(runs[1].kernels) == 8
    assert runs[1].last_loss["context"] > 0 == runs[0].last_loss["context"]
    assert set(runs[0].iu_by_class) == {"dark", "light"}
    assert "mean IU" in runs[0].score_by_name
    assert "small-object IU" not in runs[0].score_by_name  # both halves are large
    assert runs[0].settings["training"]["seed"] == 3
    monkeypatch.setattr("lib.context_reg.compare.run_once", None)
    again = run_all(DATA, DATA, folder=tmp_path, **arguments)
    assert [run.score_by_name for run in again] == [run.score_by_name for run in runs]
    assert sorted(run.variant for run in read_runs(tmp_path)) == sorted(run.variant for run in runs)
    with pytest.raises(DataMissing, match="no run"):
        read_runs(tmp_path / "none")


def run(variant: str, seed: int, value: float) -> Run:
    return Run("segnet", variant, seed, {"mean IU": value}, {}, 1.0, {}, {}, None, {})


def test_differences_are_paired_by_seed() -> None:
    runs = [run(ALONE, 0, 10), run("with", 1, 25), run("with", 0, 12), run(ALONE, 1, 20), run("with", 2, 90)]
    assert scores_of(runs, "segnet", "with", "mean IU") == {1: 25, 0: 12, 2: 90}
    assert paired_differences(runs, "segnet", "with", "mean IU") == [2, 5]
    with pytest.raises(DataMissing, match="no seed"):
        paired_differences(runs, "segnet", "other", "mean IU")


@pytest.mark.usefixtures("linear")
def test_the_camvid_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, out = tmp_path / "camvid", tmp_path / "runs"
    for split, num in (("train", 2), ("val", 1)):
        (root / split).mkdir(parents=True)
        (root / f"{split}annot").mkdir()
        for idx in range(num):
            write_image(root / split / f"{idx}.png", torch.rand(3, 24, 32))
            labels = torch.randint(0, 12, (24, 32), dtype=torch.uint8)
            Image.fromarray(labels.numpy()).save(root / f"{split}annot" / f"{idx}.png")
    monkeypatch.setattr(camvid_experiment, "BUDGETS", {"segnet": Budget((12, 16), 1, 1e-3)})
    camvid_experiment.main(root, out, seed=[5, 6])
    assert len(list(out.glob("*.json"))) == 4
    held = json.loads((out / "segnet-softmax_loss_alone-5.json").read_text())
    assert held["score_by_name"].keys() >= {"mean IU", "fw IU", "boundary F", "small-object IU"}
    said = summary(read_runs(out)).splitlines()
    assert len(said) == 12
    assert any("difference" in line and "±" in line for line in said)
    # nothing is run again
    monkeypatch.setattr("lib.context_reg.compare.run_once", None)
    assert len(run_camvid(root, hosts=["segnet"], variants={ALONE: None}, seeds=[5], folder=out)) == 1
