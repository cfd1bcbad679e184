"""The peers of the speed table compute what they are said to."""

import torch

from lib.flow import speed, warp


def test_public_and_opencv_warps_agree_with_ours_inside() -> None:
    picture, flow = speed.soft_picture(90, 120), speed.soft_flow(90, 120)
    expected = warp(picture, flow)
    assert flow.abs().max() > 2
    inside = (..., slice(15, -15), slice(15, -15))
    public = speed.public_warp(picture, flow)
    torch.testing.assert_close(public[inside], expected[inside], rtol=0, atol=1e-4)
    opencv = torch.from_numpy(speed.opencv_warp(picture[0].permute(1, 2, 0).contiguous().numpy(), flow[0].numpy()))
    torch.testing.assert_close(opencv.permute(2, 0, 1)[None][inside], expected[inside], rtol=0, atol=1e-3)


def test_rows_have_goals_and_ours_runs() -> None:
    rows = speed.races()
    assert [row.goal for row in rows] == [4, 0.7, 150]
    dis = rows[-1]
    assert callable(dis.ours)
    assert dis.check is not None
    assert dis.check().startswith("end-point error 0.0")
