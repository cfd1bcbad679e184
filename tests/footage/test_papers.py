"""`nocturne apply` of all papers: the same options, previews and refusals."""

import inspect
import re
from pathlib import Path

import pytest
import torch
import typer
from typer.testing import CliRunner

import lib.footage.run
from lib.data.images import read_image, write_image
from lib.errors import DataMissing, LabError, SpecError
from tests.footage.papers import ONE_EACH, PART_FRAMES, Paper, frames_of


@pytest.fixture(autouse=True)
def short_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lib.footage.run, "PART_FRAMES", PART_FRAMES)


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
