"""HHA: depth as a picture of disparity, height above the ground and angle with gravity.

Source: Gupta, Girshick, Arbelaez, Malik: Learning Rich Features from RGB-D Images, ECCV 2014, and its published code.
"""

import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from lib.checks import check_planes, check_same_grid
from lib.errors import ShapeError, SpecError

ANGLE_RADIUS, GRAVITY_RADIUS = 3, 10  # pixels around each in the windows of the normals
GRAVITY_STEPS = ((45.0, 5), (15.0, 5))  # threshold in degrees, iterations
DISPARITY_SCALE, MIN_DEPTH_CM = 31000.0, 100.0
LOWEST_CM, ASSUMED_LOWEST_CM = -90.0, -130.0  # the camera is taken to be 1.3 m high if nothing lies 0.9 m below it
ANGLE_OFFSET = 128.0 - 90.0
NO_NORMAL_DEGREES = 180.0  # what MATLAB's max and min make of NaN


@dataclass(frozen=True)
class Intrinsics:
    """Pinhole camera, pixels; cx, cy: principal point, 0-based (MATLAB's value less 1).

    The default is the Kinect's colour camera as NYUv2 publishes it, for 480x640.
    """

    fx: float = 518.857901
    fy: float = 519.469611
    cx: float = 325.582449 - 1
    cy: float = 253.736166 - 1

    def __post_init__(self) -> None:
        values = (self.fx, self.fy, self.cx, self.cy)
        if not all(math.isfinite(value) for value in values) or min(self.fx, self.fy) <= 0:
            raise SpecError(f"intrinsics must be finite with fx and fy above 0: got {values}")

    def cropped(self, *, top: int, left: int) -> "Intrinsics":
        """The camera of a picture without its first rows and columns."""
        return replace(self, cx=self.cx - left, cy=self.cy - top)

    def resized(self, factor: float) -> "Intrinsics":
        """The camera of a picture `factor` times as large; pixel centres on half-integers of the picture's plane."""
        cx, cy = ((centre + 0.5) * factor - 0.5 for centre in (self.cx, self.cy))
        return Intrinsics(self.fx * factor, self.fy * factor, cx, cy)


NYUV2 = Intrinsics()


@dataclass(frozen=True)
class Geometry:
    """What HHA is made of, all float64. points: (B, 3, H, W), metres, x right, y down, z ahead.

    normals: (B, 3, H, W), unit, away from the camera; 0 where there is none. gravity: (B, 3), unit, down.
    height_cm: (B, 1, H, W), above the lowest point. angle: (B, 1, H, W), degrees between normal and gravity.
    """

    points: Tensor
    normals: Tensor
    gravity: Tensor
    height_cm: Tensor
    angle: Tensor


def hha_encode(depth: Tensor, *, raw_depth: Tensor | None = None, camera: Intrinsics = NYUV2) -> Tensor:
    """HHA picture, disparity, height and angle in this order, whole levels of 8 bits divided by 255.

    depth: (B, 1, H, W) or (1, H, W), metres, above 0 everywhere (in-filled). raw_depth: the same as measured, 0 where
    there is none: such pixels don't count for the normals. camera: intrinsics of this grid, see Intrinsics.cropped.
    Returns (B, 3, H, W) or (3, H, W) in depth's dtype, computed in float64 on its device.
    Channels: 31000 / max(depth, 100) with the depth in cm; height in cm above the lowest point; angle in degrees + 38.
    Choice: rounded as MATLAB's uint8 does; where no normal can be had the angle counts as 180 degrees, as there.
    Raises ShapeError for depth that is not above 0 or not finite, or when the two grids differ.
    """
    geometry = scene_geometry(depth, raw_depth=raw_depth, camera=camera)
    disparity = DISPARITY_SCALE / (geometry.points[:, 2:] * 100).clamp_min(MIN_DEPTH_CM)
    levels = torch.cat([disparity, geometry.height_cm, geometry.angle + ANGLE_OFFSET], dim=1)
    # MATLAB rounds halves up, and heights are positive
    picture = ((levels + 0.5).floor().clamp(0, 255) / 255).to(depth.dtype)
    return picture if depth.ndim == 4 else picture[0]


def fill_depth(raw_depth: Tensor) -> Tensor:
    """Depth (B, 1, H, W) or (1, H, W) with its holes (0, or less) filled from what was measured around them.

    Means of the valid pixels over ever larger blocks: a hole takes the smallest block that has any, and is blended
    bilinearly between blocks. Measured pixels stay as they are.
    Choice: NYUv2's toolbox spreads depth along colours instead; use its in-filled depth where you have it.
    Raises ShapeError for a picture without any depth.
    """
    check_planes("raw_depth", raw_depth)
    batch = raw_depth.reshape(-1, 1, *raw_depth.shape[-2:])
    valid = (batch > 0).to(batch.dtype)
    if not valid.flatten(1).any(1).all():
        raise ShapeError("raw_depth must hold some measured depth, above 0: got a picture without any; leave it out")
    return _filled(batch * valid, valid).reshape(raw_depth.shape)


