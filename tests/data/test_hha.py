"""HHA against the published code's results, a slow oracle, and planes whose answer is known."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from lib.data.hha import (
    NYUV2,
    Intrinsics,
    fill_depth,
    find_gravity,
    hha_encode,
    point_cloud,
    scene_geometry,
    surface_normals,
    window_sums,
)
from lib.errors import ShapeError, SpecError

SMALL = Intrinsics(60.0, 62.0, 20.3, 14.6)


def levels(picture: Tensor) -> np.ndarray:
    return (picture * 255).round().permute(1, 2, 0).cpu().numpy()


def room_depth(height: int = 30, width: int = 42, *, seed: int = 0) -> Tensor:
    """Depth (1, H, W) of a floor 1.4 m below the camera before a wall 3 m away, with a little noise."""
    rows = (torch.arange(height, dtype=torch.float64) - SMALL.cy) / SMALL.fy
    floor = 1.4 / rows.clamp_min(1e-3)
    depth = floor.clamp_max(3.0)[:, None].expand(height, width)
    noise = torch.rand(height, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (depth * (1 + 0.002 * noise))[None]


def oracle_normals(depth: np.ndarray, valid: np.ndarray, camera: Intrinsics, radius: int) -> np.ndarray:
    """Normals (3, H, W) by a least-squares fit per pixel; NaN where a window holds less than three valid pixels."""
    height, width = depth.shape
    normals = np.full((3, height, width), np.nan)
    for row in range(height):
        for column in range(width):
            rows = slice(max(row - radius, 0), row + radius + 1)
            columns = slice(max(column - radius, 0), column + radius + 1)
            y, x = np.mgrid[rows.start : min(rows.stop, height), columns.start : min(columns.stop, width)]
            seen = valid[rows, columns] > 0
            if seen.sum() < 3:
                continue
            system = np.stack([(x - camera.cx) / camera.fx, (y - camera.cy) / camera.fy, np.ones(x.shape)], -1)[seen]
            plane = np.linalg.lstsq(system, 1 / depth[rows, columns][seen], rcond=None)[0]
            plane /= np.linalg.norm(plane)
            ray = np.array([(column - camera.cx) / camera.fx, (row - camera.cy) / camera.fy, 1])
            normals[:, row, column] = plane * (1 if plane @ ray >= 0 else -1)
    return normals


@pytest.mark.parametrize("radius", [1, 3, 10])
def test_normals_equal_a_fit_per_pixel(device: torch.device, radius: int) -> None:
    depth = room_depth(17, 23)
    valid = (torch.rand(1, 17, 23, generator=torch.Generator().manual_seed(1)) > 0.4).double()
    expected = oracle_normals(depth[0].numpy(), valid[0].numpy(), SMALL, radius)
    found = surface_normals(depth[None].to(device), valid[None].to(device), SMALL, radius=radius)[0].cpu().numpy()
    known = np.isfinite(expected[0]) & (np.abs(found).sum(0) > 0)
    assert known.mean() > 0.9
    np.testing.assert_allclose(found[:, known], expected[:, known], atol=1e-7)


def test_windows_without_a_plane_have_no_normal(device: torch.device) -> None:
    depth = torch.full((1, 1, 12, 12), 2.0, dtype=torch.float64, device=device)
    valid = torch.zeros_like(depth)
    assert (surface_normals(depth, valid, SMALL, radius=3) == 0).all()
    valid[..., 5, :] = 1
    assert (surface_normals(depth, valid, SMALL, radius=3) == 0).all()
    valid[..., 6, 6] = 1
    assert (surface_normals(depth, valid, SMALL, radius=3)[0, :, 5, 5].abs().sum()) > 0.9


@pytest.mark.parametrize("radius", [0, 1, 3, 9])
def test_window_sums_equal_a_loop(radius: int) -> None:
    planes = torch.rand(2, 1, 5, 7, dtype=torch.float64)
    for row in range(5):
        for column in range(7):
            part = planes[
                ..., max(row - radius, 0) : row + radius + 1, max(column - radius, 0) : column + radius + 1
            ].sum((-1, -2))
            torch.testing.assert_close(window_sums(planes, radius)[..., row, column], part)


def test_gravity_of_a_tilted_room(device: torch.device) -> None:
    """Looks down by 12 degrees and rolls by 5; windows across the edge of floor and wall bend gravity a little."""
    pitch, roll = math.radians(12), math.radians(5)
    down = torch.tensor([math.sin(roll) * math.cos(pitch), math.cos(roll) * math.cos(pitch), math.sin(pitch)])
    down = down.double()
    ahead = torch.linalg.cross(torch.tensor([1.0, 0.0, 0.0]).double(), down)
    ahead = ahead / ahead.norm()
    camera = Intrinsics(150.0, 150.0, 79.5, 59.5)
    rays = point_cloud(torch.ones(1, 1, 120, 160, dtype=torch.float64), camera)[0]
    to_floor, to_wall = ((rays * n[:, None, None]).sum(0) for n in (down, ahead))
    depth = torch.minimum(
        torch.where(to_floor > 0, 1.5 / to_floor, torch.inf), torch.where(to_wall > 0, 3 / to_wall, torch.inf)
    )
    assert depth.isfinite().all()
    geometry = scene_geometry(depth[None].to(device), camera=camera)
    assert float(torch.rad2deg(torch.acos((geometry.gravity[0].cpu() * down).sum()))) < 0.5
    floor = (1.5 / to_floor < 3 / to_wall) & (to_floor > 0)
    assert geometry.height_cm[0, 0].cpu()[floor].max() < 4
    # the top of the picture is the wall: its normal is level
    assert geometry.angle[0, 0, 5:30].mean().item() == pytest.approx(90, abs=0.5)
    assert geometry.height_cm.dtype == torch.float64


def test_hha_agrees_with_golden(golden, device: torch.device) -> None:
    data = golden("segmentation/hha.npz")
    matrix, unit = data["camera"], float(data["unit_m"])
    camera = Intrinsics(matrix[0, 0], matrix[1, 1], matrix[0, 2] - 1, matrix[1, 2] - 1)
    depth, raw = (torch.from_numpy(data[name] * unit)[None].to(device) for name in ("depth_units", "raw_units"))
    complete = np.abs(levels(hha_encode(depth, camera=camera)) - data["hha_complete_rgb"])
    assert complete.max() <= 1
    found = levels(hha_encode(depth, raw_depth=raw, camera=camera))
    off = np.abs(found - data["hha_rgb_disparity_height_angle"])
    assert (off <= 1).mean() >= 0.99
    geometry = scene_geometry(depth, raw_depth=raw, camera=camera)
    has_normal = (geometry.normals[0].abs().sum(0) > 0).cpu().numpy()
    assert off[has_normal].max() <= 1  # it differs only where a window holds no plane
    # there the published code has normals of rounding noise, which turn its gravity by 0.004 degrees
    np.testing.assert_allclose(geometry.gravity[0].cpu(), data["gravity_y"], atol=1e-4)
    normals = geometry.normals[0].permute(1, 2, 0).cpu().numpy()[::4, ::4]
    both = has_normal[::4, ::4] & ~data["missing_normal_every4"]
    np.testing.assert_allclose(normals[both], data["normals_every4"][both], atol=1e-5)
    np.testing.assert_allclose(geometry.height_cm[0, 0].cpu()[::4, ::4], data["height_cm_every4"], atol=0.05)


@pytest.mark.parametrize(
    ("name", "with_holes"), [("hha_matlab", False), ("hha_python_complete", False), ("hha_python", True)]
)
def test_hha_agrees_with_the_reference_pictures(reference: Path, name: str, with_holes: bool) -> None:
    """The published code's pictures, whole: the MATLAB one was made of depth without holes."""
    folder = reference / "realdata" / "nyuv2" / "hha_reference"
    if not folder.is_dir():
        pytest.skip("no HHA pictures in the reference material")
    filled, raw = (
        torch.from_numpy(np.array(Image.open(folder / f"depth_{part}.png")) * 1e-4)[None] for part in ("filled", "raw")
    )
    found = levels(hha_encode(filled, raw_depth=raw if with_holes else None))
    off = np.abs(found - np.array(Image.open(folder / f"{name}.png")))
    assert np.median(off, axis=(0, 1)).max() == 0
    if with_holes:
        has_normal = scene_geometry(filled, raw_depth=raw).normals[0].abs().sum(0) > 0
        assert has_normal.float().mean() > 0.75
        off = off[has_normal.numpy()]
    assert off.max() <= 1


