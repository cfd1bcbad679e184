"""Runs that go on: with a method of no paper, whose state, notes and results beside OUT are known."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import lib.footage.parts
import lib.footage.run
from lib.data.images import write_image
from lib.data.video import VideoWriter, open_video
from lib.errors import LabError, SpecError
from lib.footage import Places, Run
from tests.footage.papers import stopped

TIMES = (0.0, 0.04, 0.08, 0.5, 0.54, 0.58, 0.62)


@pytest.fixture(autouse=True)
def short_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lib.footage.run, "PART_FRAMES", 2)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Seven frames with a gap in their times."""
    picture = torch.rand(3, 32, 48, generator=torch.Generator().manual_seed(0))
    with VideoWriter(tmp_path / "in.mp4", fps=25) as writer:
        for idx, time_s in enumerate(TIMES):
            writer.write(picture.roll(3 * idx, 2), time_s)
    return tmp_path / "in.mp4"


def mean_so_far(
    source: Path, out: Path, *, strength: float = 1.0, table: Path | None = None, force: bool = False, back: int = 0
) -> list[Any]:
    """A method with a state: the mean of all frames up to each; returns the notes."""
    places = Places(source, out, beside={} if table is None else {"table": table}, force=force)
    with Run(places, {"strength": strength}) as run:
        total: Tensor = run.state["total"] if run.state else torch.zeros(3, 32, 48)
        for number, frame in enumerate(run.frames(before=back)):
            if number < run.num_replayed:
                continue
            total = total + frame
            kept = {"total": total}
            run.write(strength * total / (run.idx + 1), note=[run.idx, float(frame.mean())], state=lambda: kept)  # noqa: B023
        if table is not None:
            run.beside("table").write_text(str(run.notes))
        return run.notes


@pytest.mark.parametrize(("out", "back"), [("out.mp4", 0), ("out.mp4", 3), ("out.webm", 1), ("out", 9)])
def test_state_notes_and_times_survive_a_break(
    out: str, back: int, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = mean_so_far(source, tmp_path / f"whole_{out}", back=back)
    assert [number for number, _ in notes] == list(range(7))
    for stop in (1, 5, 6):  # the first of these keeps nothing
        with stopped(monkeypatch, before_result=stop):
            mean_so_far(source, tmp_path / out, back=back)
        assert (tmp_path / f"{out}.part").exists() == (stop > 1)
        assert not (tmp_path / out).exists()
    assert [list(one) for one in mean_so_far(source, tmp_path / out, back=back)] == notes
    with open_video(tmp_path / f"whole_{out}") as one, open_video(tmp_path / out) as two:
        for (time_s, frame), (other_s, other) in zip(one.timed(), two.timed(), strict=True):
            assert time_s == other_s
            assert torch.equal(frame, other)
        times = [time_s for time_s, _ in two.timed()]
    assert out == "out" or times == pytest.approx(TIMES, abs=1e-3)


@pytest.mark.parametrize("where", ["join_videos", "_move", "shutil.rmtree"])
def test_a_break_while_results_are_put_in_place(
    where: str, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = "run" if where == "join_videos" else "parts"

    def broken(part: Path, path: Path | None = None, **_: object) -> None:
        if where == "_move" and path == tmp_path / "table.txt":
            part.replace(path)
            return
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(f"lib.footage.{module}.{where}", broken)
        with pytest.raises(KeyboardInterrupt):
            mean_so_far(source, tmp_path / "out.mp4", table=tmp_path / "table.txt")
    if where == "shutil.rmtree":
        with pytest.raises(SpecError, match="exists already"):
            mean_so_far(source, tmp_path / "out.mp4", table=tmp_path / "table.txt")
        for path in (tmp_path / "out.mp4", tmp_path / "table.txt"):
            path.unlink()
    assert not (tmp_path / "out.mp4").exists()
    assert (tmp_path / "table.txt").exists() == (where == "_move")
    notes = mean_so_far(source, tmp_path / "out.mp4", table=tmp_path / "table.txt")
    assert (tmp_path / "table.txt").read_text() == str(notes)
    assert len(list(open_video(tmp_path / "out.mp4"))) == 7
    assert not (tmp_path / "out.mp4.part").exists()


def test_another_setting_or_input_starts_anew_and_says_so(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.mp4"
    expected = mean_so_far(source, tmp_path / "half.mp4", strength=0.5)
    with stopped(monkeypatch, before_result=5):
        mean_so_far(source, out)
    with stopped(monkeypatch, before_result=1):
        mean_so_far(source, out, strength=0.5)
    assert "strength is now 0.5, was 1.0. Starts anew" in capsys.readouterr().err
    with stopped(monkeypatch, before_result=5):
        mean_so_far(source, out, strength=0.5)
    source.touch()
    assert mean_so_far(source, out, strength=0.5) == expected
    assert "input has changed. Starts anew" in capsys.readouterr().err
    assert out.read_bytes() == (tmp_path / "half.mp4").read_bytes()


def test_another_file_of_the_same_name_starts_anew(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = tmp_path / "w.bin"

    def run_through() -> None:
        places = Places(source, tmp_path / "out", read={"weights": weights})
        with Run(places, {"weights": str(weights)}) as run:
            for frame in run.frames():
                run.write(frame)

    for content in ("one", "another"):
        weights.write_text(content)
        with stopped(monkeypatch, before_result=3):
            run_through()
    assert "file of --weights has changed. Starts anew" in capsys.readouterr().err


def test_two_runs_of_one_result_do_not_meet(source: Path, tmp_path: Path) -> None:
    pytest.importorskip("fcntl", reason="needs the file locks of POSIX")
    with Run(Places(source, tmp_path / "out.mp4"), {}) as run:
        with pytest.raises(LabError, match="another run is writing"):
            mean_so_far(source, tmp_path / "out.mp4")
        for frame in run.frames():
            run.write(frame)
    assert len(list(open_video(tmp_path / "out.mp4"))) == 7


def test_a_run_without_results_leaves_nothing(source: Path, tmp_path: Path) -> None:
    with pytest.raises(LabError, match="no frame was written"), Run(Places(source, tmp_path / "out.mp4"), {}):
        pass
    assert list(tmp_path.iterdir()) == [source]


def test_results_on_another_disk_are_copied(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs a second file system at /dev/shm")
    table = other / f"nocturne_{tmp_path.name}.txt"
    try:
        notes = mean_so_far(source, tmp_path / "out.mp4", table=table)
        assert table.read_text() == str(notes)
    finally:
        table.unlink(missing_ok=True)


def test_old_results_are_kept_unless_told(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, table = tmp_path / "out.mp4", tmp_path / "table.txt"
    for old in (out, table):
        old.write_text("old")
        with pytest.raises(SpecError, match="or --force to replace it"):
            mean_so_far(source, out, table=table)
        with stopped(monkeypatch, before_result=3):
            mean_so_far(source, out, table=table, force=True)
        assert old.read_text() == "old"
        mean_so_far(source, out, table=table, force=True)
        assert out.stat().st_size > 1000
        out.unlink()
        table.unlink()


def test_a_picture_is_one_frame_and_needs_no_parts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_image(tmp_path / "in.png", torch.full((3, 32, 48), 0.5))
    mean_so_far(tmp_path / "in.png", tmp_path / "out.webp")
    assert capsys.readouterr().err == ""
    mean_so_far(tmp_path / "in.png", tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.png", "out", "out.webp"]
