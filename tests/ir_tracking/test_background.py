"""The multi-level filter against its definition, the stored numbers, OpenCV's composition and what eqs 2 to 4 imply."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from torch import Tensor

from lib.errors import ShapeError
from lib.ir_tracking.background import (
    DTYPES,
    OPENCV_DTYPES,
    lines,
    suppress_background,
    suppress_with_opencv,
    suppress_with_shifts,
)
from lib.ir_tracking.settings import FilterSettings

Pixels = list[tuple[int, int]]


def frames(*shape: int, dtype: torch.dtype = torch.uint8, seed: int = 0) -> Tensor:
    """Noise over the type's whole range, but for floats, which lie within -1..1."""
    generator = torch.Generator().manual_seed(seed)
    if dtype.is_floating_point:
        return torch.rand(shape, generator=generator, dtype=torch.float64).mul(2).sub(1).to(dtype)
    info = torch.iinfo(dtype)
    # differences of signed numbers must fit into their type
    low, high = (0, info.max) if info.min == 0 else (info.min // 2, info.max // 2)
    return torch.randint(low, high + 1, shape, generator=generator, dtype=torch.int64).to(dtype)


def definition(frame: np.ndarray, pixels: Pixels, starts: np.ndarray) -> np.ndarray:
    """Opening by its definition: the highest floor among the windows that hold the pixel; one start is one window."""
    height, width = frame.shape
    opened = np.full(frame.shape, -np.inf)
    for row, column in starts:
        inside = [
            (row + down, column + right)
            for down, right in pixels
            if 0 <= row + down < height and 0 <= column + right < width
        ]
        floor = min(frame[at] for at in inside)
        for at in inside:
            opened[at] = max(opened[at], floor)
    return opened


@pytest.mark.parametrize("directions", [4, 8])
@pytest.mark.parametrize(("length", "side"), [(3, 1), (5, 2), (7, 3)])
def test_every_stage_follows_its_definition(length: int, side: int, directions: int) -> None:
    frame = frames(9, 13, dtype=torch.float64)
    settings = FilterSettings(length, directions, side)
    every = np.argwhere(np.ones(frame.shape))
    found = suppress_background(frame, settings=settings)
    background = np.max([definition(frame.numpy(), list(line.offsets), every) for line in lines(settings)], axis=0)
    square = [(down, right) for down in range(side) for right in range(side)]
    suppressed = frame.numpy() - background
    assert np.array_equal(found.background.numpy(), background)
    assert np.array_equal(found.suppressed.numpy(), suppressed)
    assert np.array_equal(found.filtered.numpy(), definition(suppressed, square, every))


@pytest.mark.parametrize("length", [11, 15])
def test_agrees_with_the_stored_numbers(golden: Callable[[str], Any], length: int) -> None:
    stored = golden("tracking/tracking.npz")
    frame = torch.from_numpy(stored["ir_frame"])
    for side in (2, 3):
        found = suppress_background(frame, settings=FilterSettings(length, opening_px=side))
        assert np.array_equal(found.suppressed.numpy(), stored[f"ir_L{length}_U"])
        assert np.array_equal(found.filtered.numpy(), stored[f"ir_L{length}_M_{side}x{side}"])
    if length == 11:
        assert np.array_equal(found.background.numpy(), stored["ir_L11_openings"].max(axis=0))


@pytest.mark.parametrize("polarity", ["bright", "dark"])
@pytest.mark.parametrize("dtype", OPENCV_DTYPES)
@pytest.mark.parametrize("length", [3, 9, 15])
def test_shifts_give_the_bits_of_opencv(dtype: torch.dtype, length: int, polarity: Any) -> None:
    for directions, side in ((4, 2), (8, 3), (4, 1), (8, 5)):
        settings = FilterSettings(length, directions, side, polarity)
        for shape in ((2, 37, 50), (1, 1), (2, 1, 9), (7, 1), (2, 3, 4, 5)):
            batch = frames(*shape, dtype=dtype)
            kept = batch.clone()
            ours, theirs = (form(batch, settings=settings) for form in (suppress_with_shifts, suppress_with_opencv))
            assert torch.equal(batch, kept)
            for one, other in zip(ours, theirs, strict=True):
                assert one.dtype == other.dtype == dtype
                assert one.shape == other.shape == shape
                assert np.array_equal(one.numpy(), other.numpy()), (settings, shape)


def test_any_device_gives_the_bits_of_opencv(device: torch.device) -> None:
    for settings in (FilterSettings(), FilterSettings(21, 8, 3, "dark")):
        for dtype in (torch.uint8, torch.int16, torch.float32):
            batch = frames(3, 40, 61, dtype=dtype)
            found = suppress_with_shifts(batch.to(device), settings=settings)
            public = suppress_background(batch.to(device), settings=settings)
            for one, two, other in zip(found, public, suppress_with_opencv(batch, settings=settings), strict=True):
                assert one.device.type == two.device.type == device.type
                assert torch.equal(one.cpu(), other)
                assert torch.equal(two.cpu(), other)


def test_the_composition_that_a_user_writes() -> None:
    frame = frames(48, 64).numpy()
    kernels = [
        np.ones((1, 9), np.uint8),
        np.eye(9, dtype=np.uint8),
        np.ones((9, 1), np.uint8),
        np.eye(9, dtype=np.uint8)[::-1],
    ]
    opened = [cv2.morphologyEx(frame, cv2.MORPH_OPEN, np.ascontiguousarray(kernel)) for kernel in kernels]
    found = suppress_background(torch.from_numpy(frame), settings=FilterSettings(9, opening_px=3))
    assert np.array_equal(found.background.numpy(), np.max(opened, axis=0))
    squares = cv2.morphologyEx(found.suppressed.numpy(), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    # OpenCV's middle anchor also takes squares that leave the frame on the left and above
    assert np.array_equal(found.filtered.numpy()[2:-2, 2:-2], squares[2:-2, 2:-2])


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_passes(dtype: torch.dtype) -> None:
    found = suppress_background(frames(1, 12, 14, dtype=dtype))
    assert {stage.dtype for stage in found} == {dtype}
    exact = suppress_background(frames(1, 12, 14, dtype=dtype).double())
    assert torch.equal(found.background.double(), exact.background)


@given(
    height=st.integers(1, 24),
    width=st.integers(1, 24),
    settings=st.builds(
        FilterSettings,
        st.sampled_from([3, 5, 7, 11, 31]),
        st.sampled_from([4, 8]),
        st.integers(1, 6),
        st.sampled_from(["bright", "dark"]),
    ),
    seed=st.integers(0, 99),
)
@hypothesis_settings(max_examples=40, deadline=None)
def test_what_the_equations_imply(height: int, width: int, settings: FilterSettings, seed: int) -> None:
    frame = frames(height, width, dtype=torch.int16, seed=seed)
    background, suppressed, filtered = suppress_background(frame, settings=settings)
    sign = 1 if settings.polarity == "bright" else -1
    assert (sign * (frame - background) >= 0).all()
    assert torch.equal(suppressed, sign * (frame - background))
    assert (filtered >= 0).all()
    assert (filtered <= suppressed).all()
    # openings are idempotent, and an offset of the whole frame is background
    again = suppress_with_shifts(filtered, settings=FilterSettings(3, 4, settings.opening_px))
    if settings.opening_px == 1:
        assert torch.equal(filtered, suppressed)
    assert (again.background <= filtered).all()
    lifted = suppress_background(frame + 5, settings=settings)
    assert torch.equal(lifted.filtered, filtered)
    # transposing the picture swaps the lines among themselves
    assert torch.equal(suppress_background(frame.mT, settings=settings).suppressed, suppressed.mT)


def test_dark_targets_are_bright_ones_of_the_negative() -> None:
    frame = frames(20, 30, dtype=torch.int16)
    bright = suppress_background(-frame)
    dark = suppress_background(frame, settings=FilterSettings(polarity="dark"))
    assert torch.equal(dark.background, -bright.background)
    assert torch.equal(dark.filtered, bright.filtered)


def test_half_a_turn_and_mirrors_turn_the_background() -> None:
    frame = frames(21, 34)
    for settings in (FilterSettings(7), FilterSettings(7, 8)):
        background = suppress_background(frame, settings=settings).background
        for axes in ((0,), (1,), (0, 1)):
            assert torch.equal(
                suppress_background(frame.flip(axes), settings=settings).background.flip(axes), background
            )


def test_a_target_survives_and_edges_and_single_pixels_do_not() -> None:
    frame = torch.full((40, 60), 20, dtype=torch.uint8)
    frame[:, 30:] = 120  # a cloud's edge
    frame[10:13, 10:13] = 200
    frame[30, 15] = 255
    target = torch.zeros_like(frame)
    target[10:13, 10:13] = 180
    suppressed = suppress_background(frame).suppressed
    assert suppressed[30, 15] == 235
    filtered = suppress_background(frame).filtered
    assert torch.equal(filtered, target)
    # a rectangle larger than the target erases it, and so does a line that is shorter
    assert not suppress_background(frame, settings=FilterSettings(opening_px=4)).filtered.any()
    assert not suppress_background(frame, settings=FilterSettings(3)).filtered.any()


def test_a_batch_is_its_frames() -> None:
    batch = frames(2, 3, 20, 25, dtype=torch.float32)
    whole = suppress_with_shifts(batch, settings=FilterSettings())
    for outer in range(2):
        for inner in range(3):
            alone = suppress_with_shifts(batch[outer, inner], settings=FilterSettings())
            assert all(torch.equal(one[outer, inner], other) for one, other in zip(whole, alone, strict=True))


def test_frames_that_are_no_contiguous_memory() -> None:
    batch = frames(4, 31, 22)
    for form in (suppress_with_opencv, suppress_with_shifts):
        found = form(batch[::2, 1:, 3:], settings=FilterSettings())
        assert torch.equal(found.filtered, form(batch[::2, 1:, 3:].clone(), settings=FilterSettings()).filtered)


def test_lines_of_one_length_cover_the_half_turn() -> None:
    for length in (3, 11, 15):
        every = lines(FilterSettings(length, 8))
        assert all(len(set(line.offsets)) == length for line in every)
        angles = [np.degrees(np.arctan2(-line.offsets[-1][0], line.offsets[-1][1])) % 180 for line in every]
        assert len({round(angle) for angle in angles}) == (8 if length > 3 else 4)
        assert all({(-down, -right) for down, right in line.offsets} == set(line.offsets) for line in every)
    assert sorted(np.round(angles)) == [0, 23, 45, 67, 90, 113, 135, 157]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (torch.zeros(3), r"got shape \(3,\)"),
        (torch.zeros(1, 0, 4), "at least one pixel"),
        (torch.zeros(4, 4, dtype=torch.bool), "frames must be one of uint8.*got torch.bool"),
        (torch.zeros(4, 4, dtype=torch.int64), "convert them first"),
        (torch.full((4, 4), float("nan")), "repair the dead rows"),
        (torch.tensor([[1.0, float("inf")]]), "repair the dead rows"),
        (np.zeros((4, 4)), "use torch.as_tensor first"),
    ],
)
def test_bad_frames_are_refused(bad: Any, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        suppress_background(bad)


def test_large_finite_numbers_are_no_infinity() -> None:
    frame = torch.full((40, 40), 3e38)
    assert not suppress_background(frame).suppressed.any()


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (12, 17)])
def test_what_was_given_stays_when_the_next_frame_comes(shape: tuple[int, int]) -> None:
    first, second = frames(*shape, seed=1), frames(*shape, seed=2)
    found = suppress_with_shifts(first, settings=FilterSettings(5))
    kept = [stage.clone() for stage in found]
    suppress_with_shifts(second, settings=FilterSettings(5))
    assert all(torch.equal(stage, one) for stage, one in zip(found, kept, strict=True))
    again = suppress_with_shifts(first, settings=FilterSettings(5))
    assert all(torch.equal(stage, one) for stage, one in zip(again, kept, strict=True))
    assert len({stage.data_ptr() for stage in (*found, *again)}) == 6


