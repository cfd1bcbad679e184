"""Spectral bipartition: the second-smallest eigenpair of (D - W) x = lambda D x, for a dense or a two-valued W.

With M = D^-1/2 W D^-1/2 the pair is the second-largest of M: lambda = 1 - theta, x = D^-1/2 v. The largest, theta = 1
with v = D^1/2 1, is known and taken out, and the next two are found. Their gap tells whether the wanted one stands
alone. A vector that is close is not enough: nodes near the mean change sides with its last digits, and where the gap
is small, as on a graph in many parts, float32 has a third of the signs wrong.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from lib.checks import check_form
from lib.errors import LabError, ShapeError, SpecError
from lib.solvers import graph_kernels
from lib.solvers.lanczos import MAX_STEPS, Product, TopPair, largest_two
from lib.solvers.parts import largest_two_by_parts
from lib.solvers.two_valued import TwoValued, as_two_valued, by_matrix

__all__ = ["SecondEigenpair", "TwoValued", "second_eigenvector"]

Method = Literal["auto", "lanczos", "dense"]
METHODS = ("auto", "lanczos", "dense")
SMALL = 64  # up to here a decomposition of the whole matrix is as quick
SAFE_GAP = 0.02  # between theta2 and theta3; below it float32 is not trusted with the signs
SAFE_DISTANCE = 1e-4  # of any entry of x from their mean, in units of the largest; float32 errs by up to a fifth of it
QUICK_STEPS = 24  # of float32; a graph with a safe gap needs ten
REPEATED_GAP = 1e-9  # of values around 1: rounding of float64 after some hundred operations
TOLERANCE = {torch.float32: 2e-5, torch.float64: 1e-7}
ASYMMETRY = 1e-5


@dataclass(frozen=True, eq=False)
class SecondEigenpair:
    """eigenvalue: scalar float64, or (B,) of a batch. eigenvector: (N,) float64, or (B, N), x' D x = 1, its largest
    entry by size positive. repeated: bool, or (B,): the eigenvalue occurs more than once, so that the vector is one of
    many as good. method: what ran, `lanczos`, `parts` or `dense`; of a batch, for its first graph."""

    eigenvalue: Tensor
    eigenvector: Tensor
    repeated: Tensor
    method: str


def second_eigenvector(affinity: Tensor | TwoValued, *, method: Method = "auto") -> SecondEigenpair:
    """Second-smallest eigenpair of (D - W) x = lambda D x, D = diag(row sums of W), on W's device.

    affinity: W, (N, N) or (B, N, N), float, symmetric, entries at least 0, row sums above 0; or a `TwoValued` graph,
    which a W of two values is recognised as.
    method: `dense` decomposes the whole matrix in float64; `lanczos` only multiplies by it, and uses the parts of a
    two-valued graph that its edges do not connect; `auto` takes lanczos from 65 nodes on, and dense where it does not
    converge. All give the same sides x > mean(x) unless the eigenvalue is repeated.
    Source: Shi and Malik 2000, eq. 6; FODVid sec. 2.1 (whose "eigenvector of W" is a slip).
    Raises ShapeError for another form, entries that are negative or not finite, an empty row, or a single node;
    SpecError for an unknown method; LabError when lanczos is asked for and does not converge.
    """
    if method not in METHODS:
        raise SpecError(f"method must be one of {', '.join(METHODS)}: got {method!r}")
    if isinstance(affinity, TwoValued):
        return _solve(affinity, method)
    check_form("affinity", affinity)
    if affinity.ndim not in (2, 3) or affinity.shape[-1] != affinity.shape[-2]:
        raise ShapeError(f"affinity must be (N, N) or (B, N, N): got {tuple(affinity.shape)}")
    if affinity.ndim == 3:
        return _batch([second_eigenvector(one, method=method) for one in affinity])
    low, high = (float(bound) for bound in torch.aminmax(affinity))
    graph = as_two_valued(affinity, low, high)
    if graph is None:
        _check_entries(affinity, low, high)
        return _solve(affinity, method)
    if not _is_symmetric(graph.edges):
        raise _asymmetric()
    pair = _solve(graph, method)
    return SecondEigenpair(pair.eigenvalue, pair.eigenvector / high**0.5, pair.repeated, pair.method)


def _check_entries(affinity: Tensor, low: float, high: float) -> None:
    if not (low > -torch.inf and high < torch.inf):  # also false for NaN
        raise ShapeError("affinity must hold finite numbers: got NaN or infinity; repair the features first")
    if low < 0 or (low == 0 and float(affinity.sum(1).min()) <= 0):
        raise ShapeError("affinity must have entries of at least 0 and no empty row; add a small weight to every pair")
    if float((affinity - affinity.T).abs().max()) > ASYMMETRY * high:
        raise _asymmetric()


def _is_symmetric(edges: Tensor) -> bool:
    if edges.is_cpu:
        return bool(graph_kernels.is_symmetric(edges.numpy().view("uint8")))
    return torch.equal(edges, edges.T)


def _asymmetric() -> ShapeError:
    return ShapeError("affinity must be symmetric: take (W + W.T) / 2")


def _batch(pairs: list[SecondEigenpair]) -> SecondEigenpair:
    return SecondEigenpair(
        torch.stack([pair.eigenvalue for pair in pairs]),
        torch.stack([pair.eigenvector for pair in pairs]),
        torch.stack([pair.repeated for pair in pairs]),
        pairs[0].method,
    )


def _solve(affinity: Tensor | TwoValued, method: Method) -> SecondEigenpair:
    if len(affinity) < 2:
        raise ShapeError("a graph needs at least two nodes to be cut: got one")
    if method == "lanczos" or (method == "auto" and len(affinity) > SMALL):
        try:
            return _by_products(affinity)
        except LabError:
            if method == "lanczos":
                raise
    return _by_decomposition(affinity.dense() if isinstance(affinity, TwoValued) else affinity)


def _by_decomposition(affinity: Tensor) -> SecondEigenpair:
    """All eigenpairs of M, in float64; the known one is moved to the far end by subtracting it twice."""
    weights = affinity.double()
    root = weights.sum(1).sqrt()
    known = root / root.norm()
    values, vectors = torch.linalg.eigh(weights / root[:, None] / root[None] - 2 * torch.outer(known, known))
    values = torch.cat([values, values.new_full((1,), -torch.inf)]).roll(1)  # two nodes have no third value
    return _pair(TopPair(values[[-1, -2]].cpu(), vectors[:, [-1, -2]].T, 0), root, "dense")


def _by_products(affinity: Tensor | TwoValued) -> SecondEigenpair:
    """A graph on a CPU in float64, which costs no more there; else float32 where it is enough."""
    if isinstance(affinity, TwoValued) and affinity.edges.is_cpu:
        return _of_graph(affinity)
    root = (affinity.degrees() if isinstance(affinity, TwoValued) else affinity.double().sum(1)).sqrt()
    try:
        quick = _lanczos(affinity, root, torch.float32, max_steps=QUICK_STEPS)
    except LabError:
        quick = None
    if quick is not None and quick.gap > SAFE_GAP:
        pair = _pair(quick, root, "lanczos")
        x = pair.eigenvector
        if (x - x.mean()).abs().min() > SAFE_DISTANCE * x.abs().max():
            return pair
    if not isinstance(affinity, TwoValued):
        return _pair(_lanczos(affinity, root, torch.float64), root, "lanczos")
    found = _of_graph(TwoValued(affinity.edges.cpu(), affinity.epsilon))
    value, vector, repeated = (each.to(root.device) for each in (found.eigenvalue, found.eigenvector, found.repeated))
    return SecondEigenpair(value, vector, repeated, found.method)


def _of_graph(graph: TwoValued) -> SecondEigenpair:
    """By the parts of a graph on a CPU, where it has several."""
    root = graph.degrees().sqrt()
    labels = graph.parts()
    if int(labels.max()) > 0:
        top = largest_two_by_parts(graph, labels, tolerance=TOLERANCE[torch.float64])
        if top is not None:
            return _pair(top, root, "parts")
    return _pair(_lanczos(graph, root, torch.float64), root, "lanczos")


def _lanczos(affinity: Tensor | TwoValued, root: Tensor, dtype: torch.dtype, *, max_steps: int = MAX_STEPS) -> TopPair:
    """The two largest of M without the known one, from a random start."""
    inverse = (1 / root).to(dtype)
    product = affinity.product(inverse) if isinstance(affinity, TwoValued) else by_matrix(affinity.to(dtype), inverse)
    start = torch.randn(2, len(root), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    deflated = _deflated(product, root.to(dtype))
    return largest_two(deflated, start.to(root.device, dtype), tolerance=TOLERANCE[dtype], max_steps=max_steps)


def _deflated(product: Product, root: Tensor) -> Product:
    """Multiplies by M - u u' with u = D^1/2 1 / |D^1/2 1|, whose eigenvalue is 1."""
    known = (root / root.norm())[None]
    return lambda rows: product(rows) - (rows @ known.T) * known


def _pair(top: TopPair, root: Tensor, method: str) -> SecondEigenpair:
    """Back from v to x = D^-1/2 v, with the sign that makes its largest entry positive."""
    scaled = top.vectors[0].double() / root
    oriented = scaled * torch.sign(scaled[scaled.abs().argmax()])
    repeated = torch.tensor(top.gap < REPEATED_GAP, device=root.device)
    return SecondEigenpair((1 - top.values[0]).to(root.device), oriented, repeated, method)
