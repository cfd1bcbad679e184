"""The second eigenpair: oracle, golden graphs, and the graphs on which a close vector has the wrong signs."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from lib.errors import LabError, ShapeError, SpecError
from lib.solvers import spectral
from lib.solvers.lanczos import largest_two
from lib.solvers.spectral import TwoValued, second_eigenvector

EPSILON = 1e-5


def oracle(affinity: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Smallest four eigenvalues and the second eigenvector, as TokenCut computes them."""
    weights = affinity.double().numpy()
    degrees = np.diag(weights.sum(1))
    values, vectors = scipy.linalg.eigh(degrees - weights, degrees, subset_by_index=[0, min(3, len(weights) - 1)])
    return values, vectors[:, 1]


def random_graph(seed: int, count: int, groups: int, noise: float, tau: float) -> TwoValued:
    """Patches around so many directions, joined from a cosine of tau on."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(groups, 16, generator=generator)
    features = centres[torch.randint(groups, (count,), generator=generator)]
    features = torch.nn.functional.normalize(features + noise * torch.randn(count, 16, generator=generator), dim=1)
    return TwoValued(features @ features.T >= tau, EPSILON)


def num_parts(graph: TwoValued) -> int:
    from scipy.sparse.csgraph import connected_components

    return int(connected_components(graph.edges.numpy())[0])


def agreement(found: Tensor, expected: np.ndarray) -> float:
    """Share of nodes on the same side of the mean, whichever the sign."""
    same = ((found > found.mean()).numpy() == (expected > expected.mean())).mean()
    return float(max(same, 1 - same))


GRAPHS = [
    (0, 300, 3, 0.6, 0.2),
    (1, 257, 2, 1.0, 0.1),
    (2, 1200, 3, 0.8, 0.3),
    (3, 500, 6, 1.0, 0.75),
    (4, 300, 2, 2.0, 0.7),
]


@pytest.mark.parametrize("form", GRAPHS)
def test_same_sides_as_the_oracle(form: tuple[int, int, int, float, float]) -> None:
    graph = random_graph(*form)
    values, vector = oracle(graph.dense())
    pair = second_eigenvector(graph)
    assert pair.method == ("parts" if num_parts(graph) > 1 else "lanczos")
    assert float(pair.eigenvalue) == pytest.approx(values[1], abs=2e-7)
    assert agreement(pair.eigenvector, vector) == 1
    assert not pair.repeated


def test_graphs_above_cover_the_hard_cases() -> None:
    graphs = [random_graph(*form) for form in GRAPHS]
    assert [num_parts(graph) > 20 for graph in graphs] == [False, False, False, True, True]
    assert graphs[4].is_sparse
    assert not graphs[0].is_sparse


def test_golden_graphs(golden: Callable[[str], Any]) -> None:
    data, cases = golden("graphcut/ncut.npz"), golden("graphcut/ncut.json")
    compared = 0
    for name in ("case0", "case1", "case2"):
        features = torch.nn.functional.normalize(torch.from_numpy(data[f"{name}_features"]), dim=1)
        for run in cases[name]["runs"]:
            if not run["comparable"] or run["min_margin_to_tau"] < 1e-6:
                continue
            pair = second_eigenvector(TwoValued(features @ features.T >= run["tau"], run["eps"]))
            assert float(pair.eigenvalue) == pytest.approx(run["eigenvalues"][1], abs=1e-8)
            expected = torch.from_numpy(data[f"{run['tag']}_eigenvector2"])
            assert min((pair.eigenvector - sign * expected).abs().max() for sign in (1, -1)) < 1e-6
            compared += 1
    assert compared == 8


def test_equation_and_normalisation(device: torch.device) -> None:
    graph = TwoValued(random_graph(*GRAPHS[0]).edges.to(device), EPSILON)
    pair = second_eigenvector(graph)
    weights, x = graph.dense().double(), pair.eigenvector
    degrees = weights.sum(1)
    assert x.device == graph.edges.device
    assert torch.dot(x, degrees * x) == pytest.approx(1)
    assert torch.dot(x, degrees).abs() < 1e-9
    assert (degrees * x - weights @ x - pair.eigenvalue * degrees * x).norm() < 1e-6
    assert x[x.abs().argmax()] > 0


def test_methods_and_forms_agree() -> None:
    graph = random_graph(*GRAPHS[3])
    found = [second_eigenvector(graph), second_eigenvector(graph.dense()), second_eigenvector(graph, method="dense")]
    for pair in found[1:]:
        assert torch.allclose(pair.eigenvector, found[0].eigenvector, atol=1e-6)
    assert found[2].method == "dense"


def test_batch(device: torch.device) -> None:
    graphs = [random_graph(seed, 80, 2, 0.5, 0.2).dense().to(device) for seed in range(3)]
    batch = second_eigenvector(torch.stack(graphs))
    assert batch.eigenvalue.shape == batch.repeated.shape == (3,)
    for graph, vector in zip(graphs, batch.eigenvector, strict=True):
        assert torch.allclose(second_eigenvector(graph).eigenvector, vector)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10**6),
    count=st.integers(66, 260),
    groups=st.integers(1, 12),
    noise=st.floats(0.2, 2.5),
    tau=st.floats(0.1, 0.9),
)
def test_any_graph_has_the_sides_of_the_oracle(seed: int, count: int, groups: int, noise: float, tau: float) -> None:
    graph = random_graph(seed, count, groups, noise, tau)
    values, vector = oracle(graph.dense())
    pair = second_eigenvector(graph)
    assert float(pair.eigenvalue) == pytest.approx(values[1], abs=2e-7)  # the oracle's own epsilon is a float32
    gap = values[2] - values[1]
    assume(gap > 1e-6)
    assert not pair.repeated
    nearest = np.abs(vector - vector.mean()).min() / np.abs(vector).max()
    assume(nearest > 1e-11 / gap + 1e-6)
    assert agreement(pair.eigenvector, vector) == 1


def test_a_part_that_nearly_falls_apart_is_seen_beside_the_others() -> None:
    edges = torch.zeros(600, 600, dtype=torch.bool)
    sizes = [160, 140, *range(5, 30)]
    start = 0
    for size in sizes:
        end = min(start + size, 600)
        edges[start:end, start:end] = True
        start = end
    edges.fill_diagonal_(True)
    edges[159, 160] = edges[160, 159] = True  # two cliques hold together by one edge
    graph = TwoValued(edges, 1e-4)
    values, vector = oracle(graph.dense())
    pair = second_eigenvector(graph)
    assert pair.method == "parts"
    assert float(pair.eigenvalue) == pytest.approx(values[1], abs=1e-9)
    assert agreement(pair.eigenvector, vector) == 1
    # the cliques' division lies below what any two whole parts give
    assert torch.sign(pair.eigenvector[:159].mean()) != torch.sign(pair.eigenvector[161:300].mean())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_matrix_of_two_values_is_recognised(dtype: torch.dtype) -> None:
    graph = random_graph(*GRAPHS[3])
    weights = 3 * torch.where(graph.edges, 1.0, EPSILON).to(dtype)
    pair, expected = second_eigenvector(weights), second_eigenvector(graph)
    assert pair.method == "parts"
    assert float(pair.eigenvalue) == pytest.approx(float(expected.eigenvalue), abs=1e-9)
    assert torch.allclose(pair.eigenvector * 3**0.5, expected.eigenvector, atol=1e-6)


def test_matrix_of_many_values(device: torch.device) -> None:
    generator = torch.Generator().manual_seed(5)
    points = torch.cat([torch.randn(150, 2, generator=generator), torch.randn(90, 2, generator=generator) + 2.5])
    weights = torch.exp(-torch.cdist(points, points).square())
    values, vector = oracle(weights)
    pair = second_eigenvector(((weights + weights.T) / 2).to(device))
    assert pair.method == "lanczos"
    assert pair.eigenvector.device == torch.ones(1, device=device).device
    assert float(pair.eigenvalue) == pytest.approx(values[1], abs=1e-6)
    assert agreement(pair.eigenvector.cpu(), vector) == 1


def test_auto_decomposes_where_lanczos_does_not_converge(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = random_graph(*GRAPHS[0])
    expected = second_eigenvector(graph)

    def fail(*_: object, **__: object) -> None:
        raise LabError("no convergence")

    monkeypatch.setattr(spectral, "largest_two", fail)
    pair = second_eigenvector(graph)
    assert pair.method == "dense"
    assert torch.allclose(pair.eigenvector, expected.eigenvector, atol=1e-6)
    with pytest.raises(LabError, match="no convergence"):
        second_eigenvector(graph, method="lanczos")


def test_order_of_nodes_does_not_matter() -> None:
    graph = random_graph(*GRAPHS[2])
    order = torch.randperm(len(graph), generator=torch.Generator().manual_seed(0))
    shuffled = TwoValued(graph.edges[order][:, order], EPSILON)
    assert torch.allclose(
        second_eigenvector(shuffled).eigenvector, second_eigenvector(graph).eigenvector[order], atol=1e-6
    )


@pytest.mark.parametrize("count", [5, 100, 1100])
@pytest.mark.parametrize("edges", ["all", "none", "self", "three alike"])
def test_repeated_eigenvalue_is_said(count: int, edges: str) -> None:
    matrix = torch.zeros(count, count, dtype=torch.bool)
    if edges == "all":
        matrix |= True
    elif edges == "self":
        matrix.fill_diagonal_(True)
    elif edges == "three alike" and count == 5:
        pytest.skip("needs more nodes")
    elif edges == "three alike":
        third = count // 3
        for part in range(3):
            matrix[part * third : (part + 1) * third, part * third : (part + 1) * third] = True
        matrix = matrix[: 3 * third, : 3 * third]
    pair = second_eigenvector(TwoValued(matrix, EPSILON))
    assert pair.repeated
    assert pair.eigenvector.isfinite().all()


def test_two_groups_and_an_isolated_patch() -> None:
    edges = torch.zeros(200, 200, dtype=torch.bool)
    edges[:120, :120] = edges[120:199, 120:199] = True
    edges[199, 199] = True
    pair = second_eigenvector(TwoValued(edges, EPSILON))
    above = pair.eigenvector > pair.eigenvector.mean()
    assert above[:120].all() != above[120:199].all()
    assert not pair.repeated


def test_two_nodes_by_hand() -> None:
    pair = second_eigenvector(torch.tensor([[1.0, 0.5], [0.5, 1.0]]))
    assert float(pair.eigenvalue) == pytest.approx(2 / 3)  # 2 w / (1 + w)
    assert pair.eigenvector.abs().tolist() == pytest.approx([3**-0.5] * 2)
    assert not pair.repeated


def test_lanczos_finds_a_double_value_and_says_when_it_cannot() -> None:
    basis = torch.linalg.qr(torch.randn(60, 60, generator=torch.Generator().manual_seed(1)).double()).Q
    values = torch.linspace(-0.5, 0.5, 60, dtype=torch.float64)
    values[-2:] = 0.9
    matrix = basis @ torch.diag(values) @ basis.T
    start = torch.randn(2, 60, generator=torch.Generator().manual_seed(2)).double()
    top = largest_two(lambda rows: rows @ matrix, start, tolerance=1e-10)
    assert top.values.tolist() == pytest.approx([0.9, 0.9], abs=1e-10)
    assert (top.vectors @ matrix - 0.9 * top.vectors).norm() < 1e-8
    with pytest.raises(LabError, match="did not converge in 3 steps"):
        largest_two(lambda rows: rows @ matrix, start, tolerance=1e-10, max_steps=3)


@pytest.mark.parametrize(
    ("affinity", "error", "sentence"),
    [
        (torch.ones(3, 4), ShapeError, r"must be \(N, N\)"),
        (torch.ones(1, 1), ShapeError, "at least two nodes"),
        (torch.full((3, 3), torch.nan), ShapeError, "finite"),
        (-torch.ones(3, 3), ShapeError, "at least 0"),
        (torch.zeros(3, 3), ShapeError, "no empty row"),
        (torch.triu(torch.ones(3, 3)), ShapeError, "symmetric"),
        (torch.triu(torch.ones(3, 3)) + 1, ShapeError, "symmetric"),
        (torch.ones(3, 3, dtype=torch.int64), ShapeError, "float tensor"),
    ],
)
def test_bad_affinity(affinity: Tensor, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        second_eigenvector(affinity)


def test_bad_graph_and_method() -> None:
    with pytest.raises(ShapeError, match="square bool matrix"):
        TwoValued(torch.ones(3, 3), EPSILON)
    with pytest.raises(SpecError, match="epsilon must be above 0"):
        TwoValued(torch.ones(3, 3, dtype=torch.bool), 0.0)
    with pytest.raises(SpecError, match="method must be one of"):
        second_eigenvector(torch.ones(3, 3), method="power")  # type: ignore[arg-type]
