"""Simulated rooms: what rays meet, by hand and against each other; truth, determinism and the depth camera."""

import math

import numpy as np
import pytest
import torch

from lib.data.hha import scene_geometry
from lib.data.nyuv2_classes import CLASS_NAMES, SUPERCLASSES
from lib.data.simulate import IndoorRooms, IndoorSettings, indoor_scene
from lib.data.simulate.depth_sensor import measure_depth
from lib.data.simulate.room_casting import Camera, Rays, cast_camera, cast_rays, leave_room
from lib.data.simulate.room_layout import furnish_room
from lib.data.simulate.room_patterns import hashed, noise
from lib.data.simulate.room_solids import Paint, Shape, Solid, SolidTable, tabulate
from lib.errors import SpecError

SMALL = IndoorSettings(height_px=48, width_px=64)
PAINT = Paint((0.5, 0.5, 0.5), (0.4, 0.4, 0.4))
SHAPES: tuple[Shape, ...] = ("box", "ball", "drum")


def scenes(seed: int, count: int = 1, settings: IndoorSettings = SMALL, device: torch.device | str = "cpu"):
    generator = torch.Generator().manual_seed(seed)
    return indoor_scene(generator=generator, num_scenes=count, settings=settings, device=device)


def ahead(device: torch.device, *, height: int = 31, width: int = 41) -> Camera:
    """A camera at the origin that looks along +y, with z up."""
    axes = torch.tensor([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]], device=device)
    return Camera(
        torch.zeros(1, 3, device=device), axes[None], 30.0, ((width - 1) / 2, (height - 1) / 2), height, width
    )


def table_of(solids: list[Solid], device: torch.device) -> SolidTable:
    return tabulate([solids], [[]], device=device)


def some_solids(rng: np.random.Generator, count: int) -> list[Solid]:
    return [
        Solid(
            SHAPES[idx % 3], "box", (rng.uniform(-2, 2), rng.uniform(1, 5), rng.uniform(-1.5, 1.5)),
            tuple(rng.uniform(0.1, 0.7, 3)), PAINT, rng.uniform(0, 6), rng.uniform(-0.5, 0.5),
        )
        for idx in range(count)
    ]  # fmt: skip


def enters(solid: Solid, direction: np.ndarray) -> float:
    """Where a ray from the origin first lies inside a solid, by small steps."""
    cos_y, sin_y, cos_l, sin_l = (f(a) for a in (solid.yaw, solid.lean) for f in (math.cos, math.sin))
    yaw = np.array([[cos_y, -sin_y, 0], [sin_y, cos_y, 0], [0, 0, 1]])
    lean = np.array([[1, 0, 0], [0, cos_l, -sin_l], [0, sin_l, cos_l]])
    along = np.linspace(0.05, 7, 7_000)
    local = (along[:, None] * direction - solid.centre) @ (yaw @ lean) / solid.half
    inside = {
        "box": np.abs(local).max(1) < 1,
        "ball": (local**2).sum(1) < 1,
        "drum": ((local[:, :2] ** 2).sum(1) < 1) & (np.abs(local[:, 2]) < 1),
    }[solid.shape]
    return along[inside.argmax()] if inside.any() else math.inf


def test_rays_enter_solids_where_small_steps_do(device):
    solids = some_solids(np.random.default_rng(3), 9)
    camera = ahead(device, height=7, width=7)
    hits = cast_camera(table_of(solids, device), camera)
    directions = camera.rays().direction.double().cpu().numpy()
    for ray, direction in enumerate(directions):
        expected = min(enters(solid, direction) for solid in solids)
        assert hits.distance[ray].item() == pytest.approx(expected, abs=2e-3)


def test_outlines_lose_no_hit(device):
    """Pixels within a solid's outline are enough: every ray against every solid gives the same, near and far."""
    solids = some_solids(np.random.default_rng(5), 40)
    solids += [Solid("box", "box", (0.3, 0.2, -0.6), (0.5, 2.0, 0.1), PAINT, 0.3)]  # reaches behind the camera
    camera, table = ahead(device), table_of(solids, device)
    by_outline, by_all = cast_camera(table, camera), cast_rays(table, camera.rays())
    assert torch.equal(by_outline.distance.isfinite(), by_all.distance.isfinite())
    finite = by_all.distance.isfinite()
    torch.testing.assert_close(by_outline.distance[finite], by_all.distance[finite], rtol=1e-4, atol=1e-5)
    assert (by_outline.row == by_all.row).float().mean() > 0.999
    shift = (0.375, -0.125)
    chosen = torch.arange(len(finite), device=device) % 3 == 0
    some = cast_camera(table, camera, shift=shift, chosen=chosen)
    every = cast_rays(table, camera.rays(shift=shift))
    assert torch.equal(some.distance.isfinite(), every.distance.isfinite() & chosen)


