"""`nocturne apply` of all papers goes on after a break: to the same frames, masks, labels, tables and weights."""

import importlib
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import lib.footage.run
from lib.footage import Run
from tests.footage.papers import PAPERS, PART_FRAMES, Paper, assert_same, stopped


@pytest.fixture(autouse=True)
def short_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lib.footage.run, "PART_FRAMES", PART_FRAMES)


@pytest.mark.parametrize("paper", PAPERS, ids=str)
def test_a_stopped_run_goes_on_to_the_same_result(
    paper: Paper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source, options = paper.footage(tmp_path / "in"), {**paper.options, **paper.prepare(tmp_path)}
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    paper.apply(source, whole / "out.mp4", **paper.results(whole), **options)
    with stopped(monkeypatch, before_result=3):
        paper.apply(source, broken / "out.mp4", **paper.results(broken), **options)
    assert [path.name for path in broken.iterdir()] == ["out.mp4.part"]
    assert "stopped with 2 of 5 frames done" in capsys.readouterr().err
    written = []
    real = Run.write
    monkeypatch.setattr(Run, "write", lambda run, *a, **k: written.append(run.idx) or real(run, *a, **k))
    paper.apply(source, broken / "out.mp4", **paper.results(broken), **options)
    assert written == [2, 3, 4]
    assert "training" not in capsys.readouterr().err.replace("training epochs: 0", "")
    assert_same(whole, broken, paper)
    assert not list(broken.glob("*.part"))


@pytest.mark.parametrize(
    ("name", "where", "after"),
    [("zero_tig", "lib.zero_tig.train.Trainer.step", 4), ("fodvid", "lib.fodvid.train.SegmenterTrainer.step", 1)],
)
def test_a_stopped_training_goes_on_to_the_same_weights(
    name: str, where: str, after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paper = next(one for one in PAPERS[::-1] if one.name == name)
    monkeypatch.setattr("lib.zero_tig.train.SAVE_EVERY_S", 0.0)
    options = {**paper.options, "epochs": 2}
    owner, method = where.rsplit(".", 1)
    module, kind = owner.rsplit(".", 1)
    trainer = getattr(importlib.import_module(module), kind)
    real, steps = getattr(trainer, method), []

    def counted(*arguments: Any) -> Any:
        if len(steps) == after:
            steps.append("stop")
            raise KeyboardInterrupt
        steps.append("step")
        return real(*arguments)

    source, folders = paper.footage(tmp_path / "in", num_frames=3), (tmp_path / "whole", tmp_path / "broken")
    for folder in folders:
        folder.mkdir()
    paper.apply(source, folders[0] / "out", **paper.results(folders[0]), **options)
    monkeypatch.setattr(trainer, method, counted)
    with pytest.raises(KeyboardInterrupt):
        paper.apply(source, folders[1] / "out", **paper.results(folders[1]), **options)
    assert [path.name for path in folders[1].iterdir()] == ["out.part"]
    paper.apply(source, folders[1] / "out", **paper.results(folders[1]), **options)
    num_steps = 6 if name == "zero_tig" else 2
    assert steps.count("step") == num_steps
    for one, two in zip(sorted(folders[0].rglob("*")), sorted(folders[1].rglob("*")), strict=True):
        assert one.is_dir() or one.read_bytes() == two.read_bytes()


SCRIPT = """
import signal, sys
import lib.footage.run as module
from lib.bench.cli import main
real = module.Run.write
def write(run, *arguments, **options):
    if run.idx == 3:
        signal.raise_signal(signal.SIGKILL)
    real(run, *arguments, **options)
module.Run.write, module.PART_FRAMES = write, 2
main()
"""


def test_a_killed_process_goes_on(tmp_path: Path) -> None:
    (paper,) = (one for one in PAPERS if one.name == "context_fusion")
    source, options = paper.footage(tmp_path / "in"), {**paper.options, **paper.prepare(tmp_path)}
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    paper.apply(source, whole / "out.mp4", **options)
    given = [part for key, value in options.items() for part in (f"--{key.replace('_', '-')}", str(value))]
    command = [sys.executable, "-c", SCRIPT, "apply", paper.name, str(source), str(broken / "out.mp4"), *given]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert [path.name for path in broken.iterdir()] == ["out.mp4.part"]
    paper.apply(source, broken / "out.mp4", **options)
    assert_same(whole, broken, paper)