def test_frames_of_other_sizes_kinds_and_settings_in_turn() -> None:
    settings = (FilterSettings(5), FilterSettings(5, opening_px=1), FilterSettings(7, 8, 3, "dark"))
    for _ in range(2):
        for shape in ((20, 31), (31, 20), (2, 20, 31)):
            for dtype in (torch.uint8, torch.float32):
                batch = frames(*shape, dtype=dtype)
                for one in settings:
                    ours, theirs = (form(batch, settings=one) for form in (suppress_with_shifts, suppress_with_opencv))
                    assert all(torch.equal(stage, other) for stage, other in zip(ours, theirs, strict=True))


def test_threads_do_not_share_memory() -> None:
    batches = [frames(60, 80, seed=seed) for seed in range(16)]
    expected = [suppress_with_opencv(batch, settings=FilterSettings()).filtered for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            found = list(pool.map(lambda batch: suppress_with_shifts(batch, settings=FilterSettings()), batches))
            assert all(torch.equal(stages.filtered, one) for stages, one in zip(found, expected, strict=True))


def test_a_filter_made_in_inference_mode_works_outside() -> None:
    batch = frames(23, 29, seed=3)
    with torch.inference_mode():
        inside = suppress_with_shifts(batch, settings=FilterSettings(9)).filtered.clone()
    outside = suppress_with_shifts(batch, settings=FilterSettings(9)).filtered
    assert torch.equal(outside, inside)
    assert not outside.is_inference()
