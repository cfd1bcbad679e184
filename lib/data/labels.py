"""Pictures with a class per pixel: label files in, classes checked and renumbered, 255 where there is none."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lib.data.origin import Origin
from lib.errors import DataMissing, ShapeError

VOID = 255


@dataclass(frozen=True)
class LabelledPicture:
    """A picture with its truth, all of one size.

    image: (3, H, W), RGB, 0..1. labels: (H, W) int64, class from 0, 255 for void. depth: (1, H, W), metres, or None.
    hha: (3, H, W), 0..1, disparity, height and angle (see lib.data.hha), or None. origin: of the picture.
    """

    name: str
    image: Tensor
    labels: Tensor
    origin: Origin
    depth: Tensor | None = None
    hha: Tensor | None = None


def read_labels(path: str | Path, classes: Sequence[int], *, size: tuple[int, int] | None = None) -> Tensor:
    """Label map (H, W) int64 of an index picture: grey or palette, 8 or 16 bits; the colours don't count.

    classes: `classes[value]` is the class of a stored value, 255 for void; 255 stays void. size: the (H, W) of the
    picture that it belongs to.
    Raises DataMissing for a file that is absent, cut off, no picture or a colour picture; ShapeError for another size
    or a value without a class.
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(Path(path).read_bytes())) as picture:
            stored = np.array(picture)
    except FileNotFoundError as error:
        raise DataMissing(f"there is no label map {path}; give an existing file") from error
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise DataMissing(f"cannot read {path} as a label map: it is cut off or no picture; fetch it again") from error
    if stored.ndim != 2:
        raise DataMissing(f"the label map {path} must hold one class index per pixel: got a colour picture")
    labels = relabel(torch.from_numpy(stored.astype(np.int64)), classes, f"the label map {path}")
    if size is not None:
        check_label_size(labels, size, f"the label map {path}")
    return labels


def relabel(stored: Tensor, classes: Sequence[int], name: str) -> Tensor:
    """Labels (H, W) int64 with every stored value replaced by its class; 255 stays. ShapeError for an unknown value."""
    unknown = ((stored < 0) | (stored >= len(classes))) & (stored != VOID)
    if unknown.any():
        found = ", ".join(str(value) for value in stored[unknown].unique().tolist()[:3])
        raise ShapeError(f"{name} must hold values 0..{len(classes) - 1} or {VOID} (void): got {found}")
    table = torch.full((max(len(classes), VOID + 1),), VOID, dtype=torch.int64, device=stored.device)
    table[: len(classes)] = torch.as_tensor(classes, dtype=torch.int64, device=stored.device)
    return table[stored]


def check_label_size(labels: Tensor, size: tuple[int, int], name: str) -> None:
    """Passes labels (H, W) of the picture's size; ShapeError otherwise."""
    if tuple(labels.shape) != tuple(size):
        raise ShapeError(
            f"{name} must have its picture's size {size[0]}x{size[1]}: got {labels.shape[0]}x{labels.shape[1]}; "
            "resize the labels with nearest neighbours, or fetch the pair again"
        )
