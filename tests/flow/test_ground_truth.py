"""End-point errors on real pictures with known flow."""

from pathlib import Path

import pytest
from torch import Tensor

from lib.data.images import read_image
from lib.flow import FlowField, endpoint_error, load_flow, read_flow_field, warp

# pair: pictures, truth, the errors (px) of RAFT-small by its authors' code, zero flow, and DIS as measured here
PAIRS = {
    "rubberwhale": ("frame10.png", "frame11.png", "flow10.flo", 0.320, 1.256, 0.226),
    "chairs_00001": ("img1.png", "img2.png", "flow.flo", 1.131, 4.306, 2.703),
    "chairs_00002": ("img1.png", "img2.png", "flow.flo", 0.551, 2.113, 0.641),
}


def load_pair(reference: Path, name: str) -> tuple[Tensor, Tensor, FlowField]:
    folder = reference / "realdata" / "flow_gt" / name
    if not folder.is_dir():
        pytest.skip("realdata/flow_gt is not in the reference material")
    first, second, truth = PAIRS[name][:3]
    return read_image(folder / first)[None], read_image(folder / second)[None], read_flow_field(folder / truth)


@pytest.mark.parametrize("name", PAIRS)
def test_dis(reference: Path, name: str) -> None:
    first, second, truth = load_pair(reference, name)
    flow = load_flow("dis")(first, second)
    error = endpoint_error(flow, truth.flow, valid=truth.valid)
    assert endpoint_error(0 * flow, truth.flow, valid=truth.valid) == pytest.approx(PAIRS[name][4], abs=1e-3)
    # versions of OpenCV may differ
    assert error < PAIRS[name][5] + 0.05


@pytest.mark.slow
@pytest.mark.parametrize("name", PAIRS)
def test_raft_small(reference: Path, name: str) -> None:
    weights = reference / "realdata" / "weights" / "raft_small.safetensors"
    if not weights.is_file():
        pytest.skip("realdata/weights/raft_small.safetensors is not in the reference material")
    first, second, truth = load_pair(reference, name)
    flow = load_flow("raft_small", weights=weights)(first, second)
    assert endpoint_error(flow, truth.flow, valid=truth.valid) == pytest.approx(PAIRS[name][3], abs=0.002)


@pytest.mark.parametrize("name", PAIRS)
def test_true_flow_warps_the_second_picture_onto_the_first(reference: Path, name: str) -> None:
    first, second, truth = load_pair(reference, name)
    still = (second - first).abs().mean()
    assert (warp(second, truth.flow) - first).abs().mean() < still / 1.5
