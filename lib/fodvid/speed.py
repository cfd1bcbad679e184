"""What `nocturne speed fodvid` times: features to graph to second eigenvector, against the reference way and eigsh.

Features are made up, 384 numbers of image and of flow for a patch as DINO ViT-S gives: three regions with soft borders
make a connected graph of density 0.4, many small groups with much noise a graph of density 0.01 in hundreds of parts.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lib.fodvid.affinity import patch_affinity
from lib.solvers.spectral import TwoValued, second_eigenvector
from lib.timing import Race

ALPHA, TAU, EPSILON = 0.7, 0.25, 1e-5
DIM = 384
GRID = (32, 64)  # 256x512 at patch 8, 2048 patches
LARGE_GRID = (60, 107)  # 480x854 at patch 8, 6420 patches
EIGSH_TOLERANCE = 1e-4
GPU_BUDGET_S = 0.01
Vector = NDArray[np.floating]


@dataclass
class Kept:
    """A function that keeps what it gave last, for the check that follows the timing."""

    function: Callable[[], Vector]
    vector: Vector | None = None

    def __call__(self) -> None:
        self.vector = self.function()


def races() -> list[Race]:
    """Every row of the table, on features of seed 0."""
    connected, fragmented = connected_features(GRID), fragmented_features(GRID)
    return [
        *_solver_races("connected", connected, goal_of_eigsh=1),
        *_solver_races("fragmented", fragmented, goal_of_eigsh=3),
        _whole_race("connected", connected, 18),
        _whole_race("connected", connected_features(LARGE_GRID), 40, rounds=1),
        _gpu_race(),
    ]


def connected_features(grid: tuple[int, int], *, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Image and flow features (N, 384) of a disc, a lower and an upper region, whose borders are mixtures."""
    generator = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.linspace(0, 1, grid[0]), torch.linspace(0, 2, grid[1]), indexing="ij")
    disc = torch.sigmoid((0.33 - torch.hypot(x - 1.1, y - 0.45)) / 0.03)
    lower = torch.sigmoid((y - 0.72) / 0.03) * (1 - disc)
    share = torch.stack([disc, lower, 1 - disc - lower], dim=-1).reshape(-1, 3)
    image, flow = (
        share @ torch.randn(3, DIM, generator=generator) + 1.1 * torch.randn(len(share), DIM, generator=generator)
        for _ in range(2)
    )
    return image, flow