def _filled(total: Tensor, valid: Tensor) -> Tensor:
    """Sums of depth over their weights, where there is none the same of blocks of 2x2, taken up to this grid."""
    mean = total / valid.clamp_min(1e-12)
    if bool((valid > 0).all()):
        return mean
    # odd sizes: the last block is cut off by the edge, zeros add neither depth nor weight
    coarse = [F.avg_pool2d(F.pad(part, (0, part.shape[-1] % 2, 0, part.shape[-2] % 2)), 2) for part in (total, valid)]
    around = F.interpolate(_filled(coarse[0], coarse[1]), size=total.shape[-2:], mode="bilinear", align_corners=False)
    return torch.where(valid > 0, mean, around)


def scene_geometry(depth: Tensor, *, raw_depth: Tensor | None = None, camera: Intrinsics = NYUV2) -> Geometry:
    """Points, normals, gravity, height and angle of depth pictures; arguments and errors as hha_encode."""
    batch, valid = _checked(depth, raw_depth)
    points = point_cloud(batch, camera)
    normals = surface_normals(batch, valid, camera, radius=ANGLE_RADIUS)
    gravity = find_gravity(surface_normals(batch, valid, camera, radius=GRAVITY_RADIUS))
    cosine = (normals * gravity[:, :, None, None]).sum(1, keepdim=True).clamp(-1, 1)
    angle = torch.rad2deg(torch.acos(cosine))
    angle = torch.where(normals.abs().sum(1, keepdim=True) == 0, NO_NORMAL_DEGREES, angle)
    return Geometry(points, normals, gravity, height_above_ground(points, gravity), angle)


def point_cloud(depth: Tensor, camera: Intrinsics) -> Tensor:
    """Points (B, 3, H, W), metres, of depth (B, 1, H, W)."""
    rows, columns = (torch.arange(size, device=depth.device, dtype=depth.dtype) for size in depth.shape[-2:])
    x = (columns - camera.cx) / camera.fx * depth
    y = ((rows - camera.cy) / camera.fy)[:, None] * depth
    return torch.cat([x, y, depth], dim=1)


def surface_normals(depth: Tensor, valid: Tensor, camera: Intrinsics, *, radius: int) -> Tensor:
    """Unit normals (B, 3, H, W) of the planes that fit 1 / depth best in windows of 2 * radius + 1; 0 for none.

    depth: (B, 1, H, W), float64; valid: (B or 1, 1, H, W), 1 or 0 in float64. A plane n . P = 1 is linear in
    (X/Z, Y/Z, 1) = a: per pixel, (sum a a^T) n = sum a / Z over the valid pixels of the window, which the picture's
    edge cuts off. Sums are taken in whole pixels about each window's middle, so that they are exact and the 3x3 systems
    well-conditioned, and solved in closed form. Oriented away from the camera.
    """
    rows, columns = (torch.arange(size, device=depth.device, dtype=depth.dtype) for size in depth.shape[-2:])
    x, y = columns.expand(depth.shape[-2:]), rows[:, None].expand(depth.shape[-2:])
    weight = [valid, valid * x, valid * y, valid * x * x, valid * x * y, valid * y * y]
    n, sx, sy, sxx, sxy, syy = (window_sums(part, radius) for part in weight)
    inverse = valid / depth
    q, qx, qy = (window_sums(part, radius) for part in (inverse, inverse * x, inverse * y))
    # the same sums with x and y counted from the middle of the window
    sxx, sxy, syy = sxx - 2 * x * sx + x * x * n, sxy - x * sy - y * sx + x * y * n, syy - 2 * y * sy + y * y * n
    sx, sy, qx, qy = sx - x * n, sy - y * n, qx - x * q, qy - y * q
    slope_x, slope_y, level, determinant = _solve(sxx, sxy, syy, sx, sy, n, qx, qy, q)
    # back to a = (X/Z, Y/Z, 1)
    level = level + slope_x * (camera.cx - x) + slope_y * (camera.cy - y)
    slope_x, slope_y = slope_x * camera.fx, slope_y * camera.fy
    ahead = slope_x * ((x - camera.cx) / camera.fx) + slope_y * ((y - camera.cy) / camera.fy) + level
    length = (slope_x.square() + slope_y.square() + level.square()).sqrt()
    # a determinant of whole numbers: below 1 it is 0, so there is no valid pixel in the window or one line of them
    scale = torch.where((determinant > 0.5) & (length > 0), torch.where(ahead < 0, -1.0, 1.0) / length, 0.0)
    return torch.cat([slope_x * scale, slope_y * scale, level * scale], dim=1)


