"""Simulated rooms as labelled pictures."""

import pytest
import torch

from lib.context_reg.scenes import simulated_rooms
from lib.errors import SpecError

HEIGHT = 48


@pytest.fixture(scope="module")
def rooms():
    return simulated_rooms(9, seed=4, height_px=HEIGHT, num_classes=40)


def test_rooms_are_whole_pictures_of_the_size(rooms):
    assert len(rooms) == 9
    for room in rooms:
        assert room.image.shape == (3, HEIGHT, 64)
        assert room.image.dtype == torch.float32
        assert room.depth.shape == (1, HEIGHT, 64)
        assert room.labels.shape == (HEIGHT, 64)
        assert int(room.labels.min()) >= 0
        assert int(room.labels.max()) < 40
        assert room.origin.kind == "simulated"


def test_same_seed_same_rooms_and_another_seed_others(rooms):
    again, other = (simulated_rooms(1, seed=seed, height_px=HEIGHT)[0] for seed in (4, 5))
    assert torch.equal(again.image, rooms[0].image)
    assert not torch.equal(other.image, rooms[0].image)


def test_four_classes_are_the_same_rooms_seen_coarsely(rooms):
    coarse = simulated_rooms(1, seed=4, height_px=HEIGHT, num_classes=4)[0]
    assert torch.equal(coarse.image, rooms[0].image)
    assert int(coarse.labels.max()) < 4
    for fine in rooms[0].labels.unique():
        assert len(coarse.labels[rooms[0].labels == fine].unique()) == 1


def test_hha_comes_when_asked_for():
    room = simulated_rooms(1, seed=4, height_px=120, hha=True)[0]
    assert room.hha.shape == (3, 120, 160)
    assert 0 <= float(room.hha.min()) <= float(room.hha.max()) <= 1


def test_other_class_counts_are_refused():
    with pytest.raises(SpecError, match="40 or 4: got 13"):
        simulated_rooms(1, seed=0, height_px=HEIGHT, num_classes=13)
