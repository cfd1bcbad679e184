"""What `nocturne speed ir_tracking` times: the filter against OpenCV, scikit-image and SciPy; networks and tracker."""

from collections.abc import Callable
from functools import partial
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from lib.ir_tracking.background import suppress_background, suppress_with_shifts
from lib.ir_tracking.network import SiameseNetwork
from lib.ir_tracking.network_settings import NetworkSettings
from lib.ir_tracking.scan_settings import ScanSettings
from lib.ir_tracking.settings import FilterSettings
from lib.ir_tracking.simulator import ScanSimulator
from lib.ir_tracking.tracker import Tracker
from lib.ir_tracking.weights import load_network
from lib.timing import Race

SIZE = (480, 640)
LENGTHS = (9, 15, 21)
OPENING_PX = 3
TRACKED, REAL_TIME_FPS = 20, 60
NO_GPU = "needs a GPU"

Frame = NDArray[Any]
Stages = tuple[Frame, Frame, Frame]
Opening = Callable[[Frame, Frame], Frame]


def races() -> list[Race]:
    """Every row of the table, on cloudy 8-bit frames with noise (seed 0)."""
    return [*_filter_races(), _gpu_race(), _wide_race(), _tracker_race()]


def cloudy_frame(height: int, width: int) -> Tensor:
    """Soft clouds and noise, (H, W), uint8."""
    generator = np.random.default_rng(0)
    coarse = generator.random((12, 16), dtype=np.float32)
    clouds = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC) * 160 + 40
    return torch.from_numpy((clouds + generator.normal(0, 4, clouds.shape)).clip(0, 255).astype(np.uint8))


def line_masks(length: int) -> list[Frame]:
    """The four lines as a user writes them, each as small as it can be."""
    diagonal = np.eye(length, dtype=np.uint8)
    flat = np.ones((1, length), np.uint8)
    return [flat, np.ascontiguousarray(diagonal[::-1]), np.ascontiguousarray(flat.T), diagonal]


def compose(frame: Frame, masks: list[Frame], square: Frame, opening: Opening) -> Stages:
    """Background, suppressed and filtered frame by a library's own opening, as a user would write eqs 2 to 4."""
    background = opening(frame, masks[0])
    for mask in masks[1:]:
        background = np.maximum(background, opening(frame, mask))
    suppressed = frame - background
    return background, suppressed, opening(suppressed, square)


def opencv_filter(frame: Frame, masks: list[Frame], square: Frame) -> Stages:
    """The same with OpenCV's functions throughout."""
    background = cv2.morphologyEx(frame, cv2.MORPH_OPEN, masks[0])
    for mask in masks[1:]:
        background = cv2.max(background, cv2.morphologyEx(frame, cv2.MORPH_OPEN, mask))
    suppressed = cv2.subtract(frame, background)
    return background, suppressed, cv2.morphologyEx(suppressed, cv2.MORPH_OPEN, square)


def _filter_races() -> list[Race]:
    from scipy.ndimage import grey_opening
    from skimage.morphology import opening

    height, width = SIZE
    frame = cloudy_frame(height, width)
    square = np.ones((OPENING_PX, OPENING_PX), np.uint8)
    rows = []
    for length in LENGTHS:
        settings, masks = FilterSettings(length, opening_px=OPENING_PX), line_masks(length)
        shifts = partial(suppress_with_shifts, frame, settings=settings)
        by_opencv = partial(opencv_filter, frame.numpy(), masks, square)
        peers: list[tuple[str, Opening]] = [
            ("scikit-image", opening),
            ("SciPy", lambda image, mask: grey_opening(image, footprint=mask)),
        ]
        place = f"L = {length}, {height}x{width}"
        check = partial(_difference, settings, masks, square, frame)
        rows += [
            Race(f"filter, {place}", partial(suppress_background, frame, settings=settings), "OpenCV", by_opencv, 1,
                 "filter against OpenCV", check),
            Race(f"filter by shifts, {place}", shifts, "OpenCV", by_opencv, 0.7, "shifts against OpenCV", check),
            *(Race(f"filter by shifts, {place}", shifts, name, partial(compose, frame.numpy(), masks, square, one), 25,
                   f"shifts against {name}", peer_rounds=3) for name, one in peers),
        ]  # fmt: skip
    return rows


def _difference(settings: FilterSettings, masks: list[Frame], square: Frame, frame: Tensor) -> str:
    theirs = opencv_filter(frame.numpy(), masks, square)
    both = (suppress_background(frame, settings=settings), suppress_with_shifts(frame, settings=settings))
    # OpenCV's middle anchor also takes squares that leave the frame on the left and above
    inner = slice(OPENING_PX, -OPENING_PX)
    same = all(
        np.array_equal(ours.background.numpy(), theirs[0])
        and np.array_equal(ours.suppressed.numpy(), theirs[1])
        and np.array_equal(ours.filtered.numpy()[inner, inner], theirs[2][inner, inner])
        for ours in both
    )
    return "same bits" if same else "bits differ"


def _gpu_race() -> Race:
    height, width = SIZE
    work = f"filter of 32 frames, L = 15, {height}x{width}, GPU"
    if not torch.cuda.is_available():
        return Race(work, NO_GPU, "OpenCV, CPU", NO_GPU, 10)
    settings, masks = FilterSettings(15, opening_px=OPENING_PX), line_masks(15)
    frame, square = cloudy_frame(height, width), np.ones((OPENING_PX, OPENING_PX), np.uint8)
    frames = frame.cuda().expand(32, -1, -1).contiguous()
    peer = partial(opencv_filter, frame.numpy(), masks, square)
    return Race(
        work,
        partial(suppress_background, frames, settings=settings),
        "OpenCV, CPU",
        lambda: [peer() for _ in range(32)],
        10,
    )


def _wide_race() -> Race:
    """One search pass of the network of the published width, its template computed once: ours folds the norms."""
    settings = NetworkSettings()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        plain = SiameseNetwork(settings).eval()
    folded = plain.folded()
    crops = [torch.randn(1, 3, side, side) for side in (settings.template_px, settings.search_px)]
    last = [crop.to(memory_format=torch.channels_last) for crop in crops]
    with torch.no_grad():
        kernels, folded_kernels = plain.template(crops[0]), folded.template(last[0])

    @torch.no_grad()
    def by_torch() -> Tensor:
        return plain.search(kernels, crops[1]).classes

    @torch.no_grad()
    def ours() -> Tensor:
        return folded.search(folded_kernels, last[1]).classes

    def check() -> str:
        expected = by_torch()
        return f"off by {float((ours() - expected).abs().max() / expected.abs().max()):.0e} of the highest"

    return Race("network of AlexNet's width, a search pass", ours, "torch, eager", by_torch, 1.25, check=check)


def _tracker_race() -> Race:
    """Filter and track with the shipped small network a target that is always there."""
    height, width = SIZE
    settings = ScanSettings(
        height_px=height, width_px=width, num_frames=TRACKED + 1, scr=(6.0, 6.0), fades=0.0, occlusions=0.0
    )
    scan = ScanSimulator(settings, generator=Generator().manual_seed(0)).simulate()
    tracker = Tracker(load_network())

    def track() -> None:
        tracker.start(scan.frames[0], scan.boxes[0, 0])
        for frame in scan.frames[1:]:
            tracker.step(frame)

    return Race(
        f"small network, filter and track {TRACKED} frames",
        track,
        f"{REAL_TIME_FPS} frames a second",
        TRACKED / REAL_TIME_FPS,
        1,
    )