def _solve(
    sxx: Tensor, sxy: Tensor, syy: Tensor, sx: Tensor, sy: Tensor, n: Tensor, qx: Tensor, qy: Tensor, q: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Solution of [[sxx, sxy, sx], [sxy, syy, sy], [sx, sy, n]] v = (qx, qy, q), times the determinant; and that."""
    a, b, c = syy * n - sy * sy, sx * sy - sxy * n, sxy * sy - sx * syy
    d, e, f = sxx * n - sx * sx, sxy * sx - sxx * sy, sxx * syy - sxy * sxy
    determinant = sxx * a + sxy * b + sx * c
    return a * qx + b * qy + c * q, b * qx + d * qy + e * q, c * qx + e * qy + f * q, determinant


def window_sums(planes: Tensor, radius: int) -> Tensor:
    """Sums (..., H, W) over windows of 2 * radius + 1 about each pixel, zeros outside; one running sum per axis."""
    for axis in (-1, -2):
        total, size = planes.cumsum(axis), planes.shape[axis]
        reach = min(radius, size - 1)
        edge = total.narrow(axis, size - 1, 1)
        ahead = torch.cat([total.narrow(axis, reach, size - reach), *[edge] * reach], dim=axis)
        if size > radius + 1:
            ahead.narrow(axis, radius + 1, size - radius - 1).sub_(total.narrow(axis, 0, size - radius - 1))
        planes = ahead
    return planes


def find_gravity(normals: Tensor) -> Tensor:
    """Direction (B, 3) of gravity, down: the axis to which floors are parallel and walls perpendicular.

    normals: (B, 3, H, W), 0 for none. From (0, 1, 0), five times with a threshold of 45 degrees and five with 15: the
    smallest eigenvector of the sum of n n^T over normals nearly perpendicular to it, less that over nearly parallel.
    """
    flat = normals.flatten(2)
    gravity = flat.new_tensor([0.0, 1.0, 0.0]).expand(len(flat), 3)
    for threshold, iterations in GRAVITY_STEPS:
        floor_cosine, wall_cosine = math.cos(math.radians(threshold)), math.sin(math.radians(threshold))
        for _ in range(iterations):
            cosine = (gravity[:, None] @ flat).abs()
            weight = (cosine < wall_cosine).to(flat.dtype) - (cosine > floor_cosine).to(flat.dtype)
            scatter = (flat * weight) @ flat.transpose(1, 2)
            axis = torch.linalg.eigh(scatter).eigenvectors[:, :, 0]
            gravity = axis * torch.where((axis * gravity).sum(1, keepdim=True) < 0, -1.0, 1.0)
    return gravity


def height_above_ground(points: Tensor, gravity: Tensor) -> Tensor:
    """Heights (B, 1, H, W), cm, above the lowest point, or above 130 cm below the camera if nothing is 90 cm below."""
    height = -100 * (points * gravity[:, :, None, None]).sum(1, keepdim=True)
    lowest = height.amin(dim=(1, 2, 3), keepdim=True)
    return height - torch.where(lowest > LOWEST_CM, ASSUMED_LOWEST_CM, lowest)


def _checked(depth: Tensor, raw_depth: Tensor | None) -> tuple[Tensor, Tensor]:
    """Depth (B, 1, H, W) and validity (B or 1, 1, H, W), float64."""
    check_planes("depth", depth)
    if depth.ndim not in (3, 4) or depth.shape[-3] != 1:
        raise ShapeError(f"depth must be (1, H, W) or (B, 1, H, W): got {tuple(depth.shape)}")
    lowest = float(depth.amin())
    if lowest <= 0:
        raise ShapeError(
            f"depth must be above 0 everywhere, in metres: got {lowest:.3g}; fill its holes with fill_depth first"
        )
    batch = depth.double().reshape(-1, 1, *depth.shape[-2:])
    if raw_depth is None:
        return batch, torch.ones_like(batch[:1])
    check_planes("raw_depth", raw_depth)
    check_same_grid("depth", depth, "raw_depth", raw_depth)
    if raw_depth.shape != depth.shape:
        raise ShapeError(f"depth and raw_depth must agree: got {tuple(depth.shape)} and {tuple(raw_depth.shape)}")
    return batch, (raw_depth > 0).double().reshape(batch.shape)
