"""The rows of the speed table: made-up features are of the kinds that they are said to be, peers compute the same."""

import numpy as np
import pytest
import torch

from lib.fodvid import speed
from lib.fodvid.affinity import patch_affinity

GRID = (10, 24)
KINDS = [speed.connected_features, speed.fragmented_features]


def test_kinds_of_graph() -> None:
    connected, fragmented = (patch_affinity(*make(speed.GRID)) for make in KINDS)
    assert int(connected.parts().max()) == 0
    assert connected.edges.float().mean() == pytest.approx(0.41, abs=0.03)
    assert 200 < int(fragmented.parts().max()) + 1 < 300
    assert fragmented.edges.float().mean() == pytest.approx(0.011, abs=0.002)


@pytest.mark.parametrize("make", KINDS)
def test_peers_find_the_same_vector(make) -> None:
    image, flow = make(GRID)
    affinity = speed.reference_affinity(image, flow)
    exact = speed.reference_vector(affinity)
    found = speed.ours_from_features(image, flow)
    assert speed.difference(found, exact).startswith("mask 100.00% the same")
    graph = patch_affinity(image, flow, alpha=speed.ALPHA, tau=speed.TAU, epsilon=speed.EPSILON)
    assert np.array_equal(graph.edges.numpy(), affinity == 1)
    assert np.allclose(speed.ours_from_graph(graph), found)


def test_eigsh_is_the_same_on_a_connected_graph() -> None:
    affinity = speed.reference_affinity(*speed.connected_features(GRID))
    loose = speed.eigsh_vector(speed.normalised_matrix(affinity), affinity.sum(1))
    assert speed.difference(loose, speed.reference_vector(affinity)).startswith("mask 100.00% the same")


def test_difference_by_hand() -> None:
    exact = np.array([-1.0, -1.0, 1.0, 1.0])
    assert speed.difference(-exact, exact) == "mask 100.00% the same, 1 - |cos| 0e+00"
    assert speed.difference(np.array([-1.0, 1.0, 1.0, 1.0]), exact) == "mask 75.00% the same, 1 - |cos| 5e-01"


def test_rows_and_goals() -> None:
    rows = speed.races()
    assert [row.goal for row in rows] == [60, 1, 60, 3, 18, 40, 1]
    assert all(callable(row.ours) for row in rows[:-1])
    assert rows[-1].peer == 0.01
    if not torch.cuda.is_available():
        assert rows[-1].ours == "needs a GPU"
    with pytest.raises(RuntimeError, match="after both sides"):
        rows[0].check()
