"""The look that all figures share: type sizes, frames, colours that stay apart in grey; how a notebook shows them."""

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from lib.errors import ShapeError

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

DPI = 110  # a page wide figure is about 1000 pixels: sharp on screens, small in a committed notebook

# Any, because the type of matplotlib's keys differs from version to version
STYLE: Any = {
    "axes.edgecolor": "0.3",
    "axes.grid": True,
    "axes.labelsize": 10,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "figure.facecolor": "white",
    "figure.titlesize": 11,
    "font.size": 10,
    "grid.color": "0.88",
    "grid.linewidth": 0.6,
    "image.cmap": "gray",
    "legend.fontsize": 9,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "savefig.dpi": DPI,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
}

# dark to light, so that neighbours differ on a grey print too; safe for colour-blind readers (after Okabe and Ito)
PALETTE = ("#1f2a6b", "#00785a", "#c4451f", "#c2679c", "#56b0e6", "#e9b000", "#c0c0c0")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINES = ("-", (0, (5, 1.5)), (0, (1, 1.2)), (0, (5, 1.5, 1, 1.5)), (0, (8, 2)), (0, (3, 1, 1, 1, 1, 1)), (0, (2, 2)))


class ShownFigure(Figure):
    """A matplotlib figure that a notebook shows once, whatever its backend; it belongs to no window.

    Pictures go into the notebook as JPEG, a fifth of the bytes of PNG, and plots as PNG. `savefig` writes any format.
    """

    is_photographic = False

    def encoded(self) -> tuple[str, bytes]:
        """MIME type and bytes of the figure as a notebook stores it."""
        buffer = BytesIO()
        if self.is_photographic:
            self.savefig(buffer, format="jpeg", dpi=DPI, pil_kwargs={"quality": 80, "optimize": True})
            return "image/jpeg", buffer.getvalue()
        self.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
        return "image/png", buffer.getvalue()

    def _ipython_display_(self) -> None:
        from IPython.display import display

        mime_type, content = self.encoded()
        display({mime_type: b64encode(content).decode("ascii"), "text/plain": repr(self)}, raw=True)


@contextmanager
def drawing(width_in: float, height_in: float, *, photographic: bool = False) -> Iterator[ShownFigure]:
    """A new figure of this size in inches; what is drawn inside the block follows STYLE, nothing outside is changed."""
    with rc_context(STYLE):
        whole_pixels = (round(width_in * DPI) / DPI, round(height_in * DPI) / DPI)
        figure = ShownFigure(figsize=whole_pixels, dpi=DPI, layout="constrained")
        figure.is_photographic = photographic
        yield figure


def method_colours(names: Sequence[str]) -> dict[str, str]:
    """One colour a method, in this order; pass the same dict to every figure, so that a method keeps its colour."""
    return {name: PALETTE[idx % len(PALETTE)] for idx, name in enumerate(names)}


def colour_of(name: str, idx: int, colours: Mapping[str, str] | None) -> str:
    """The method's own colour, or the palette's for its place."""
    return (colours or {}).get(name, PALETTE[idx % len(PALETTE)])


def pixels(image: "Tensor | np.ndarray") -> "np.ndarray":
    """What imshow takes: (H, W, 3) within 0..1 from RGB (3, H, W); (H, W) float from a plane, a mask or (1, H, W)."""
    import numpy as np

    array = np.asarray(image.detach().cpu() if hasattr(image, "detach") else image)
    if array.ndim == 3 and array.shape[0] == 3:
        return array.transpose(1, 2, 0).astype(np.float64).clip(0, 1)
    if array.ndim == 3 and array.shape[0] == 1:
        array = array[0]
    if array.ndim != 2:
        raise ShapeError(f"a picture must be (3, H, W), (1, H, W) or (H, W): got {array.shape}; take one frame first")
    return array.astype(np.float64)
