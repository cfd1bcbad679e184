"""Flow files: layout, round trips, unknown pixels, and files that are cut off or of another kind."""

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from lib.errors import DataMissing, LabError, ShapeError, SpecError
from lib.flow import read_flow, read_flow_field, write_flow

SUFFIXES = [".flo", ".png"]


def some_flow(height: int = 5, width: int = 7) -> torch.Tensor:
    """Multiples of 1/64 px, which both formats hold exactly."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(-2000, 2000, (1, 2, height, width), generator=generator) / 64


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("size", [(5, 7), (1, 1), (1, 4)])
def test_round_trip(tmp_path: Path, suffix: str, size: tuple[int, int]) -> None:
    flow, path = some_flow(*size), tmp_path / f"flow{suffix}"
    write_flow(path, flow)
    assert torch.equal(read_flow(path), flow)
    assert read_flow_field(path).valid.all()
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_unknown_pixels_are_marked_and_read_as_zero(tmp_path: Path, suffix: str) -> None:
    flow, path = some_flow(), tmp_path / f"flow{suffix}"
    valid = torch.ones(1, 5, 7, dtype=torch.bool)
    valid[0, 2, 3:] = False
    write_flow(path, flow, valid=valid)
    field = read_flow_field(path)
    assert torch.equal(field.valid, valid)
    assert torch.equal(field.flow, flow * valid)


def test_flo_bytes_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "a.flo"
    path.write_bytes(struct.pack("<fii4f", 202021.25, 2, 1, 1.0, -2.0, 1e10, 0.0))
    field = read_flow_field(path)
    assert field.flow.tolist() == [[[[1.0, 0.0]], [[-2.0, 0.0]]]]
    assert field.valid.tolist() == [[[True, False]]]


def test_kitti_png_by_hand(tmp_path: Path) -> None:
    # red, green, blue are x, y, valid; OpenCV's order is blue first
    stored = np.array([[[1, 32768 - 64, 32768 + 160], [0, 7, 7]]], np.uint16)
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), stored)
    field = read_flow_field(path)
    assert field.flow.tolist() == [[[[2.5, 0.0]], [[-1.0, 0.0]]]]
    assert field.valid.tolist() == [[[True, False]]]


def test_kitti_png_rounds_to_a_64th(tmp_path: Path) -> None:
    flow = torch.rand(1, 2, 20, 30, generator=torch.Generator().manual_seed(1)) * 1000 - 500
    write_flow(tmp_path / "a.png", flow)
    assert (read_flow(tmp_path / "a.png") - flow).abs().max() <= 1 / 128 + 1e-4


def test_kitti_png_refuses_what_does_not_fit(tmp_path: Path) -> None:
    flow = some_flow()
    flow[0, 1, 2, 2] = 512.0
    with pytest.raises(ShapeError, match=r"-512\.\.511\.98 px: got 512 px; write a \.flo file"):
        write_flow(tmp_path / "a.png", flow)
    assert not list(tmp_path.iterdir())
    valid = torch.ones(5, 7, dtype=torch.bool)
    valid[2, 2] = False
    write_flow(tmp_path / "a.png", flow, valid=valid)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("kept", [0, 3, 10, 60, -1])
def test_cut_off_files_are_refused(tmp_path: Path, suffix: str, kept: int) -> None:
    path = tmp_path / f"a{suffix}"
    write_flow(path, some_flow())
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(DataMissing, match=r"fetch it again|check where it comes from"):
        read_flow(path)


def test_other_kinds_of_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.flo").write_bytes(b"HIEP" + bytes(100))
    with pytest.raises(DataMissing, match=r"must start with b'PIEH', got b'HIEP'"):
        read_flow(tmp_path / "a.flo")
    (tmp_path / "b.flo").write_bytes(struct.pack("<4sii", b"PIEH", -1, 4))
    with pytest.raises(DataMissing, match="says -1 x 4 pixels"):
        read_flow(tmp_path / "b.flo")
    cv2.imwrite(str(tmp_path / "c.png"), np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(DataMissing, match="3 channels of 16 bits: got uint8"):
        read_flow(tmp_path / "c.png")
    (tmp_path / "d.png").write_bytes(b"not a picture")
    with pytest.raises(DataMissing, match="no PNG file"):
        read_flow(tmp_path / "d.png")
    with pytest.raises(DataMissing, match="cannot read the flow"):
        read_flow(tmp_path / "absent.flo")
    with pytest.raises(SpecError, match=r"\.flo or \.png: got a\.npy"):
        read_flow(tmp_path / "a.npy")


def test_bad_arguments_write_nothing(tmp_path: Path) -> None:
    flow = some_flow()
    for bad in (flow[0], flow.repeat(2, 1, 1, 1), flow[:, :1], flow / 0):
        with pytest.raises(ShapeError, match="flow must"):
            write_flow(tmp_path / "a.flo", bad)
    with pytest.raises(ShapeError, match="valid must be bool"):
        write_flow(tmp_path / "a.flo", flow, valid=torch.ones(5, 6, dtype=torch.bool))
    with pytest.raises(SpecError, match="end in"):
        write_flow(tmp_path / "a.txt", flow)
    with pytest.raises(LabError, match="does not exist"):
        write_flow(tmp_path / "absent" / "a.flo", flow)
    assert not list(tmp_path.iterdir())


def test_reads_the_truth_of_middlebury(reference: Path) -> None:
    path = reference / "realdata" / "flow_gt" / "rubberwhale" / "flow10.flo"
    if not path.is_file():
        pytest.skip("realdata/flow_gt is not in the reference material")
    field = read_flow_field(path)
    assert field.flow.shape == (1, 2, 388, 584)
    assert field.valid.float().mean().item() == pytest.approx(0.984, abs=1e-3)
    assert field.flow.abs().max() < 5
