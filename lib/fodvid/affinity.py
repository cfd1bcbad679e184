"""Similarity of patches by appearance and flow, and the graph of those above a threshold (sec. 2.1)."""

import torch
from torch import Tensor

from lib.errors import ShapeError, SpecError
from lib.solvers.spectral import TwoValued

PANEL_ROWS = 2048  # on a CPU: similarities of so many patches with all are held at once
BLOCK_ROWS = 512  # on a GPU
SHORTEST = 1e-12


def patch_affinity(
    image_features: Tensor,
    flow_features: Tensor | None,
    *,
    alpha: float = 0.7,
    tau: float = 0.25,
    epsilon: float = 1e-5,
) -> TwoValued:
    """The graph: 1 where S = alpha cos(image) + (1 - alpha) cos(flow) reaches tau, epsilon elsewhere.

    image_features: (N, D1); flow_features: (N, D2), of the same patches in the same order, or None where alpha is 1;
    float, any length of rows. Defaults: the paper's (table 3); epsilon from the authors' code.
    S is symmetric, so that only one side of its diagonal is multiplied out.
    Raises ShapeError for features that do not match or are not finite, SpecError for alpha outside 0..1.
    """
    joint = _joint(image_features, flow_features, alpha)
    edges = torch.empty(len(joint), len(joint), dtype=torch.bool, device=joint.device)
    (_fill_on_cpu if joint.is_cpu else _fill)(edges, joint, tau)
    return TwoValued(edges, epsilon)


def _fill_on_cpu(edges: Tensor, joint: Tensor, tau: float) -> None:
    """Below the diagonal by BLAS, whose product of a matrix with itself does half the work, then mirrored."""
    from scipy.linalg.blas import ssyrk

    from lib.solvers.graph_kernels import mirror_lower

    for low in range(0, len(joint), PANEL_ROWS):
        rows = joint[low : low + PANEL_ROWS]
        high = low + len(rows)
        square = ssyrk(1.0, rows.numpy().T, trans=1)  # its upper triangle in Fortran's order is the lower one in C's
        torch.ge(torch.from_numpy(square.T), tau, out=edges[low:high, low:high])
        if low:
            torch.ge(rows @ joint[:low].T, tau, out=edges[low:high, :low])
    mirror_lower(edges.numpy().view("uint8"))


def _fill(edges: Tensor, joint: Tensor, tau: float) -> None:
    """Blocks on and above the diagonal, each written twice."""
    count = len(joint)
    for low in range(0, count, BLOCK_ROWS):
        high = min(low + BLOCK_ROWS, count)
        above = joint[low:high] @ joint[low:].T >= tau
        square = above[:, : high - low]
        edges[low:high, low:high] = square & square.T  # rounding may differ on the two sides of the diagonal
        edges[low:high, high:] = above[:, high - low :]
        edges[high:, low:high] = above[:, high - low :].T


def cosine_similarity(image_features: Tensor, flow_features: Tensor | None, *, alpha: float = 0.7) -> Tensor:
    """S itself, (N, N) float32, within -1..1; arguments as in `patch_affinity`."""
    joint = _joint(image_features, flow_features, alpha)
    return joint @ joint.T


@torch.no_grad()
def _joint(image_features: Tensor, flow_features: Tensor | None, alpha: float) -> Tensor:
    """Rows (N, D1 + D2) float32 whose inner products are S: each part of length 1, times the root of its share."""
    if not 0 <= alpha <= 1:
        raise SpecError(f"alpha must be within 0 (flow alone) and 1 (appearance alone): got {alpha}")
    if flow_features is None and alpha < 1:
        raise SpecError(f"alpha = {alpha} needs flow features; give them, or set alpha to 1")
    given = [("image", image_features, alpha), ("flow", flow_features, 1 - alpha)]
    parts = [(name, features, share) for name, features, share in given if share > 0 and features is not None]
    for name, features, _ in parts:
        if features.ndim != 2 or 0 in features.shape or not features.is_floating_point():
            raise ShapeError(f"{name} features must be (N, D) floats: got {features.dtype} {tuple(features.shape)}")
    counts = [len(features) for _, features, _ in parts]
    if min(counts) < max(counts):
        raise ShapeError(f"image and flow must have as many patches: got {counts[0]} and {counts[1]}")
    joint = parts[0][1].new_empty(counts[0], sum(features.shape[1] for _, features, _ in parts), dtype=torch.float32)
    end = 0
    for name, features, share in parts:
        lengths = torch.linalg.vector_norm(features, dim=1, keepdim=True, dtype=torch.float32)
        if not lengths.isfinite().all():
            raise ShapeError(f"{name} features must be finite: got NaN or infinity; repair the picture or flow first")
        start, end = end, end + features.shape[1]
        # a vector without length stays 0: it resembles nothing
        torch.mul(features.float(), share**0.5 / lengths.clamp_min(SHORTEST), out=joint[:, start:end])
    return joint
