"""Pictures in and out: files of 8 or 16 bits to float RGB tensors and back."""

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lib.checks import check_image
from lib.data.atomic import appears_whole
from lib.errors import DataMissing, SpecError

if TYPE_CHECKING:
    from PIL.Image import Image

READ_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".gif")
WRITE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
LOSSY_QUALITY = 95
TIFF_BITS_PER_SAMPLE = 258  # tag number, TIFF 6.0
PNG_DEPTH_BYTE = 24  # signature 8, length 4, IHDR 4, width 4, height 4


def read_image(path: str | Path) -> Tensor:
    """Picture file as RGB (3, H, W), float32, 0..1.

    8 and 16 bits per channel (16 bits keep their precision), 1-bit, palette, grey (repeated to RGB), CMYK. The EXIF
    orientation is applied. Choice: an alpha channel is dropped, the colours stay as they are stored.
    Raises DataMissing when the file is absent, empty, cut off or no picture.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise DataMissing(f"cannot read the picture {path}: {error.strerror}; give an existing file") from error
    if not data:
        raise DataMissing(f"the picture {path} is an empty file; fetch it again")
    try:
        return image_from_array(_decode(data))
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise DataMissing(
            f"cannot read {path} as a picture ({_short(error)}); give a PNG, JPEG or TIFF file"
        ) from error


def _short(error: Exception) -> str:
    """Reason without the address of the in-memory file that Pillow prints."""
    text = str(error) or type(error).__name__
    return "unknown format" if "cannot identify" in text else text.split(" <")[0]


def image_from_array(array: np.ndarray[Any, Any]) -> Tensor:
    """RGB (3, H, W) float32 0..1 of an array (H, W, 3) of uint8 or uint16: one conversion, one copy."""
    top = 65535 if array.dtype == np.uint16 else 255
    planes = torch.from_numpy(array).permute(2, 0, 1)
    return planes.to(torch.float32, memory_format=torch.contiguous_format).div_(top)


def _decode(data: bytes) -> np.ndarray[Any, Any]:
    """Array (H, W, 3), uint8 or uint16, of a picture file's bytes."""
    from PIL import Image, ImageOps

    try:
        opened = Image.open(io.BytesIO(data))
    except Image.DecompressionBombError as error:
        raise ValueError("more pixels than Pillow opens; make it smaller") from error
    with opened as picture:
        if _is_deep_colour(data, picture):
            return _decode_deep_colour(data)
        picture.load()
        upright = ImageOps.exif_transpose(picture)
        if upright.mode == "F":
            raise ValueError("floating-point pixels; store 8 or 16 bits per channel")
        if upright.mode.startswith("I"):
            grey = np.asarray(upright)
            if grey.min() < 0 or grey.max() > 65535:
                raise ValueError("grey values outside 16 bits")
            return np.repeat(grey.astype(np.uint16)[..., None], 3, axis=-1)
        # convert("RGB") drops alpha without blending
        return np.array(upright.convert("RGB"))


def _is_deep_colour(data: bytes, picture: "Image") -> bool:
    """True for colour or alpha of 16 bits per channel, which Pillow would cut to 8."""
    if picture.mode[0] in "IF":
        return False
    if picture.format == "PNG":
        return data[PNG_DEPTH_BYTE] == 16
    bits = getattr(picture, "tag_v2", {}).get(TIFF_BITS_PER_SAMPLE, 8)
    return max(bits) > 8 if isinstance(bits, tuple) else bits > 8


def _decode_deep_colour(data: bytes) -> np.ndarray[Any, Any]:
    import cv2

    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    if decoded is None or decoded.dtype not in (np.uint8, np.uint16):
        raise ValueError("damaged or unknown 16-bit picture")
    return np.ascontiguousarray(decoded[..., ::-1])


def array_from_image(image: Tensor) -> np.ndarray[Any, Any]:
    """Array (H, W, 3) uint8 of an RGB image (3, H, W) 0..1 on any device: rounded, overshoot clipped."""
    levels = image.detach().mul(255).round_().clamp_(0, 255).to(torch.uint8)
    return levels.permute(1, 2, 0).contiguous().cpu().numpy()


def write_image(path: str | Path, image: Tensor) -> None:
    """Writes an RGB image (3, H, W) 0..1 as an 8-bit .png, .jpg, .jpeg or .webp file, whole or not at all.

    Raises ShapeError for a wrong image, SpecError for another suffix, DataMissing when the folder is absent, LabError
    when it can't be written (read-only, disk full).
    """
    from PIL import Image

    path = Path(path)
    check_image("image", image)
    if path.suffix.lower() not in WRITE_SUFFIXES:
        raise SpecError(f"a picture file ends in one of {', '.join(WRITE_SUFFIXES)}: got {path.name!r}")
    with appears_whole(path) as partial:
        Image.fromarray(array_from_image(image)).save(partial, quality=LOSSY_QUALITY)


def resized(image: Tensor, height_px: int) -> Tensor:
    """Image (3, H, W) or video (T, 3, H, W) at most `height_px` high, its shape kept; a smaller one stays as it is."""
    height, width = image.shape[-2:]
    if height <= height_px:
        return image
    size = (height_px, round(width * height_px / height))
    frames = image.reshape(-1, *image.shape[-3:])
    smaller = F.interpolate(frames, size=size, mode="bilinear", antialias=True).clamp(0, 1)
    return smaller.reshape(*image.shape[:-2], *size)
