"""Camera motion: a known homography with a moving object on top is recovered, and nothing but the object remains."""

import numpy as np
import pytest
import torch
from torch import Tensor

from lib.errors import ShapeError
from lib.fodvid.camera import motion_length, remove_camera

HEIGHT, WIDTH = 96, 128
ZOOM_AND_TURN = np.array([[1.03, -0.02, 4.0], [0.02, 1.03, -2.5], [1e-5, -2e-5, 1.0]])


def camera_flow(homography: np.ndarray) -> Tensor:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    points = np.stack([x, y, np.ones_like(x)]).reshape(3, -1)
    moved = homography @ points
    return torch.from_numpy((moved[:2] / moved[2] - points[:2]).reshape(1, 2, HEIGHT, WIDTH)).float()


def test_homography_and_residual_are_recovered_despite_an_object() -> None:
    flow = camera_flow(ZOOM_AND_TURN)
    flow[:, :, 30:60, 40:80] += torch.tensor([6.0, -3.0]).view(1, 2, 1, 1)
    motion = remove_camera(flow)
    assert motion.homography == pytest.approx(ZOOM_AND_TURN, abs=2e-3)
    outside = torch.ones(HEIGHT, WIDTH, dtype=torch.bool)
    outside[30:60, 40:80] = False
    assert motion.residual[0][:, outside].abs().max() < 0.02
    assert motion.residual[0, :, 45, 60].tolist() == pytest.approx([6, -3], abs=0.02)
    assert motion.inliers == pytest.approx(1 - 30 * 40 / (HEIGHT * WIDTH), abs=0.02)
    assert motion_length(motion.residual)[45, 60] == pytest.approx(45**0.5, abs=0.03)


def test_still_camera_and_pure_pan() -> None:
    still = torch.zeros(1, 2, HEIGHT, WIDTH)
    assert remove_camera(still).residual.abs().max() < 1e-9
    pan = still + torch.tensor([3.0, 1.0]).view(1, 2, 1, 1)
    assert remove_camera(pan).residual.abs().max() < 1e-4


def test_few_samples_leave_the_median() -> None:
    flow = torch.zeros(1, 2, 19, 20) + 2
    flow[..., 4, 4] = 50
    motion = remove_camera(flow)
    assert motion.homography[:2, 2].tolist() == [2, 2]
    assert motion.residual[0, 0, 0, 0] == 0
    assert motion.inliers == 0


def test_flow_without_order_leaves_the_median() -> None:
    """As across a cut between shots: a homography through a few vectors by chance would send pixels anywhere."""
    generator = torch.Generator().manual_seed(0)
    for _ in range(8):
        waves = 40 * torch.randn(1, 2, 4, 5, generator=generator)
        flow = torch.nn.functional.interpolate(waves, size=(HEIGHT, WIDTH), mode="bicubic")
        motion = remove_camera(flow)
        assert (flow - motion.residual).abs().max() <= 2 * flow.abs().max() + 1
        if motion.inliers == 0:
            assert motion.homography[:2, :2].tolist() == [[1, 0], [0, 1]]
            break
    else:
        pytest.fail("none of the fields has a homography out of bounds: the test shows nothing")


def test_dtype_device_and_input_are_kept(device: torch.device) -> None:
    flow = camera_flow(ZOOM_AND_TURN).double().to(device)
    before = flow.clone()
    residual = remove_camera(flow).residual
    assert (residual.dtype, residual.device, residual.shape) == (flow.dtype, flow.device, flow.shape)
    assert torch.equal(flow, before)


@pytest.mark.parametrize(
    "flow", [torch.zeros(2, 2, 9, 9), torch.zeros(1, 3, 9, 9), torch.full((1, 2, 9, 9), torch.nan)]
)
def test_bad_input(flow: Tensor) -> None:
    with pytest.raises(ShapeError, match="flow must"):
        remove_camera(flow)
