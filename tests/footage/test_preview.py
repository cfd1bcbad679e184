"""Which frames a preview takes, and its picture."""

from pathlib import Path

import pytest
import torch

from lib.data.images import read_image
from lib.data.video import VideoWriter, open_video
from lib.errors import DataMissing
from lib.footage import Places, Shown, clips, write_preview


def video(path: Path, num_frames: int) -> Path:
    """Frame number n is of the grey n / 255 x 4."""
    with VideoWriter(path, fps=25) as writer:
        for idx in range(num_frames):
            writer.write(torch.full((3, 16, 16), 4 * idx / 255))
    return path


def numbers(frames: list[torch.Tensor]) -> list[int]:
    return [round(float(frame.mean()) * 255 / 4) for frame in frames]


def test_first_middle_and_last_with_what_is_around_them(tmp_path: Path) -> None:
    with open_video(video(tmp_path / "in.mp4", 61)) as reader:
        found = clips(reader, before=2, after=1)
    assert [numbers(clip.frames) for clip in found] == [[0, 1], [28, 29, 30, 31], [58, 59, 60]]
    assert [numbers([clip.shown]) for clip in found] == [[0], [30], [60]]
    assert [clip.time_s for clip in found] == pytest.approx([0, 1.2, 2.4])


@pytest.mark.parametrize(("num_frames", "shown"), [(1, [0]), (2, [0, 1]), (3, [0, 1, 2])])
def test_short_videos_show_what_they_have(num_frames: int, shown: list[int], tmp_path: Path) -> None:
    with open_video(video(tmp_path / "in.webm", num_frames)) as reader:
        assert numbers([clip.shown for clip in clips(reader)]) == shown


def test_a_video_that_is_cut_off_shows_what_is_there(tmp_path: Path) -> None:
    frames = tmp_path / "in"
    with VideoWriter(frames, fps=25) as writer:
        for idx in range(60):
            writer.write(torch.full((3, 16, 16), 4 * idx / 255))
    (frames / "frame_000040.png").write_bytes(b"")
    with open_video(frames) as reader:
        assert numbers([clip.shown for clip in clips(reader)]) == [0, 29, 38]


def test_picture_of_rows(tmp_path: Path) -> None:
    places = Places(tmp_path / "in.mp4", tmp_path / "out.v.mp4")
    rows = [Shown(time_s, torch.zeros(3, 1440, 100), torch.ones(3, 1440, 100)) for time_s in (0, 1)]
    write_preview(places, rows)
    picture = read_image(tmp_path / "out.v.preview.png")
    assert picture.shape == (3, 2 * (720 + 24), 50 + 6 + 50)  # high frames are made smaller
    assert picture[:, 24:744, :50].max() == 0
    assert picture[:, 24:744, 50:].min() == 1
    assert picture[:, :24].min() < 0.5  # text
    with pytest.raises(DataMissing, match="no frame"):
        write_preview(places, [])
