"""Object masks in picture files: any PNG in, 8-bit PNG out."""

import io
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lib.data.atomic import appears_whole
from lib.errors import DataMissing, ShapeError


def read_mask(path: str | Path, *, size: tuple[int, int] | None = None) -> Tensor:
    """Mask (H, W) bool of a picture file: what is not 0, whatever the values or the palette; objects are merged.

    size: the frame's (H, W) that it must have. Raises DataMissing for a file that is absent, empty or no picture;
    ShapeError for another size.
    """
    from PIL import Image

    try:
        data = Path(path).read_bytes()
        with Image.open(io.BytesIO(data)) as picture:
            values = np.asarray(picture)
    except FileNotFoundError as error:
        raise DataMissing(f"there is no mask {path}; give an existing file") from error
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise DataMissing(f"cannot read {path} as a mask: it is cut off or no picture; fetch it again") from error
    mask = torch.from_numpy((values[..., :3].any(axis=-1) if values.ndim == 3 else values != 0).copy())
    if size is not None and tuple(mask.shape) != tuple(size):
        raise ShapeError(
            f"the mask {path} must have the frame's size {size[0]}x{size[1]}: got {mask.shape[0]}x{mask.shape[1]}"
        )
    return mask


def write_mask(path: str | Path, mask: Tensor) -> None:
    """Writes a mask (H, W) bool as an 8-bit grey PNG, 0 and 255, whole or not at all."""
    from PIL import Image

    if mask.ndim != 2 or mask.dtype != torch.bool:
        raise ShapeError(f"a mask must be (H, W) bool: got {mask.dtype} {tuple(mask.shape)}")
    with appears_whole(Path(path)) as partial:
        Image.fromarray(mask.cpu().numpy().astype(np.uint8) * 255).save(partial, format="PNG")
