"""`nocturne apply ir_tracking`: boxes in the result and in the table, what can't be asked for."""

import csv
from pathlib import Path

import pytest
import torch

from lib.data.images import read_image, write_image
from lib.errors import DataMissing, SpecError
from lib.ir_tracking.apply import apply, detected, draw_tracks, parse_box
from lib.ir_tracking.network import SiameseNetwork
from lib.ir_tracking.network_settings import NetworkSettings
from lib.ir_tracking.settings import FilterSettings
from lib.ir_tracking.tracker import Track
from lib.ir_tracking.weights import save_network
from tests.ir_tracking.moving_spots import spot_clip, straight


@pytest.fixture
def footage(tmp_path: Path) -> Path:
    clip = spot_clip(straight(4), height=90)
    folder = tmp_path / "in"
    folder.mkdir()
    for number, frame in enumerate(clip.frames):
        write_image(folder / f"{number:03d}.png", (frame.expand(3, -1, -1) / 255).clamp(0, 1))
    return folder


@pytest.fixture
def weights(tmp_path: Path) -> str:
    torch.manual_seed(0)
    path = tmp_path / "network.safetensors"
    save_network(
        SiameseNetwork(NetworkSettings.small().but(channels=(2, 2, 2, 2, 2), fused_width=2, head_width=2)), path
    )
    return str(path)


@pytest.mark.parametrize("given", [{"box": ["28.5,38.5,3,3"]}, {"find": 1}])
def test_result_and_table(footage: Path, weights: str, given: dict[str, object], tmp_path: Path) -> None:
    out, table = tmp_path / "out", tmp_path / "tracks.csv"
    apply(footage, out, tracks=table, weights=weights, device="cpu", **given)  # type: ignore[arg-type]
    assert len(list(out.iterdir())) == 4
    with table.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["frame"] for row in rows] == ["0", "1", "2", "3"]
    first = [float(rows[0][name]) for name in ("x", "y", "w", "h")]
    assert first == pytest.approx([28.5, 38.5, 3, 3], abs=0.3)
    picture = read_image(sorted(out.iterdir())[0])
    assert bool(((picture[0] - picture[2]).abs() > 0.3).any())


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "either --box x,y,w,h or --detect N"),
        ({"box": ["1,2,3,3"], "find": 2}, "either --box"),
        ({"box": ["1,2,3"]}, "four numbers x,y,w,h"),
        ({"box": ["500,2,3,3"]}, "centre in the frame"),
        ({"box": ["30,40,0,3"]}, "wider and higher than 0"),
    ],
)
def test_what_cannot_be_asked(
    footage: Path, weights: str, given: dict[str, object], words: str, tmp_path: Path
) -> None:
    with pytest.raises(SpecError, match=words):
        apply(footage, tmp_path / "out", weights=weights, **{"box": None, "find": 0, **given})  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_empty_folders_and_flat_frames_are_said(weights: str, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DataMissing):
        apply(empty, tmp_path / "out", box=["1,1,3,3"], find=0, weights=weights)
    with pytest.raises(DataMissing, match="finds nothing"):
        detected(torch.ones(1, 20, 20), 3, FilterSettings())


def test_drawing_keeps_the_frame_and_marks_what_is_not_seen() -> None:
    frame = torch.zeros(3, 30, 30)
    seen, unseen = (draw_tracks(frame, [Track((10.0, 12.0, 3.0, 3.0), 0.5, flag)]) for flag in (True, False))
    assert float(frame.sum()) == 0
    assert torch.equal(seen.sum(0) > 0, unseen.sum(0) > 0)
    assert not torch.equal(seen, unseen)
    assert float(seen[:, 12:15, 10:13].sum()) == 0


def test_boxes_are_four_numbers() -> None:
    assert parse_box("1, 2.5,3,4") == (1, 2.5, 3, 4)
    with pytest.raises(SpecError, match="got 'a,b'"):
        parse_box("a,b")
