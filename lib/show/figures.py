"""Figures of pictures, planes and fields; each function returns the figure and knows no paper."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lib.errors import ShapeError
from lib.show.canvas import ShownFigure, drawing, pixels

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from torch import Tensor

PAGE_WIDTH_IN = 9.5
TITLE_HEIGHT_IN = 0.3
GREY_LEVELS = 255.0
SLICE_ROW_PX = 4


def image_grid(images: "Sequence[Tensor]", titles: Sequence[str], *, columns: int = 3) -> ShownFigure:
    """Pictures side by side under their titles.

    images: RGB (3, H, W), planes (H, W) or masks (H, W), 0..1; sizes may differ. titles: one for each.
    Raises ShapeError when there is no picture or the counts differ.
    """
    arrays = [pixels(image) for image in images]
    columns = _check_grid(arrays, titles, columns)
    with drawing(*_grid_size(arrays, columns), photographic=True) as figure:
        for axes, array, title in zip(_cells(figure, len(arrays), columns), arrays, titles, strict=True):
            _show_pixels(axes, array, title)
            axes.images[0].set_clim(0, 1)
    return figure


def plane_grid(
    planes: "Sequence[Tensor]",
    titles: Sequence[str],
    *,
    unit: str,
    signed: bool = False,
    limit: float | None = None,
    columns: int = 3,
) -> ShownFigure:
    """Planes of one quantity side by side with one colour bar.

    planes: (H, W), any range, in `unit`. signed: blue below 0, grey at 0, yellow above, also apart
        in grey; else light is 0 and dark is much.
    limit: value at the end of the bar; by default the largest magnitude.
    Raises ShapeError when there is no plane or the counts differ.
    """
    import numpy as np

    arrays = [pixels(plane) for plane in planes]
    columns = _check_grid(arrays, titles, columns)
    if any(array.ndim != 2 for array in arrays):
        raise ShapeError("a plane must be (H, W): got a colour picture; use image_grid or take one channel")
    top = limit if limit is not None else max(float(np.abs(array).max()) for array in arrays) or 1.0
    with drawing(*_grid_size(arrays, columns, bar_in=0.8), photographic=True) as figure:
        cells = _cells(figure, len(arrays), columns)
        for axes, array, title in zip(cells, arrays, titles, strict=True):
            _show_pixels(axes, array, title)
            axes.images[0].set_cmap("cividis" if signed else "gray_r")
            axes.images[0].set_clim(-top if signed else 0, top)
        bar = figure.colorbar(cells[0].images[0], ax=cells, label=unit, shrink=0.9, pad=0.015, aspect=25)
        bar.outline.set_visible(False)
    return figure


def signed_map(plane: "Tensor", title: str, unit: str, *, limit: float | None = None) -> ShownFigure:
    """One plane (H, W) around 0 in two colours, with its colour bar in `unit`."""
    return plane_grid([plane], [title], unit=unit, signed=True, limit=limit, columns=1)


def vector_field(
    field_x: "Tensor", field_y: "Tensor", title: str, *, background: "Tensor | None" = None, step_px: int = 8
) -> ShownFigure:
    """Arrows of a field over its magnitude, or over a picture.

    field_x, field_y: (H, W), x to the right and y downwards, in picture values (0..1) a pixel; shown in grey levels.
    background: (3, H, W) or (H, W), 0..1. step_px: one arrow, the mean of its neighbourhood, every so many pixels.
    """
    import numpy as np

    across, down = GREY_LEVELS * pixels(field_x), GREY_LEVELS * pixels(field_y)
    if across.shape != down.shape:
        raise ShapeError(f"field_x and field_y must have one shape: got {across.shape} and {down.shape}")
    ground = np.hypot(across, down) if background is None else pixels(background)
    rows, columns = (max(1, side // step_px) for side in across.shape)
    arrows_x, arrows_y = (_block_means(plane, rows, columns) for plane in (across, down))
    x, y = (np.arange(columns) + 0.5) * across.shape[1] / columns, (np.arange(rows) + 0.5) * across.shape[0] / rows
    with drawing(*_grid_size([ground], 1, bar_in=0.8), photographic=True) as figure:
        axes = figure.add_subplot()
        _show_pixels(axes, ground, title)
        if background is None:
            axes.images[0].set_cmap("gray_r")
            figure.colorbar(
                axes.images[0], ax=axes, label="gradient magnitude (grey levels / px)", pad=0.015, aspect=25
            )
        longest = float(np.hypot(arrows_x, arrows_y).max())
        if longest > 0:
            look: dict[str, Any] = {"angles": "xy", "color": "#b5361c", "width": 0.0025, "pivot": "mid"}
            arrows = axes.quiver(x - 0.5, y - 0.5, arrows_x, arrows_y, **look)
            length = float(f"{longest / 2:.1g}")
            axes.quiverkey(arrows, 0.8, 1.03, length, f"{length:g} grey levels / px", labelpos="E", labelsep=0.05)
    return figure


def film_figure(
    rows: "Mapping[str, Tensor]", frames: Sequence[int], *, first_s: float = 0.0, fps: float
) -> ShownFigure:
    """A strip of film: one row for each clip (T, 3, H, W) or weight (T, H, W), one column for each frame number."""
    pictures = [clip[idx] for clip in rows.values() for idx in frames]
    titles = [f"{name}, {first_s + idx / fps:.2f} s" for name in rows for idx in frames]
    return image_grid(pictures, titles, columns=len(frames))


def time_slices(clips: "Mapping[str, Tensor]", *, row: int) -> ShownFigure:
    """One picture row of each clip (T, 3, H, W) or (T, H, W) over time, which runs downwards.

    What stands still is a vertical line, what moves is slanted, what flickers is dashed.
    """
    slices = [clip[..., row, :].movedim(0, -2).repeat_interleave(SLICE_ROW_PX, dim=-2) for clip in clips.values()]
    return image_grid(slices, list(clips), columns=2)


def _check_grid(arrays: "Sequence[np.ndarray]", titles: Sequence[str], columns: int) -> int:
    """Columns in use; passes at least one picture with a title each."""
    if not arrays or len(arrays) != len(titles):
        raise ShapeError(f"there must be at least one picture and a title for each: got {len(arrays)}, {len(titles)}")
    return max(1, min(columns, len(arrays)))


def _grid_size(arrays: "Sequence[np.ndarray]", columns: int, *, bar_in: float = 0.0) -> tuple[float, float]:
    """Width and height in inches of a page-wide grid, narrower for one column; rows fit their tallest picture."""
    width = PAGE_WIDTH_IN if columns > 1 else PAGE_WIDTH_IN * 0.6
    cell = (width - bar_in) / columns
    ratio = max(array.shape[0] / array.shape[1] for array in arrays)
    return width, min(math.ceil(len(arrays) / columns) * (cell * ratio + TITLE_HEIGHT_IN), 2.5 * PAGE_WIDTH_IN)


def _cells(figure: ShownFigure, count: int, columns: int) -> "list[Axes]":
    """Axes of a grid in reading order; places that are left over stay empty."""
    rows = math.ceil(count / columns)
    return [figure.add_subplot(rows, columns, idx + 1) for idx in range(count)]


def _show_pixels(axes: "Axes", array: "np.ndarray", title: str) -> None:
    """A picture in its frame, without ticks: its pixels are the unit."""
    axes.imshow(array, interpolation="nearest" if max(array.shape[:2]) < 100 else "auto")
    axes.set_title(title)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(False)
    axes.spines[:].set_visible(False)


def _block_means(plane: "np.ndarray", rows: int, columns: int) -> "np.ndarray":
    """Mean over each of rows x columns nearly equal blocks."""
    import numpy as np

    height, width = plane.shape
    row_starts, column_starts = np.arange(rows) * height // rows, np.arange(columns) * width // columns
    sums = np.add.reduceat(np.add.reduceat(plane, row_starts, axis=0), column_starts, axis=1)
    sizes = np.outer(np.diff(np.append(row_starts, height)), np.diff(np.append(column_starts, width)))
    return sums / sizes