def test_a_batch_equals_single_pictures_and_keeps_the_form() -> None:
    pictures = torch.stack([room_depth(seed=seed) for seed in range(2)]).float()
    kept = pictures.clone()
    together = hha_encode(pictures, camera=SMALL)
    assert together.shape == (2, 3, 30, 42)
    assert together.dtype == torch.float32
    for idx in range(2):
        torch.testing.assert_close(together[idx], hha_encode(pictures[idx], camera=SMALL), rtol=0, atol=1.01 / 255)
    assert torch.equal(pictures, kept)
    assert hha_encode(pictures[0].double(), camera=SMALL).dtype == torch.float64
    assert torch.equal((together * 255).round() / 255, together)
    assert hha_encode(torch.ones(1, 1, 1), camera=SMALL).shape == (3, 1, 1)


def test_disparity_and_height_by_hand() -> None:
    depth = room_depth()
    picture = levels(hha_encode(depth, camera=SMALL))
    assert picture[0, 0, 0] == math.floor(31000 / (100 * float(depth[0, 0, 0])) + 0.5)
    assert levels(hha_encode(depth * 0.1, camera=SMALL))[0, 0, 0] == 255  # 31000 / 100, saturated
    low = scene_geometry(depth * 0.1, camera=SMALL)  # nothing lies 0.9 m below: the camera is taken to be 1.3 m high
    middle = 130 - 100 * (low.points[0] * low.gravity[0][:, None, None]).sum(0)
    torch.testing.assert_close(low.height_cm[0, 0], middle)