def test_a_ray_leaves_the_room_through_the_right_face(device):
    table = table_of([Solid("box", "box", (9, 9, 9), (1, 1, 1), PAINT)], device)
    direction = torch.tensor(
        [[-1.0, 0, 0], [2, 0, 0], [0, -1, 0], [0, 1, 0.1], [0, 0, -0.5], [0, 0.2, 1]], device=device
    )
    rays = Rays(torch.ones(6, 3, device=device), direction, torch.zeros(6, dtype=torch.int64, device=device))
    hits = leave_room(table, rays, torch.tensor([[3.0, 4.0, 2.5]], device=device))
    assert hits.row.tolist() == [table.faces + face for face in range(6)]
    assert hits.distance.tolist() == pytest.approx([1, 1, 1, 3, 2, 1.5])


def test_a_batch_holds_the_same_rooms_as_single_calls():
    together = scenes(7, 3)
    generator = torch.Generator().manual_seed(7)
    for idx in range(3):
        single = indoor_scene(generator=generator, settings=SMALL)
        assert single.kinds[0] == together.kinds[idx]
        assert torch.equal(single.labels[0], together.labels[idx])
        torch.testing.assert_close(single.depth[0], together.depth[idx])
        torch.testing.assert_close(single.image[0], together.image[idx], rtol=0, atol=2 / 255)
    assert not torch.equal(together.labels[0], together.labels[1])


def test_rooms_have_the_promised_form(device):
    batch = scenes(1, 2, device=device)
    assert batch.image.shape == (2, 3, 48, 64)
    assert batch.labels.shape == (2, 48, 64)
    assert batch.labels.dtype == torch.int64
    assert batch.depth.shape == batch.raw_depth.shape == (2, 1, 48, 64)
    assert {part.device.type for part in (batch.image, batch.labels, batch.depth, batch.raw_depth)} == {device.type}
    assert 0 <= batch.image.min() < batch.image.max() <= 1
    assert 0.05 < batch.depth.min() < batch.depth.max() < 12
    assert batch.origin.kind == "simulated"
    assert torch.equal(batch.superclasses(), torch.tensor(SUPERCLASSES, device=device)[batch.labels])
    on_cpu = scenes(1, 2)
    assert (batch.labels.cpu() == on_cpu.labels).float().mean() > 0.999
    assert (batch.image.cpu() - on_cpu.image).abs().mean() < 1 / 255


def test_smooth_edges_change_colours_alone():
    smooth, hard = scenes(4), scenes(4, settings=IndoorSettings(48, 64, smooth_edges=False))
    assert torch.equal(smooth.labels, hard.labels)
    assert torch.equal(smooth.depth, hard.depth)
    assert (smooth.image - hard.image).abs().amax() > 0.02


def test_every_class_occurs_and_no_room_is_of_one_class():
    seen = torch.zeros(len(CLASS_NAMES))
    generator = torch.Generator().manual_seed(0)
    for _ in range(11):
        batch = indoor_scene(generator=generator, num_scenes=8, settings=IndoorSettings(48, 64, smooth_edges=False))
        counts = torch.nn.functional.one_hot(batch.labels.flatten(1), len(CLASS_NAMES)).sum(1)
        assert (counts > 0).sum(1).min() >= 3
        seen += counts.sum(0)
    assert [name for name, count in zip(CLASS_NAMES, seen, strict=True) if count == 0] == []
    share = seen / seen.sum()
    assert share[CLASS_NAMES.index("wall")] < 0.45


def test_the_floor_is_a_plane_and_gravity_is_across_it():
    """Depth, labels and intrinsics belong together: the floor's points lie in one plane, and HHA finds it level."""
    checked = 0
    for seed in range(12):
        batch = scenes(seed, settings=IndoorSettings(120, 160, smooth_edges=False))
        floor = batch.labels[0] == CLASS_NAMES.index("floor")
        if floor.float().mean() < 0.06:
            continue
        geometry = scene_geometry(batch.depth, camera=batch.camera)
        points = geometry.points[0][:, floor]
        spread = torch.linalg.svd(points - points.mean(1, keepdim=True), full_matrices=False)
        assert spread.S[2] / math.sqrt(points.shape[1]) < 1e-3  # metres
        assert abs(float(spread.U[:, 2] @ geometry.gravity[0])) > math.cos(math.radians(5))
        checked += 1
    assert checked >= 3


