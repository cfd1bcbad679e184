"""`nocturne apply` of all papers: the same options, previews, refusals, and runs that go on after a break."""

import inspect
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from typer.testing import CliRunner

import lib.footage.run
from lib.data.images import read_image, write_image
from lib.data.video import open_video
from lib.errors import DataMissing, LabError, SpecError
from lib.footage import Run
from tests.footage.papers import NUM_FRAMES, ONE_EACH, PAPERS, PART_FRAMES, Paper, stopped


@pytest.fixture(autouse=True)
def short_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lib.footage.run, "PART_FRAMES", PART_FRAMES)


def frames_of(path: Path) -> list[tuple[float, torch.Tensor]]:
    with open_video(path) as reader:
        return list(reader.timed())


def assert_same(one: Path, two: Path, paper: Paper) -> None:
    """OUT and what is beside it, in two folders."""
    for name in ("out.mp4", *paper.beside.values()):
        first, second = ([path / name, *sorted((path / name).glob("*"))] for path in (one, two))
        assert [path.name for path in first] == [path.name for path in second]
        assert [path.read_bytes() for path in first if path.is_file()] == [
            path.read_bytes() for path in second if path.is_file()
        ]
    first_frames, second_frames = frames_of(one / "out.mp4"), frames_of(two / "out.mp4")
    assert len(first_frames) == NUM_FRAMES
    for (time_s, frame), (other_s, other) in zip(first_frames, second_frames, strict=True):
        assert time_s == other_s
        assert torch.equal(frame, other)


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
    owner, method = where.rsplit(".", 1)
    module, kind = owner.rsplit(".", 1)
    trainer = getattr(sys.modules.get(module) or __import__(module, fromlist=[kind]), kind)
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
    paper.apply(source, folders[0] / "out", **paper.results(folders[0]), **paper.options)
    monkeypatch.setattr(trainer, method, counted)
    with pytest.raises(KeyboardInterrupt):
        paper.apply(source, folders[1] / "out", **paper.results(folders[1]), **paper.options)
    assert [path.name for path in folders[1].iterdir()] == ["out.part"]
    paper.apply(source, folders[1] / "out", **paper.results(folders[1]), **paper.options)
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
        print("here", flush=True)
        signal.pause()
    real(run, *arguments, **options)
