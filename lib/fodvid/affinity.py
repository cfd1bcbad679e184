"""Similarity of patches by appearance and flow, and the graph of those above a threshold (sec. 2.1)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from lib.errors import ShapeError, SpecError
from lib.solvers.spectral import TwoValued

BLOCK_ROWS = 512


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
    S is symmetric, so that only the blocks on and above its diagonal are multiplied out.
    Raises ShapeError for features that do not match or are not finite, SpecError for alpha outside 0..1.
    """
    joint = _joint(image_features, flow_features, alpha)
    count = len(joint)
    edges = torch.empty(count, count, dtype=torch.bool, device=joint.device)
    for low in range(0, count, BLOCK_ROWS):
        high = min(low + BLOCK_ROWS, count)
        above = joint[low:high] @ joint[low:].T >= tau
        square = above[:, : high - low]
        edges[low:high, low:high] = square & square.T  # rounding may differ on the two sides of the diagonal
        edges[low:high, high:] = above[:, high - low :]
        edges[high:, low:high] = above[:, high - low :].T
    return TwoValued(edges, epsilon)


def cosine_similarity(image_features: Tensor, flow_features: Tensor | None, *, alpha: float = 0.7) -> Tensor:
    """S itself, (N, N) float32, within -1..1; arguments as in `patch_affinity`."""
    joint = _joint(image_features, flow_features, alpha)
    return joint @ joint.T


def _joint(image_features: Tensor, flow_features: Tensor | None, alpha: float) -> Tensor:
    """Rows (N, D1 + D2) float32 whose inner products are S: each part of length 1, times the root of its share."""
    if not 0 <= alpha <= 1:
        raise SpecError(f"alpha must be within 0 (flow alone) and 1 (appearance alone): got {alpha}")
    if flow_features is None and alpha < 1:
        raise SpecError(f"alpha = {alpha} needs flow features; give them, or set alpha to 1")
    parts = []
    for name, features, share in (("image", image_features, alpha), ("flow", flow_features, 1 - alpha)):
        if share == 0 or features is None:
            continue
        if features.ndim != 2 or 0 in features.shape or not features.is_floating_point():
            raise ShapeError(f"{name} features must be (N, D) floats: got {features.dtype} {tuple(features.shape)}")
        if not features.isfinite().all():
            raise ShapeError(f"{name} features must be finite: got NaN or infinity; repair the picture or flow first")
        parts.append(F.normalize(features.float(), dim=1) * share**0.5)
    if len({len(part) for part in parts}) > 1:
        raise ShapeError(f"image and flow must have as many patches: got {len(parts[0])} and {len(parts[1])}")
    return torch.cat(parts, dim=1)
