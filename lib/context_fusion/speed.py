"""What `nocturne speed context_fusion` times, and the libraries that it is held against."""

import importlib.util
from collections.abc import Callable
from functools import partial

import cv2
import numpy as np
import scipy.fft
import torch
from numpy.typing import NDArray
from torch import Tensor

from lib.context_fusion import ImageSettings, VideoFuser, fuse_image, larger_gradient, mixed_divergence, susan_smooth
from lib.solvers.poisson import solve_poisson
from lib.timing import Race

SIZES = ((240, 320), (480, 640), (1080, 1920))
Planes = NDArray[np.floating]


def races() -> list[Race]:
    """Every row of the table, on smooth random pictures with noise (seed 0)."""
    return [*_poisson_races(), _still_race("threshold"), _still_race("max"), _susan_race(), _video_race(), _gpu_race()]


def random_picture(height: int, width: int, *, seed: int) -> Tensor:
    """Soft shapes with a little noise, (3, H, W), 0..1, in steps of a grey level."""
    generator = np.random.default_rng(seed)
    coarse = generator.random((12, 16, 3), dtype=np.float32)
    picture = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    picture = (picture + generator.normal(0, 0.02, picture.shape)).clip(0, 1)
    return torch.from_numpy(np.round(picture * 255) / 255).permute(2, 0, 1).float().contiguous()


def scipy_poisson(div: Planes) -> Planes:
    """The direct solve by two cosine transforms that a SciPy user writes, in the dtype of `div`."""
    height, width = div.shape[-2:]
    rows, columns = np.arange(height)[:, None], np.arange(width)[None]
    eigenvalues = 2 * np.cos(np.pi * rows / height) + 2 * np.cos(np.pi * columns / width) - 4
    eigenvalues[0, 0] = 1
    spectrum = scipy.fft.dctn(div, axes=(-2, -1))
    spectrum /= eigenvalues.astype(div.dtype)
    spectrum[..., 0, 0] = 0
    return scipy.fft.idctn(spectrum, axes=(-2, -1), overwrite_x=True)


def numpy_susan(video: Planes, *, sigma: float = 15.0, threshold: float = 20 / 255) -> Planes:
    """SUSAN 3x3x5 of a grey clip (T, H, W), whole volumes at a time in the dtype of `video`."""
    num_frames, height, width = video.shape
    padded = np.pad(video, ((2, 2), (1, 1), (1, 1)), mode="symmetric")
    weighted_sum, weight_sum = np.zeros_like(video), np.zeros_like(video)
    for dt in range(-2, 3):
        for dy in range(-1, 2):
            for dx in range(-1, 2):
                if (dt, dy, dx) == (0, 0, 0):
                    continue
                moved = padded[2 + dt : 2 + dt + num_frames, 1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]
                spatial = (dt**2 + dy**2 + dx**2) / (2 * sigma**2)
                weight = np.exp(-(((moved - video) / threshold) ** 2) - spatial)
                weighted_sum += weight * moved
                weight_sum += weight
    return weighted_sum / weight_sum


def _poisson_races() -> list[Race]:
    found = []
    for height, width in SIZES:
        night, day = random_picture(height, width, seed=0), random_picture(height, width, seed=1)
        div = mixed_divergence(night, day, larger_gradient(night, day)) * 255
        ours = partial(solve_poisson, div)
        against_scipy, against_pyamg = f"{height}x{width}", f"{height}x{width}, pyamg"
        found += [
            Race(f"Poisson, 3 channels, {against_scipy}", ours, "scipy.fft.dctn float32",
                 partial(scipy_poisson, div.numpy()), 2.5, "Poisson against scipy.fft", partial(_rmse, ours, div)),
            Race(f"Poisson, 3 channels, {against_pyamg}", ours, "pyamg Ruge-Stuben + CG to 1e-5",
                 _pyamg_poisson(div), 50, "Poisson against pyamg"),
        ]  # fmt: skip
    return found


def _rmse(ours: Callable[[], Tensor], div: Tensor) -> str:
    exact = scipy_poisson(div.double().numpy())
    return f"RMSE {np.sqrt(np.mean((ours().double().numpy() - exact) ** 2)):.1e} grey levels"


def _pyamg_poisson(div: Tensor) -> Callable[[], object] | str:
    """The peer, its set-up done beforehand, or why it is not here."""
    if importlib.util.find_spec("pyamg") is None:
        return "pyamg is not installed; pip install -e '.[peers]'"
    import pyamg
    import scipy.sparse

    height, width = div.shape[-2:]

    def second_difference(length: int) -> "scipy.sparse.spmatrix":
        steps = scipy.sparse.diags([-1.0, 1.0], [0, 1], shape=(length - 1, length))
        return steps.T @ steps

    eye_rows, eye_columns = scipy.sparse.eye(height), scipy.sparse.eye(width)
    matrix = scipy.sparse.kron(eye_rows, second_difference(width)) + scipy.sparse.kron(
        second_difference(height), eye_columns
    )
    pinned = matrix.tolil()
    pinned[0, 0] += 1  # the solution that is 0 in the first pixel: CG stops on the singular matrix
    solver = pyamg.ruge_stuben_solver(pinned.tocsr())
    planes = [-(plane - plane.mean()).double().flatten().numpy() for plane in div]
    return lambda: [solver.solve(plane, tol=1e-5, accel="cg") for plane in planes]


def _still_race(rule: str) -> Race:
    night, day = random_picture(480, 640, seed=0), random_picture(480, 640, seed=1)
    source, target = ((image * 255).byte().permute(1, 2, 0).contiguous().numpy() for image in (night, day))
    mask = np.full(source.shape[:2], 255, np.uint8)
    settings = ImageSettings(rule="max", feather_px=0.0) if rule == "max" else ImageSettings()
    return Race(
        f"still, rule {rule}, 480x640",
        partial(fuse_image, night, day, settings=settings),
        "cv2.seamlessClone (mixed)",
        lambda: cv2.seamlessClone(source, target, mask.copy(), (320, 240), cv2.MIXED_CLONE),
        12,
    )


def _susan_race() -> Race:
    generator = np.random.default_rng(0)
    clip = generator.normal(100, 8, (10, 240, 320)).clip(0, 255) / 255
    frames = torch.from_numpy(clip).float()[:, None]

    def check() -> str:
        difference = np.abs(susan_smooth(frames)[:, 0].numpy() - numpy_susan(clip)).max() * 255
        return f"largest difference {difference:.0e} grey levels"

    return Race(
        "SUSAN 3x3x5, 10 grey frames, 240x320",
        partial(susan_smooth, frames),
        "numpy float64, vectorised",
        partial(numpy_susan, clip),
        20,
        check=check,
    )


def _video_step(height: int, width: int, device: str) -> Callable[[], object]:
    """One push of a fuser in full swing."""
    day = random_picture(height, width, seed=1).to(device)
    frames = [(random_picture(height, width, seed=seed) * 0.2).to(device) for seed in range(2, 6)]
    fuser = VideoFuser(day)
    for index in range(fuser.latency + 1):
        fuser.push(frames[index % 4])
    return lambda: fuser.push(frames[0])


def _video_race() -> Race:
    step = _video_step(240, 320, "cpu")
    return Race("VideoFuser step, 240x320, denoising included", step, "the paper's 1 frame/s (2003)", 1.0, 30)


def _gpu_race() -> Race:
    step = _video_step(1080, 1920, "cuda") if torch.cuda.is_available() else "no CUDA device here"
    return Race("VideoFuser step, 1080x1920, GPU", step, "real time at 60 frame/s", 1 / 60, 1)
