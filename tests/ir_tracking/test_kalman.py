"""The motion filter against the textbook's matrices, and what it does with targets that aren't seen."""

import numpy as np
import pytest
import torch

from lib.errors import SpecError
from lib.ir_tracking.kalman import (
    START_ACCELERATION_PX,
    START_SPEED_PX,
    ConstantAcceleration,
    ConstantVelocity,
    MotionSettings,
)


def test_equals_the_filter_in_matrices() -> None:
    settings = MotionSettings(acceleration_px=0.3, measurement_px=0.7)
    rng = np.random.default_rng(0)
    measured = np.cumsum(rng.normal(size=(12, 2)), axis=0) + 50
    filtered = ConstantVelocity(torch.tensor(measured[:1]), settings)
    state = np.array([measured[0], [0.0, 0.0]])
    covariance = np.diag([0.7**2, START_SPEED_PX**2])
    step = np.array([[1.0, 1.0], [0.0, 1.0]])
    noise = 0.3**2 * np.outer([0.5, 1.0], [0.5, 1.0])
    seen_row = np.array([[1.0, 0.0]])
    for one in measured[1:]:
        state, covariance = step @ state, step @ covariance @ step.T + noise
        gain = covariance @ seen_row.T / (seen_row @ covariance @ seen_row.T + 0.7**2)
        state = state + gain @ (one[None] - seen_row @ state)
        covariance = (np.eye(2) - gain @ seen_row) @ covariance
        filtered.predict()
        filtered.update(torch.tensor(one[None]))
        np.testing.assert_allclose(filtered.centres[0], state[0], atol=1e-10)
        np.testing.assert_allclose(filtered.velocities[0], state[1], atol=1e-10)
        np.testing.assert_allclose(filtered.covariances[0], covariance, atol=1e-10)


def test_a_target_that_is_not_seen_goes_straight_on_and_grows_uncertain() -> None:
    filtered = ConstantVelocity(torch.tensor([[0.0, 0.0], [0.0, 0.0]]))
    for number in range(1, 30):
        filtered.predict()
        filtered.update(torch.tensor([[2.0 * number, 0.0], [2.0 * number, 0.0]]))
    seen = torch.tensor([True, False])
    for number in range(30, 40):
        filtered.predict()
        filtered.update(torch.tensor([[2.0 * number, 0.0], [float("nan"), 0.0]]), seen=seen)
    torch.testing.assert_close(
        filtered.centres, torch.full((2, 1), 78.0).double() * torch.tensor([1.0, 0.0]), atol=0.5, rtol=0
    )
    assert float(filtered.spread_px[1]) > 2 * float(filtered.spread_px[0])


def test_copy_goes_its_own_way_and_place_forgets() -> None:
    filtered = ConstantVelocity(torch.tensor([[1.0, 2.0]]))
    other = filtered.copy()
    other.predict()
    other.update(torch.tensor([[5.0, 5.0]]))
    assert filtered.centres.tolist() == [[1.0, 2.0]]
    other.place(0, torch.tensor([9.0, 9.0]))
    assert other.centres.tolist() == [[9.0, 9.0]]
    assert other.velocities.tolist() == [[0.0, 0.0]]


def test_settings_out_of_range() -> None:
    with pytest.raises(SpecError, match="acceleration_px"):
        MotionSettings(acceleration_px=0)


def test_constant_acceleration_equals_the_filter_in_matrices() -> None:
    settings = MotionSettings(jerk_px=0.05, measurement_px=0.7)
    rng = np.random.default_rng(0)
    measured = np.cumsum(rng.normal(size=(12, 2)), axis=0) + 50
    filtered = ConstantAcceleration(torch.tensor(measured[:1]), settings)
    state = np.array([measured[0], [0.0, 0.0], [0.0, 0.0]])
    covariance = np.diag([0.7**2, START_SPEED_PX**2, START_ACCELERATION_PX**2])
    step = np.array([[1.0, 1.0, 0.5], [0.0, 1.0, 1.0], [0.0, 0.0, 1.0]])
    noise = 0.05**2 * np.outer([1 / 6, 0.5, 1.0], [1 / 6, 0.5, 1.0])
    seen_row = np.array([[1.0, 0.0, 0.0]])
    for one in measured[1:]:
        state, covariance = step @ state, step @ covariance @ step.T + noise
        gain = covariance @ seen_row.T / (seen_row @ covariance @ seen_row.T + 0.7**2)
        state = state + gain @ (one[None] - seen_row @ state)
        covariance = (np.eye(3) - gain @ seen_row) @ covariance
        filtered.predict()
        filtered.update(torch.tensor(one[None]))
        np.testing.assert_allclose(filtered.states[0], state, atol=1e-10)
        np.testing.assert_allclose(filtered.covariances[0], covariance, atol=1e-10)


def test_a_turn_goes_on_with_constant_acceleration() -> None:
    angles = torch.arange(40, dtype=torch.float64) * 0.03
    path = 50 * torch.stack([angles.cos(), angles.sin()], dim=1)
    bent, straight = ConstantAcceleration(path[:1]), ConstantVelocity(path[:1])
    for place in path[1:34]:
        for motion in (bent, straight):
            motion.predict()
            motion.update(place[None])
    for _ in range(6):
        for motion in (bent, straight):
            motion.predict()
    off = [float((motion.centres[0] - path[-1]).norm()) for motion in (bent, straight)]
    assert off[0] < 0.3 * off[1]
    assert float(bent.spread_px) < float(straight.spread_px)


def test_targets_are_forgotten_and_added() -> None:
    motion = ConstantAcceleration(torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))
    motion.predict()
    other = motion.copy()
    motion.keep(torch.tensor([True, False, True]))
    assert motion.centres.tolist() == [[1.0, 2.0], [5.0, 6.0]]
    motion.add(ConstantAcceleration(torch.tensor([[7.0, 8.0]])))
    assert motion.centres.tolist() == [[1.0, 2.0], [5.0, 6.0], [7.0, 8.0]]
    assert float(motion.spread_px[2]) < float(motion.spread_px[1])
    assert len(other.centres) == 3
