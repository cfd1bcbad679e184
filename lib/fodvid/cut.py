"""The normalised cut of one frame's patches, and which of its two sides is the object (sec. 2.1)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lib.errors import ShapeError
from lib.solvers.spectral import TwoValued, second_eigenvector

# entries of the vector this near to the largest tie with it: neighbours alike have the same entry but for rounding
TIE = 1e-4
CORNERS_OF_BACKGROUND = 3  # of four; LOCATE


@dataclass(frozen=True, eq=False)
class Cut:
    """The bipartition of a patch grid.

    mask: (rows, columns) bool, the object. eigenvector: (rows, columns), positive on the object's side.
    eigenvalue: the second-smallest of (D - W) x = lambda D x; near 0 the graph falls apart almost by itself.
    seed: row and column of the patch that the object grows from. repeated: the eigenvalue occurs more than once, so
    that another vector, and another mask, would have been as good.
    """

    mask: Tensor
    eigenvector: Tensor
    eigenvalue: float
    seed: tuple[int, int]
    repeated: bool


def graph_cut(
    affinity: Tensor | TwoValued, grid: tuple[int, int], *, corner_rule: bool = True, component: bool = True
) -> Cut:
    """The object in a graph of patches: second eigenvector, split at its mean, side, seed and component.

    affinity: W, (N, N), symmetric, above 0, or its two-valued form from `patch_affinity`; N = rows * columns, row by
    row. Source: sec. 2.1; the paper's "second-smallest eigenvector of W" is that of (D - W) x = lambda D x.
    Raises ShapeError when the grid does not have N patches.
    """
    pair = second_eigenvector(affinity)
    if pair.eigenvector.numel() != grid[0] * grid[1]:
        raise ShapeError(f"the affinity has {pair.eigenvector.numel()} patches, which are not a grid of {grid}")
    vector = pair.eigenvector.reshape(grid)
    members, oriented = choose_side(vector, corner_rule=corner_rule)
    mask, seed = grow_seed(members, oriented, component=component)
    return Cut(mask, oriented, float(pair.eigenvalue), seed, bool(pair.repeated))


def choose_side(vector: Tensor, *, corner_rule: bool = True) -> tuple[Tensor, Tensor]:
    """The object's patches (rows, columns) bool, and the vector with the sign that is positive there.

    The sets are x > mean(x) and the rest. The one that holds the largest |x| is the object, unless the set x > mean(x)
    has three of the picture's corners: then the object is the other one. Source: TokenCut; the corners, LOCATE.
    """
    members = vector > vector.mean()
    corners = members[[0, 0, -1, -1], [0, -1, 0, -1]]
    if corner_rule and int(corners.sum()) >= CORNERS_OF_BACKGROUND:
        return ~members, -vector
    if members.flatten()[vector.abs().argmax()]:
        return members, vector
    return ~members, -vector


def grow_seed(members: Tensor, oriented: Tensor, *, component: bool = True) -> tuple[Tensor, tuple[int, int]]:
    """The component (4 neighbours) of the seed, (rows, columns) bool, or all members, and the seed's row and column.

    The seed has the largest entry. Patches with the same neighbours tie; Choice: of tied ones that in the largest
    component, then the first, so that rounding cannot move the mask.
    """
    from scipy import ndimage

    inside: NDArray[np.bool_] = members.cpu().numpy()
    height: NDArray[np.float64] = oriented.double().cpu().numpy()
    if not inside.any():  # every entry equals the mean: nothing to tell apart
        return members, (0, 0)
    labels, _ = ndimage.label(inside)
    sizes = np.bincount(labels.ravel())
    top = height[inside].max()
    tied = inside & (height >= top - TIE * np.abs(height).max())
    seed = int(np.argmax(np.where(tied, sizes[labels], -1)))
    row, column = divmod(seed, inside.shape[1])
    kept = members.new_tensor(labels == labels[row, column]) if component else members
    return kept, (row, column)
