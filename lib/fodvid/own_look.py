"""What the object of one video looks like, learned from the video's own first cuts. Not in the paper.

Features of ImageNet know textures rather than objects, and flow alone takes shadows in and leaves half a dog out. But
the first cuts, which follow the flow, are right in most places of most frames: a linear classifier of the patches,
their colour and their surroundings learns from all frames at once what these have in common. In a second cut it weighs
the motion.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from lib.checks import check_image
from lib.errors import ShapeError
from lib.features import PatchFeatures

MAX_PATCHES = 40_000  # that teach, of all frames together
DIRECTIONS = 64  # of the features, the principal ones, each scaled to the same spread
SCALES = (1, 5, 13)  # sides, in patches, of the squares around a patch whose means are looked at
COLOURS = 3
SHRINKAGE = 1e-3  # of the classifier's weights, squared
STEPS = 40  # of L-BFGS
SURE_OUTSIDE = 2  # patches from the object on which a patch is surely none of it
FEW_PATCHES = 30  # an object of no more is not eroded before it teaches
NEGLIGIBLE = 1e-9  # spread of a direction, of the widest one's


@dataclass(frozen=True, eq=False)
class Taught:
    """Patches of one frame that teach: means (n, 3, D + 3) float16 of features and colour at each scale, and whether
    they are the object's, (n,) bool."""

    means: Tensor
    labels: Tensor


@dataclass(frozen=True, eq=False)
class OwnLook:
    """A linear classifier of patches: weights (3, D + 3) float32, of features and colour at each scale, and bias."""

    weights: Tensor
    bias: float

    def share(self, features: PatchFeatures, frame: Tensor) -> Tensor:
        """How much each patch looks like the object, (N,), 0..1; features of one frame (3, H, W), RGB, 0..1."""
        maps = _patches(features, frame) @ self.weights.to(features.tokens.device).T
        planes = maps.T.unflatten(1, features.grid)
        total = sum(_mean_around(planes[idx, None], scale) for idx, scale in enumerate(SCALES))
        return torch.sigmoid(torch.as_tensor(total).flatten() + self.bias)


def taught_by(features: PatchFeatures, frame: Tensor, mask: Tensor, *, count: int) -> Taught:
    """What a frame teaches: up to `count` patches that surely belong to the object of its first cut or surely do not.

    mask: (rows, columns) bool, the object's patches; those at its border do not teach. Raises ShapeError for a mask of
    other patches than the features.
    """
    if tuple(mask.shape) != features.grid:
        raise ShapeError(f"features and mask must be of the same patches: got {features.grid} and {tuple(mask.shape)}")
    inside, outside = _sure(mask)
    sure = torch.from_numpy(np.flatnonzero(inside | outside))
    drawn = sure[torch.randperm(len(sure), generator=torch.Generator().manual_seed(0))[:count]]
    planes = _patches(features, frame).T.unflatten(1, features.grid)
    rows = drawn.to(planes.device)
    means = torch.stack([_mean_around(planes, scale).flatten(1)[:, rows].T for scale in SCALES], dim=1)
    return Taught(means.half().cpu(), torch.from_numpy(inside.ravel())[drawn])


def learn_look(taught: Iterable[Taught]) -> OwnLook | None:
    """The classifier that all frames teach together: logistic regression; None where object or ground is missing.

    Object and ground weigh as many patches as they have.
    """
    held = list(taught)
    if not held:
        return None
    means, labels = torch.cat([one.means for one in held]).float(), torch.cat([one.labels for one in held])
    if labels.all() or not labels.any():
        return None
    centre, axes = _principal(means[:, 0])
    known = ((means - centre) @ axes).flatten(1)
    weights, bias = _logistic(known, labels.to(known))
    linear = weights.unflatten(0, (len(SCALES), -1)) @ axes.T
    return OwnLook(linear, bias - float((linear @ centre).sum()))


def evidence(share: Tensor, flow: Tensor, grid: tuple[int, int], *, still_px: float = 0.0) -> Tensor:
    """How much each patch moves and looks like the object, as a quarter of a circle, (N, 2), for the second cut.

    share: (N,), 0..1; flow: (1, 2, H, W), without the camera's part. Choice: the geometric mean of the share and the
    motion's length, as a part of the field's largest (of `still_px` at least): both have to speak for a patch. The
    direction no longer counts, since a body that the look holds together may move in several.
    """
    length = F.interpolate(flow, size=grid, mode="area")[0].norm(dim=0).flatten()
    weighed = share.to(length) * length
    largest = max(float(weighed.max()), still_px, torch.finfo(length.dtype).tiny)
    angle = (weighed / largest).sqrt() * (math.pi / 2)
    return torch.stack([angle.cos(), angle.sin()], dim=1)


def patches_a_frame(num_frames: int) -> int:
    """How many patches of each frame teach, so that all together are no more than MAX_PATCHES."""
    return max(MAX_PATCHES // max(num_frames, 1), 1)


def _patches(features: PatchFeatures, frame: Tensor) -> Tensor:
    """Features of length 1 and mean colour of each patch, (N, D + 3) float32."""
    check_image("frame", frame)
    colours = F.interpolate(frame[None], size=features.grid, mode="area")[0].flatten(1).T
    return torch.cat([F.normalize(features.tokens[0].float(), dim=1), colours.to(features.tokens.device)], dim=1)


def _mean_around(planes: Tensor, scale: int) -> Tensor:
    """Mean of each plane (D, rows, columns) over the square of this side around each patch, inside the picture."""
    return F.avg_pool2d(planes[None], scale, stride=1, padding=scale // 2, count_include_pad=False)[0]


def _principal(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Centre (D + 3,) of the patches, and axes (D + 3, K) that scale kept directions, and each colour, to spread 1."""
    centre = rows.mean(0)
    features, colours = (rows - centre).double().split([rows.shape[1] - COLOURS, COLOURS], dim=1)
    spread, directions = torch.linalg.eigh(features.T @ features / len(rows))
    kept = torch.arange(len(spread)) >= len(spread) - DIRECTIONS
    kept &= spread > NEGLIGIBLE * spread[-1]
    scaled = directions[:, kept] / spread[kept].sqrt()
    deviation = colours.std(0, correction=0)
    of_colours = torch.diag(torch.where(deviation > 0, 1 / deviation, 0))
    return centre, torch.block_diag(scaled, of_colours).float()


def _logistic(known: Tensor, labels: Tensor) -> tuple[Tensor, float]:
    """Weights (K,) and bias of a logistic regression (n, K) -> (n,) 0 or 1."""
    held = known.new_zeros(known.shape[1] + 1, requires_grad=True)
    optimizer = torch.optim.LBFGS([held], max_iter=STEPS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        fit = F.binary_cross_entropy_with_logits(known @ held[:-1] + held[-1], labels)
        value = fit + SHRINKAGE * held[:-1].square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    found = held.detach()
    return found[:-1], float(found[-1])


def _sure(mask: Tensor) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Patches (rows, columns) that are surely the object's, and those that are surely not."""
    from scipy import ndimage

    held: NDArray[np.bool_] = mask.cpu().numpy()
    inside = ndimage.binary_erosion(held) if held.sum() > FEW_PATCHES else held
    return inside, ~ndimage.binary_dilation(held, iterations=SURE_OUTSIDE)