def test_intrinsics_follow_crops_and_sizes() -> None:
    cropped = NYUV2.cropped(top=45, left=40)
    assert (cropped.cx, cropped.cy) == pytest.approx((284.582449, 207.736166))
    half = NYUV2.resized(0.5)
    assert half.fx == pytest.approx(259.4289505)
    assert half.cx == pytest.approx((NYUV2.cx + 0.5) / 2 - 0.5)


def test_gravity_keeps_its_start_without_normals() -> None:
    gravity = find_gravity(torch.zeros(1, 3, 4, 4, dtype=torch.float64))
    assert gravity.norm().item() == pytest.approx(1)


def test_holes_are_filled_from_around(device: torch.device) -> None:
    ramp = (1 + torch.arange(50.0, device=device) / 25).expand(1, 31, 50)
    raw = ramp.clone()
    raw[:, 10:16, 20:29] = 0
    raw[:, :, 49] = 0
    filled = fill_depth(raw)
    assert torch.equal(filled[raw > 0], raw[raw > 0])
    assert (filled - ramp).abs().max() < 0.25
    assert torch.equal(fill_depth(ramp[None])[0], ramp)
    lonely = torch.zeros(2, 1, 5, 7, device=device)
    lonely[:, 0, 3, 2] = torch.tensor([2.0, 3.0], device=device)
    torch.testing.assert_close(fill_depth(lonely), lonely.amax((2, 3), keepdim=True).expand_as(lonely))
    with pytest.raises(ShapeError, match="without any"):
        fill_depth(torch.zeros(1, 4, 4))


def test_bad_depth_has_clear_answers() -> None:
    depth = room_depth()
    with pytest.raises(ShapeError, match="above 0 everywhere"):
        hha_encode(depth - depth.min(), camera=SMALL)
    with pytest.raises(ShapeError, match="finite numbers"):
        hha_encode(depth * math.nan, camera=SMALL)
    with pytest.raises(ShapeError, match="share a grid"):
        hha_encode(depth, raw_depth=depth[:, 1:], camera=SMALL)
    with pytest.raises(ShapeError, match="depth and raw_depth must agree"):
        hha_encode(depth[None].expand(2, -1, -1, -1), raw_depth=depth[None], camera=SMALL)
    with pytest.raises(ShapeError, match=r"\(1, H, W\) or \(B, 1, H, W\)"):
        hha_encode(depth.expand(3, -1, -1), camera=SMALL)
    with pytest.raises(ShapeError, match="float tensor"):
        hha_encode(torch.ones(1, 4, 4, dtype=torch.int32), camera=SMALL)
    with pytest.raises(SpecError, match="fx and fy above 0"):
        Intrinsics(0.0, 1.0, 1.0, 1.0)
