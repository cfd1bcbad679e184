"""`nocturne apply context_fusion`: pictures, clips, day clips, registration, and bad input answered in one sentence."""

import subprocess
import sys

import pytest
import torch

from lib.context_fusion.apply import apply
from lib.context_fusion.still import fuse_image
from lib.data.images import read_image, write_image
from lib.data.video import VideoWriter, open_video, read_clip
from lib.errors import DataMissing, LabError, ShapeError, SpecError


@pytest.fixture
def footage(tmp_path):
    """A night clip with a moving light, a day picture and a night picture, 24x32 (even, as video likes)."""
    generator = torch.Generator().manual_seed(0)
    day = 0.3 + 0.5 * torch.rand(3, 24, 32, generator=generator)
    with VideoWriter(tmp_path / "night.mp4", fps=10) as writer:
        for index in range(9):
            frame = 0.1 * day
            frame[:, 8:14, 2 * index : 2 * index + 6] = 0.8
            writer.write(frame)
    write_image(tmp_path / "day.png", day)
    write_image(tmp_path / "night.png", 0.1 * day)
    return tmp_path


def test_picture(footage):
    apply(footage / "night.png", footage / "out.png", footage / "day.png")
    expected = fuse_image(read_image(footage / "night.png"), read_image(footage / "day.png")).image
    assert (read_image(footage / "out.png") - expected).abs().max() <= 0.5 / 255 + 1e-6


@pytest.mark.parametrize("out", ["out.mp4", "out.webm", "frames"])
def test_video_keeps_its_number_of_frames_and_rate(footage, out):
    apply(footage / "night.mp4", footage / out, footage / "day.png")
    with open_video(footage / out) as reader:
        assert len(list(reader)) == 9
        assert reader.size == (24, 32)
        assert out == "frames" or reader.fps == pytest.approx(10)
        assert reader.stopped is None


def test_day_video_and_picture_folder(footage):
    with VideoWriter(footage / "day_frames", fps=5) as writer:
        for _ in range(3):
            writer.write(read_image(footage / "day.png"))
    apply(footage / "night.mp4", footage / "one.mp4", footage / "day.png", passes=0)
    apply(footage / "night.mp4", footage / "two.mp4", footage / "day_frames", passes=0)
    assert torch.equal(read_clip(footage / "one.mp4", max_frames=9), read_clip(footage / "two.mp4", max_frames=9))


def test_truncated_night_keeps_what_it_had_and_says_so(footage, capsys):
    frames = footage / "cut"
    frames.mkdir()
    for index in range(4):
        (frames / f"{index}.png").write_bytes((footage / "night.png").read_bytes())
    (frames / "4.png").write_bytes((footage / "night.png").read_bytes()[:60])
    apply(frames, footage / "out.mp4", footage / "day.png")
    assert "stopped after 4 frames" in capsys.readouterr().err
    assert len(read_clip(footage / "out.mp4", max_frames=99)) == 4


def test_resize_brings_the_day_to_the_night(footage):
    write_image(footage / "large.png", torch.rand(3, 48, 64))
    with pytest.raises(ShapeError, match=r"64x48 and 32x24; pass --resize"):
        apply(footage / "night.mp4", footage / "out.mp4", footage / "large.png")
    assert not (footage / "out.mp4").exists()
    apply(footage / "night.png", footage / "out.png", footage / "large.png", resize=True)
    assert read_image(footage / "out.png").shape == (3, 24, 32)


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"source": "absent.mp4"}, DataMissing, "does not exist"),
        ({"day": "absent.png"}, DataMissing, "does not exist"),
        ({"source": "empty.mp4"}, DataMissing, "empty file"),
        ({"source": "text.mp4"}, DataMissing, "cannot read"),
        ({"source": "text.png", "out": "out.png"}, DataMissing, "text.png"),
        ({"out": "out.xyz"}, SpecError, ".mp4"),
        ({"source": "night.png", "out": "out.mp4"}, SpecError, r"\.png"),
        ({"out": "absent/out.mp4"}, LabError, "absent"),
        ({"rule": "brightest", "source": "night.png", "out": "out.png"}, SpecError, "max, threshold, reference"),
        ({"rule": "reference", "source": "night.png", "out": "out.png"}, SpecError, "reference"),
        ({"half_window": -1}, SpecError, "at least 0"),
        ({"rule": "max"}, SpecError, "leave them out for a night video"),
        ({"source": "night.png", "out": "out.png", "passes": 1}, SpecError, "leave them out for a night picture"),
        ({"source": "night.png", "out": "night.png"}, SpecError, "replace the input"),
        ({"device": "tpu"}, SpecError, "auto, cpu, cuda"),
        ({"register": True}, LabError, "registered"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_nothing(footage, changes, error, words):
    (footage / "empty.mp4").touch()
    (footage / "text.mp4").write_text("not a video")
    (footage / "text.png").write_text("not a picture")
    if changes == {"register": True}:
        write_image(footage / "day.png", torch.zeros(3, 24, 32))
    paths = {"source": "night.mp4", "out": "out.mp4", "day": "day.png"}
    arguments = {name: footage / changes.get(name, file) for name, file in paths.items()}
    before = sorted(footage.rglob("*"))
    with pytest.raises(error, match=words) as caught:
        apply(**arguments, **{name: value for name, value in changes.items() if name not in paths})
    assert "\n" not in str(caught.value)
    assert sorted(footage.rglob("*")) == before


def test_command_line_in_another_folder(footage):
    command = [
        sys.executable,
        "-c",
        "from lib.bench.cli import main; main()",
        "apply",
        "context_fusion",
        "night.png",
        "out.png",
    ]
    done = subprocess.run([*command, "--day", "day.png"], cwd=footage, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert (footage / "out.png").exists()
    (footage / "out.png").unlink()
    failed = subprocess.run([*command, "--day", "none.png"], cwd=footage, capture_output=True, text=True, check=False)
    assert failed.returncode == 1
    assert (
        failed.stderr.strip()
        == "nocturne: none.png does not exist; give a video file, a folder of pictures or a picture"
    )