def fragmented_features(grid: tuple[int, int], *, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Image and flow features (N, 384) of sixty groups, in which many patches are all noise and so stand alone."""
    generator = torch.Generator().manual_seed(seed)
    count = grid[0] * grid[1]
    sizes = torch.rand(60, generator=generator).square() + 0.05
    group = torch.multinomial(sizes, count, replacement=True, generator=generator)
    noise = 0.3 + 3.7 * torch.rand(count, 1, generator=generator)
    image, flow = (
        torch.randn(60, DIM, generator=generator)[group] + noise * torch.randn(count, DIM, generator=generator)
        for _ in range(2)
    )
    return image, flow


def reference_affinity(image: Tensor, flow: Tensor) -> NDArray[np.float64]:
    """W by two products and a comparison, as TokenCut makes it."""
    parts = [torch.nn.functional.normalize(features, dim=1) for features in (image, flow)]
    similarity = ALPHA * (parts[0] @ parts[0].T) + (1 - ALPHA) * (parts[1] @ parts[1].T)
    return np.where(similarity.numpy() >= TAU, 1.0, EPSILON)


def reference_vector(affinity: NDArray[np.float64]) -> Vector:
    """The second eigenvector as TokenCut computes it, in float64."""
    from scipy.linalg import eigh

    degrees = np.diag(affinity.sum(1))
    _, vectors = eigh(degrees - affinity, degrees, subset_by_index=[1, 2])
    return vectors[:, 0]


def normalised_matrix(affinity: NDArray[np.float64]) -> NDArray[np.float32]:
    """D^-1/2 W D^-1/2 in float32."""
    inverse = 1 / np.sqrt(affinity.sum(1))
    return (inverse[:, None] * affinity * inverse).astype(np.float32)


def eigsh_vector(matrix: NDArray[np.float32], degrees: NDArray[np.float64]) -> Vector:
    """The second eigenvector by ARPACK from the normalised matrix, with a fixed start."""
    from scipy.sparse.linalg import eigsh

    start = np.random.default_rng(0).standard_normal(len(matrix)).astype(np.float32)
    _, vectors = eigsh(matrix, k=2, which="LA", tol=EIGSH_TOLERANCE, v0=start)
    return vectors[:, 0] / np.sqrt(degrees)


def difference(found: Vector, exact: Vector) -> str:
    """How many patches lie on the same side of the mean, whichever the sign, and how far the angle is."""
    sides = np.mean((found > found.mean()) == (exact > exact.mean()))
    cosine = abs(found @ exact) / np.linalg.norm(found) / np.linalg.norm(exact)
    return f"mask {max(sides, 1 - sides):.2%} the same, 1 - |cos| {max(1 - cosine, 0):.0e}"


def ours_from_graph(graph: TwoValued) -> Vector:
    """The second eigenvector of a graph that nothing was computed of yet."""
    return second_eigenvector(TwoValued(graph.edges, graph.epsilon)).eigenvector.cpu().numpy()


def ours_from_features(image: Tensor, flow: Tensor) -> Vector:
    """From features to the second eigenvector."""
    graph = patch_affinity(image, flow, alpha=ALPHA, tau=TAU, epsilon=EPSILON)
    return second_eigenvector(graph).eigenvector.cpu().numpy()


def _solver_races(kind: str, features: tuple[Tensor, Tensor], *, goal_of_eigsh: float) -> list[Race]:
    """Both peers on the graph that ours makes of the features."""
    graph = patch_affinity(*features, alpha=ALPHA, tau=TAU, epsilon=EPSILON)
    affinity = np.where(graph.edges.numpy(), 1.0, EPSILON)
    matrix, degrees = normalised_matrix(affinity), affinity.sum(1)
    ours, exact = Kept(partial(ours_from_graph, graph)), Kept(partial(reference_vector, affinity))
    loose = Kept(partial(eigsh_vector, matrix, degrees))
    work = f"second eigenvector, {len(graph)} patches, {kind}"

    def check_eigsh() -> str:
        return f"{_compared(ours, exact)}; of eigsh: {_compared(loose, exact)}"

    return [
        Race(work, ours, "scipy.linalg.eigh float64", exact, 60, check=partial(_compared, ours, exact), peer_rounds=2),
        Race(work, ours, "eigsh float32 on D^-1/2 W D^-1/2", loose, goal_of_eigsh, check=check_eigsh),
    ]


def _whole_race(kind: str, features: tuple[Tensor, Tensor], goal: float, *, rounds: int = 2) -> Race:
    ours = Kept(partial(ours_from_features, *features))
    exact = Kept(lambda: reference_vector(reference_affinity(*features)))
    return Race(
        f"features to vector, {len(features[0])} patches, {kind}",
        ours,
        "two products, eigh float64",
        exact,
        goal,
        check=partial(_compared, ours, exact),
        peer_rounds=rounds,
    )


def _gpu_race() -> Race:
    work, peer_name = "features to vector, 480x854 at patch 8, GPU", f"{GPU_BUDGET_S * 1e3:.0f} ms"
    if not torch.cuda.is_available():
        return Race(work, "needs a GPU", peer_name, GPU_BUDGET_S, 1)
    features = connected_features(LARGE_GRID)
    image, flow = (each.cuda() for each in features)
    ours = Kept(partial(ours_from_features, image, flow))
    on_cpu = Kept(partial(ours_from_features, *features))

    def check() -> str:
        on_cpu()
        return f"{_compared(ours, on_cpu)} as on the CPU"

    return Race(work, ours, peer_name, GPU_BUDGET_S, 1, check=check)


def _compared(found: Kept, exact: Kept) -> str:
    if found.vector is None or exact.vector is None:
        raise RuntimeError("a check comes after both sides of its race ran")
    return difference(found.vector, exact.vector)