module.Run.write, module.PART_FRAMES = write, 2
main()
"""


@pytest.mark.parametrize(("name", "kill"), [("context_reg", signal.SIGINT), ("context_fusion", signal.SIGKILL)])
def test_a_killed_process_goes_on(name: str, kill: signal.Signals, tmp_path: Path) -> None:
    paper = next(one for one in PAPERS if one.name == name)
    source, options = paper.footage(tmp_path / "in"), {**paper.options, **paper.prepare(tmp_path)}
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    paper.apply(source, whole / "out.mp4", **paper.results(whole), **options)
    given = {key.replace("_", "-"): str(value) for key, value in {**options, **paper.results(broken)}.items()}
    texts = [part for key, value in given.items() for part in (f"--{key}", value)]
    command = [sys.executable, "-c", SCRIPT, "apply", name, str(source), str(broken / "out.mp4"), *texts]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "here\n"
        child.send_signal(kill)
        said = child.communicate(timeout=60)[1]
    assert child.returncode != 0
    assert kill == signal.SIGKILL or "the same command goes on from there" in said
    assert [path.name for path in broken.iterdir()] == ["out.mp4.part"]
    paper.apply(source, broken / "out.mp4", **paper.results(broken), **options)
    assert_same(whole, broken, paper)


@pytest.mark.parametrize("paper", ONE_EACH, ids=str)
def test_preview_shows_three_frames_and_writes_nothing_else(
    paper: Paper, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, options = paper.footage(tmp_path / "in"), {**paper.options, **paper.prepare(tmp_path)}
    before = set(tmp_path.rglob("*"))
    paper.apply(source, tmp_path / "out.mp4", preview=True, **paper.results(tmp_path), **options)
    assert set(tmp_path.rglob("*")) - before == {tmp_path / "out.preview.png"}
    assert capsys.readouterr().out == f"{tmp_path / 'out.preview.png'}\n"
    picture = read_image(tmp_path / "out.preview.png")
    height, width = paper.frame(0).shape[1:]
    assert picture.shape == (3, 3 * (height + 24), 2 * width + 6)
    for row, idx in enumerate((0, 2, 4)):
        frame = picture[:, row * (height + 24) + 24 : (row + 1) * (height + 24)]
        assert (frame[..., :width] - paper.frame(idx)).abs().max() <= 0.5 / 255 + 1e-6
        assert not torch.equal(frame[..., :width], frame[..., width + 6 :])


@pytest.mark.parametrize("paper", ONE_EACH, ids=str)
@pytest.mark.parametrize(
    ("source", "out", "error", "words"),
    [
        ("absent.mp4", "out.mp4", DataMissing, "absent.mp4 does not exist"),
        ("text.mp4", "out.mp4", DataMissing, "cannot read .*text.mp4 as a video"),
        ("empty", "out.mp4", DataMissing, "holds no picture"),
        ("in", "there.mp4", SpecError, "exists already; give OUT another name, or --force to replace it"),
        ("in", "full", SpecError, "exists already; give OUT a folder that does not"),
        ("in", "out.avi", SpecError, r"a result ends in .*: got 'out.avi'"),
        ("in", "in/out.mp4", SpecError, "lies inside the input folder"),
        ("in", "in", SpecError, "would replace the input"),
        ("in", "nowhere/out.mp4", DataMissing, "nowhere does not exist; create it first"),
        ("in", "out.png", SpecError, "out.png is one picture, the input has more"),
        ("in/0.png", "out.mp4", SpecError, "a picture's result is a picture"),
        ("in", "mine.mp4", SpecError, "mine.mp4.part exists and is of no earlier run"),
    ],
)
def test_refusals_are_one_sentence_and_leave_nothing(
    paper: Paper, source: str, out: str, error: type[LabError], words: str, tmp_path: Path
) -> None:
    paper.footage(tmp_path / "in", num_frames=2)
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "mine.mp4.part").mkdir()
    for name in ("text.mp4", "there.mp4", "full/file", "mine.mp4.part/file"):
        (tmp_path / name).write_text("text")
    options = {**paper.options, **paper.prepare(tmp_path)}
    before = set(tmp_path.rglob("*"))
    with pytest.raises(error, match=words) as caught:
        paper.apply(tmp_path / source, tmp_path / out, **options)
    assert "\n" not in str(caught.value)
    assert set(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("paper", ONE_EACH, ids=str)
def test_a_change_of_size_ends_the_result_and_force_replaces_an_old_one(
    paper: Paper, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, options = paper.footage(tmp_path / "in", num_frames=4), {**paper.options, **paper.prepare(tmp_path)}
    write_image(source / "3.png", paper.frame(3)[:, :-8])
    (tmp_path / "out.mp4").write_text("older")
    paper.apply(source, tmp_path / "out.mp4", force=True, **options)
    assert "3.png is" in capsys.readouterr().err
    assert len(frames_of(tmp_path / "out.mp4")) == 3


@pytest.mark.parametrize("paper", ONE_EACH, ids=str)
def test_all_commands_have_the_same_options_and_help_from_the_settings(paper: Paper) -> None:
    names = list(inspect.signature(paper.apply).parameters)
    assert names[:2] == ["source", "out"]
    assert names[-3:] == ["preview", "force", "device"]
    command = typer.Typer()
    command.command()(paper.apply)
    done = CliRunner().invoke(command, ["--help"], env={"COLUMNS": "200", "TERMINAL_WIDTH": "200"})
    text = re.sub(r"\x1b\[[0-9;]*m", "", done.output)
    said = {
        "context_fusion": "Motion masks are averaged over 2 c + 1 frames",
        "zero_tig": "Passes of training over the frames",
        "fodvid": "Similarity from which two patches are joined",
        "ir_tracking": "Of a_i of eq. 2 at native sampling",
        "context_reg": "Share of the classes' colours",
    }
    for words in ("IN", "OUT", "--preview", "--force", "--device", "[default: auto]", said[paper.name]):
        assert words in text