def test_pieces_stand_inside_their_room_and_before_no_lens():
    for seed in range(20):
        room = furnish_room(np.random.default_rng(seed))
        width, depth, high = room.size
        for solid in room.solids:
            x, y, z = solid.centre
            assert -0.1 < x < width + 0.1
            assert -0.1 < y < depth + 0.1
            assert -0.05 < z < high
            assert math.dist((x, y), room.eye[:2]) > 0.3 or z > high - 0.4


def test_measured_depth_is_noisy_stepped_and_has_holes():
    batch = scenes(2, 4, IndoorSettings(120, 160, smooth_edges=False))
    exact, raw = batch.depth, batch.raw_depth
    holes = (raw == 0).float().mean()
    assert 0.005 < holes < 0.5
    seen = raw > 0
    error = (raw - exact).abs()
    near, far = seen & (exact < 2), seen & (exact > 3)
    assert error[near].median() < error[far].median()
    steps = 1 / (raw[seen] * 2.85e-3)
    torch.testing.assert_close(steps, steps.round(), rtol=1e-3, atol=1e-3)
    perfect = scenes(2, 4, IndoorSettings(120, 160, smooth_edges=False, depth_noise=0, missing_depth=False))
    torch.testing.assert_close(perfect.raw_depth, perfect.depth)


def test_the_projector_casts_a_shadow_beside_what_is_near():
    """A bar at 1 m before a wall at 4 m, focal 100: shadow of 100 * 0.075 * (1 - 1/4) = 5.6 pixels at its left."""
    depth = torch.full((1, 1, 5, 60), 4.0)
    depth[..., 30:35] = 1.0
    raw = measure_depth(
        depth, torch.zeros_like(depth, dtype=torch.bool), focal=100, normal_noise=torch.zeros_like(depth),
        noise=0, missing=True,
    )  # fmt: skip
    assert (raw[0, 0, 2] == 0).nonzero().flatten().tolist() == [25, 26, 27, 28, 29]


def test_noise_is_smooth_and_looks_random():
    whole = torch.arange(4000)
    values = hashed(whole, whole * 7 - 3, torch.full_like(whole, 5))
    assert values.min() >= 0
    assert values.max() <= 1
    assert values.mean() == pytest.approx(0.5, abs=0.03)
    x = torch.linspace(-3, 3, 601)
    line = noise(x, torch.full_like(x, 0.3), torch.zeros_like(x, dtype=torch.int64))
    assert (line[1:] - line[:-1]).abs().max() < 0.03
    assert line.std() > 0.1


def test_rooms_as_a_data_set():
    data = IndoorRooms(3, seed=5, num_classes=4, hha=True, settings=SMALL)
    first, again = data[1], IndoorRooms(2, seed=5, num_classes=4, hha=True, settings=SMALL)[1]
    assert torch.equal(first.image, again.image)
    assert torch.equal(first.labels, again.labels)
    assert first.hha is not None
    assert first.hha.shape == (3, 48, 64)
    assert first.depth is not None
    assert first.depth.min() > 0
    assert first.labels.max() <= 3
    assert data.class_names == ("floor", "structure", "furniture", "prop")
    assert first.origin.kind == "simulated"
    assert len(list(data)) == 3
    other = IndoorRooms(3, seed=6, settings=SMALL)[1]
    assert other.hha is None
    assert not torch.equal(other.image, first.image)
    assert torch.equal(torch.tensor(SUPERCLASSES)[IndoorRooms(3, seed=5, settings=SMALL)[1].labels], first.labels)


@pytest.mark.parametrize(
    ("call", "answer"),
    [
        (lambda: scenes(0, 0), "num_scenes must be at least 1"),
        (lambda: IndoorRooms(0), "num_scenes must be at least 1"),
        (lambda: IndoorRooms(1, num_classes=13), "40 or 4: got 13"),
        (lambda: IndoorSettings(height_px=8), "at least 16: got 8x160"),
        (lambda: IndoorSettings(noise=-1), "noise must be a finite number of at least 0"),
        (lambda: IndoorSettings(depth_noise=math.nan), "depth_noise must be a finite number"),
    ],
)
def test_bad_settings_have_clear_answers(call, answer):
    with pytest.raises(SpecError, match=answer):
        call()
