"""Joined videos: their parts' frames, at their times, without a second encoding."""

from pathlib import Path

import pytest
import torch

from lib.data.video import VideoWriter, open_video
from lib.data.video_join import VideoPart, join_videos
from lib.data.video_writer import TICKS_PER_SECOND
from lib.errors import LabError, SpecError

# a variable rate, with a gap where a part ends
TIMES = [idx / 25 + 0.013 * (idx % 3) + (0.7 if idx > 6 else 0) for idx in range(16)]
CUTS = [(0, 7), (7, 8), (8, 16)]


def write_parts(folder: Path, suffix: str) -> list[VideoPart]:
    picture = torch.rand(3, 48, 64, generator=torch.Generator().manual_seed(0))
    parts = []
    for number, (first, end) in enumerate(CUTS):
        start = round(TIMES[first] * TICKS_PER_SECOND)
        path = folder / f"{number}{suffix}"
        with VideoWriter(path, fps=25) as writer:
            for idx in range(first, end):
                ticks = round(TIMES[idx] * TICKS_PER_SECOND) - start
                writer.write(picture.roll(3 * idx, 2), ticks / TICKS_PER_SECOND)
        parts.append(VideoPart(path, start))
    return parts


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_frames_and_times_are_those_of_the_parts(suffix: str, tmp_path: Path) -> None:
    parts = write_parts(tmp_path, suffix)
    join_videos(parts, tmp_path / f"whole{suffix}", fps=25)
    expected = [frame for part in parts for frame in open_video(part.path)]
    with open_video(tmp_path / f"whole{suffix}") as reader:
        joined = list(reader.timed())
        assert reader.stopped is None
        assert suffix == ".mp4" or reader.fps == 25
    assert [time_s for time_s, _ in joined] == pytest.approx(TIMES, abs=1e-5 if suffix == ".mp4" else 1e-3)
    assert all(torch.equal(one, two) for (_, one), two in zip(joined, expected, strict=True))


def test_what_does_not_belong_together(tmp_path: Path) -> None:
    parts = write_parts(tmp_path, ".mp4")
    with VideoWriter(tmp_path / "other.mp4", fps=25) as writer:
        writer.write(torch.zeros(3, 96, 64))
    before = set(tmp_path.iterdir())
    with pytest.raises(LabError, match=r"other\.mp4 is of another encoder"):
        join_videos([*parts, VideoPart(tmp_path / "other.mp4", 200_000)], tmp_path / "whole.mp4", fps=25)
    with pytest.raises(SpecError, match="at least one part"):
        join_videos([], tmp_path / "whole.mp4", fps=25)
    assert set(tmp_path.iterdir()) == before
