"""Flow files: Middlebury's .flo (32-bit floats) and KITTI's .png (16 bits, 1/64 px, with a mask of valid pixels)."""

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lib.checks import check_planes
from lib.data.atomic import appears_whole
from lib.errors import DataMissing, ShapeError, SpecError

SUFFIXES = (".flo", ".png")
# Middlebury: the bytes "PIEH" are the float 202021.25; values above 1e9 are unknown, 1e10 is written for them
FLO_MAGIC = b"PIEH"
FLO_HEADER = struct.Struct("<4sii")
FLO_UNKNOWN_ABOVE = 1e9
FLO_UNKNOWN = 1e10
# KITTI 2012/2015: u, v, valid as R, G, B, u = (R - 2^15) / 64
KITTI_ZERO = 2**15
KITTI_SCALE = 64
PNG_START, PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"


@dataclass(frozen=True)
class FlowField:
    """Flow (1, 2, H, W) float32, pixels, x then y, 0 where unknown; valid (1, H, W) bool."""

    flow: Tensor
    valid: Tensor


def read_flow(path: str | Path) -> Tensor:
    """Flow (1, 2, H, W) float32, pixels, x then y, of a .flo file or a KITTI .png; unknown pixels are 0.

    Raises like read_flow_field, which also tells which pixels are known.
    """
    return read_flow_field(path).flow


def read_flow_field(path: str | Path) -> FlowField:
    """Flow and the mask of known pixels of a .flo file or a KITTI .png.

    Raises SpecError for another suffix, DataMissing for a file that is absent, of another kind, cut off or damaged.
    """
    path = _known_suffix(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataMissing(f"cannot read the flow {path}: {error.strerror}; give an existing file") from error
    vectors, valid = (_decode_flo if path.suffix.lower() == ".flo" else _decode_kitti)(data, path)
    flow = np.where(valid[..., None], vectors, np.float32(0))
    return FlowField(
        torch.from_numpy(flow).permute(2, 0, 1)[None].contiguous(), torch.from_numpy(np.ascontiguousarray(valid))[None]
    )


def write_flow(path: str | Path, flow: Tensor, *, valid: Tensor | None = None) -> None:
    """Writes one field as .flo (exact in float32) or KITTI .png (rounded to 1/64 px); whole or not at all.

    flow: (1, 2, H, W), pixels, finite. valid: bool (1, H, W) or (H, W), False where the flow is unknown; all if None.
    Raises SpecError for another suffix, ShapeError for another form or vectors that do not fit into a .png
    (-512..511.98 px), DataMissing and LabError when the folder is absent or cannot be written.
    """
    path = _known_suffix(path)
    check_planes("flow", flow, ndim=4)
    if flow.shape[:2] != (1, 2):
        raise ShapeError(f"flow must be one field (1, 2, H, W): got shape {tuple(flow.shape)}")
    known = flow.new_ones(flow.shape[-2:], dtype=torch.bool) if valid is None else valid.detach().squeeze(0)
    if known.shape != flow.shape[-2:] or known.dtype != torch.bool:
        raise ShapeError(f"valid must be bool {tuple(flow.shape[-2:])}: got {known.dtype} {tuple(known.shape)}")
    vectors = flow.detach()[0].permute(1, 2, 0).float().cpu().numpy()
    encode = _encode_flo if path.suffix.lower() == ".flo" else _encode_kitti
    data = encode(vectors, known.cpu().numpy())
    with appears_whole(path) as partial:
        partial.write_bytes(data)


def _known_suffix(path: str | Path) -> Path:
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise SpecError(f"flow files end in {' or '.join(SUFFIXES)}: got {path.name}")
    return path


def _decode_flo(data: bytes, path: Path) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    if not data.startswith(FLO_MAGIC):
        raise DataMissing(
            f"{path} is no .flo file: it must start with {FLO_MAGIC!r}, got {data[:4]!r}; check where it comes from"
        )
    if len(data) < FLO_HEADER.size:
        raise DataMissing(f"{path} ends inside its header; fetch it again")
    _, width, height = FLO_HEADER.unpack_from(data)
    expected = FLO_HEADER.size + 8 * width * height
    if width < 1 or height < 1 or len(data) != expected:
        raise DataMissing(
            f"{path} says {width} x {height} pixels, which are {expected} bytes: got {len(data)}; fetch it again"
        )
    vectors = np.frombuffer(data, "<f4", offset=FLO_HEADER.size).reshape(height, width, 2).astype(np.float32)
    return vectors, np.asarray((np.abs(vectors) < FLO_UNKNOWN_ABOVE).all(axis=-1))  # False for NaN as well


def _encode_flo(vectors: NDArray[np.float32], valid: NDArray[np.bool_]) -> bytes:
    height, width = valid.shape
    stored = np.where(valid[..., None], vectors, np.float32(FLO_UNKNOWN)).astype("<f4")
    return FLO_HEADER.pack(FLO_MAGIC, width, height) + stored.tobytes()


def _decode_kitti(data: bytes, path: Path) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    import cv2

    if not data.startswith(PNG_START) or not data.endswith(PNG_END):
        problem = "is cut off" if data.startswith(PNG_START) else "is no PNG file"
        raise DataMissing(f"{path} {problem}; fetch it again")
    blue_first = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if blue_first is None:
        raise DataMissing(f"{path} is a damaged PNG file; fetch it again")
    if blue_first.dtype != np.uint16 or blue_first.ndim != 3 or blue_first.shape[-1] != 3:
        raise DataMissing(
            f"{path} is no flow of KITTI, which has 3 channels of 16 bits: "
            f"got {blue_first.dtype} {blue_first.shape}; give the flow file, not a picture of it"
        )
    vectors = (blue_first[..., :0:-1].astype(np.float32) - KITTI_ZERO) / KITTI_SCALE
    return vectors.astype(np.float32), blue_first[..., 0] > 0


def _encode_kitti(vectors: NDArray[np.float32], valid: NDArray[np.bool_]) -> bytes:
    import cv2

    steps = np.rint(vectors * KITTI_SCALE) + KITTI_ZERO
    if ((steps < 0) | (steps > 65535))[valid].any():
        longest = np.abs(vectors[valid]).max()
        raise ShapeError(f"a KITTI .png holds -512..511.98 px: got {longest:.5g} px; write a .flo file")
    coded = np.zeros((*valid.shape, 3), np.uint16)
    coded[..., 2], coded[..., 1], coded[..., 0] = steps[..., 0] * valid, steps[..., 1] * valid, valid
    return cv2.imencode(".png", coded)[1].tobytes()
