"""The cut: side, seed and component by hand, on golden vectors and graphs, and on graphs without an answer."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from lib.errors import ShapeError
from lib.fodvid.affinity import patch_affinity
from lib.fodvid.cut import choose_side, graph_cut, grow_seed

PLAIN = {"corner_rule": False}


def comparable(golden: Callable[[str], Any]) -> list[tuple[str, dict[str, Any]]]:
    graphs = golden("graphcut/ncut.json")
    return [(case, run) for case in ("case0", "case1", "case2") for run in graphs[case]["runs"] if run["comparable"]]


def test_masks_of_the_reference(golden: Callable[[str], Any]) -> None:
    data, graphs = golden("graphcut/ncut.npz"), golden("graphcut/ncut.json")
    compared = 0
    for case, run in comparable(golden):
        features = torch.from_numpy(data[f"{case}_features"])
        grid = tuple(graphs[case]["dims"])
        affinity = patch_affinity(features, None, alpha=1, tau=run["tau"], epsilon=run["eps"])
        cut = graph_cut(affinity, grid, corner_rule=False)
        assert cut.mask.shape == grid
        if run["seed_unambiguous"]:
            assert cut.seed[0] * grid[1] + cut.seed[1] in run["seed_ties"]
            assert np.array_equal(cut.mask, data[f"{run['tag']}_mask"].astype(bool)), run["tag"]
        assert cut.eigenvalue == pytest.approx(run["eigenvalues"][1], abs=1e-5)
        whole = graph_cut(affinity, grid, corner_rule=False, component=False)
        assert np.array_equal(whole.mask, data[f"{run['tag']}_bipartition"].astype(bool)), run["tag"]
        compared += 1
    assert compared > 10


def test_masks_from_image_and_flow(golden: Callable[[str], Any]) -> None:
    data = golden("graphcut/ncut.npz")
    image, flow = (torch.from_numpy(data[f"two_{name}_features"]) for name in ("img", "flow"))
    tags = [name[:-5] for name in data if name.startswith("two_a") and name.endswith("_mask")]
    assert len(tags) == 10
    for tag in tags:
        alpha, tau = (float(part[1:]) for part in tag.split("_")[1:])
        cut = graph_cut(patch_affinity(image, flow, alpha=alpha, tau=tau, epsilon=1e-5), (16, 28))
        assert np.array_equal(cut.mask, data[f"{tag}_mask"].astype(bool)), tag


@pytest.mark.parametrize("idx", range(2))
def test_corner_rule_of_the_reference(golden: Callable[[str], Any], idx: int) -> None:
    data = golden("graphcut/ncut.npz")
    vector = torch.from_numpy(data[f"corner{idx}_vector"]).reshape(10, 14)
    for corner_rule, name in ((True, "mask"), (False, "mask_no_corner_rule")):
        mask, _ = grow_seed(*choose_side(vector, corner_rule=corner_rule))
        assert np.array_equal(mask, data[f"corner{idx}_{name}"].astype(bool))


def test_side_is_that_of_the_largest_entry() -> None:
    vector = torch.tensor([[0.1, 0.1, 0.1], [0.1, -0.9, 0.1], [0.1, 0.1, 0.1]])
    for signed in (vector, -vector):
        members, oriented = choose_side(signed, **PLAIN)
        assert members.sum() == 1
        assert members[1, 1]
        assert oriented[1, 1] == 0.9


def test_three_corners_are_background_whatever_the_largest_entry() -> None:
    vector = torch.full((4, 5), 0.1)
    vector[1:3, 1:3] = -0.2
    vector[0, 0] = 0.9
    members, _ = choose_side(vector)
    assert members.sum() == 16 - 12  # the corner's 0.9 lifts the mean to 0.08: the middle alone is below
    assert not members[0, 0]
    assert choose_side(vector, **PLAIN)[0][0, 0]


def test_component_of_the_seed_and_ties() -> None:
    members = torch.tensor([[1, 1, 0, 1], [0, 0, 0, 1], [1, 0, 0, 1]], dtype=torch.bool)
    height = torch.where(members, 1.0, -1.0)
    mask, seed = grow_seed(members, height)  # all tie: the largest component, and in it the first
    assert mask.tolist() == [[False, False, False, True]] * 3
    assert seed == (0, 3)
    height[2, 0] = 1.1
    assert grow_seed(members, height)[0].sum() == 1
    assert torch.equal(grow_seed(members, height, component=False)[0], members)


def test_neighbours_across_a_corner_are_not_connected() -> None:
    members = torch.eye(3, dtype=torch.bool)
    assert grow_seed(members, members.float())[0].sum() == 1


def test_two_groups_are_told_apart(device: torch.device) -> None:
    inside = torch.zeros(6, 8, dtype=torch.bool, device=device)
    inside[2:4, 3:6] = True
    features = torch.stack([inside.flatten().float(), (~inside).flatten().float()], dim=1)
    cut = graph_cut(patch_affinity(features, None, alpha=1, tau=0.5, epsilon=1e-5), (6, 8))
    assert torch.equal(cut.mask, inside)
    assert cut.mask.device == features.device
    assert inside[cut.seed]
    assert not cut.repeated
    assert 0 < cut.eigenvalue < 1e-3


def test_a_graph_without_parts_says_so() -> None:
    alike = torch.ones(12, 3)
    cut = graph_cut(patch_affinity(alike, None, alpha=1, tau=0.5, epsilon=1e-5), (3, 4))
    assert cut.repeated
    assert cut.mask.shape == (3, 4)


def test_grid_of_another_size() -> None:
    with pytest.raises(ShapeError, match="12 patches, which are not a grid"):
        graph_cut(patch_affinity(torch.rand(12, 3), None, alpha=1, tau=0.5, epsilon=1e-5), (5, 3))
