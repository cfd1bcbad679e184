"""Figures of the walkthrough: each takes what the method's functions gave and returns the figure."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from lib.context_fusion.gradients import luma, mix_gradients
from lib.context_fusion.importance import GREY_LEVELS
from lib.context_fusion.walkthrough import Failure, curl
from lib.show import Table, table
from lib.show.canvas import LINES, MARKERS, PALETTE, ShownFigure, drawing
from lib.show.figures import PAGE_WIDTH_IN, image_grid, plane_grid
from lib.solvers.poisson import divergence, gradient

GRADIENT_LIMIT = 40.0  # grey levels a pixel: most edges, not the lamps
CURL_LIMIT = 15.0  # grey levels a square pixel; the divergence exceeds it at every edge
LOST_LIMIT = 12.0
CHANNELS = ("red", "green", "blue")
CHANNEL_COLOURS = ("#c4451f", "#00785a", "#1f2a6b")
SCATTER_POINTS = 900


def gradients_figure(night: Tensor, day: Tensor) -> ShownFigure:
    """Forward gradients of the luma of night and day (3, H, W): along x and along y, one scale, lower left quarter."""
    quarter = (..., slice(night.shape[-2] // 2, None), slice(None, night.shape[-1] // 2))
    planes = [GREY_LEVELS * plane for picture in (night, day) for plane in gradient(luma(picture)[quarter])]
    titles = ["night, along x", "night, along y", "day, along x", "day, along y"]
    return plane_grid(planes, titles, unit="grey levels / px", signed=True, limit=GRADIENT_LIMIT, columns=4)


def field_figure(night: Tensor, day: Tensor, importance: Tensor) -> ShownFigure:
    """Length of the luma gradients of night, day and of the mixed field G."""
    fields = [gradient(night), gradient(day), mix_gradients(night, day, importance)]
    lengths = [GREY_LEVELS * torch.hypot(luma(field_x), luma(field_y)) for field_x, field_y in fields]
    titles = ["night |∇N|", "day |∇D|", "mixed |G|"]
    return plane_grid(lengths, titles, unit="grey levels / px", limit=GRADIENT_LIMIT)


def integrability_figure(night: Tensor, day: Tensor, importance: Tensor) -> ShownFigure:
    """Curl of the day's gradient, curl of the mixed field, and its divergence; luma."""
    field = [luma(component) for component in mix_gradients(night, day, importance)]
    planes = [curl(*gradient(luma(day))), curl(*field), divergence(*field)]
    titles = ["curl of ∇D: 0 everywhere", "curl of G: the border of W", "div G: what Poisson solves for"]
    scaled = [GREY_LEVELS * plane for plane in planes]
    return plane_grid(scaled, titles, unit="grey levels / px²", signed=True, limit=CURL_LIMIT)


def reconstruction_figure(
    solution: Tensor, fitted: Tensor, night: Tensor, day: Tensor, importance: Tensor
) -> ShownFigure:
    """The picture that the Poisson solve gives, with the mean of the fitted one, and what of G it could not keep.

    solution, fitted: (3, H, W); the second picture shows |∇I' - G| of the luma, white is 12 grey levels a pixel.
    """
    offset = fitted.mean(dim=(-2, -1), keepdim=True) - solution.mean(dim=(-2, -1), keepdim=True)
    ours, wanted = gradient(luma(solution)), mix_gradients(night, day, importance)
    lost_x, lost_y = (mine - luma(field) for mine, field in zip(ours, wanted, strict=True))
    lost = torch.hypot(lost_x, lost_y) * (GREY_LEVELS / LOST_LIMIT)
    return image_grid([solution + offset, lost], ["I' (mean shifted)", "|∇I' - G|: what no picture has"], columns=2)


def convergence_figure(errors: Mapping[str, Sequence[float]]) -> ShownFigure:
    """Largest error of iterative solvers against the exact solution, by cycle, on a logarithmic axis."""
    with drawing(6.5, 3.4) as figure:
        axes = figure.add_subplot()
        for idx, (name, history) in enumerate(errors.items()):
            look = {"color": PALETTE[idx], "marker": MARKERS[idx], "linestyle": LINES[idx]}
            axes.semilogy(range(1, len(history) + 1), history, label=name, markersize=5, **look)
        axes.axhline(1, color="0.5", linewidth=0.8)
        axes.annotate(
            "one grey level", (1, 1), (1, 1.2), ("axes fraction", "data"), ha="right", color="0.35", fontsize=9
        )
        axes.set_xlabel("cycles (each about the same work)")
        axes.set_ylabel("largest error (grey levels)")
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), handlelength=3.2)
    return figure


def colour_fit_figure(solution: Tensor, target: Tensor, c1: Tensor, c2: Tensor) -> ShownFigure:
    """Target T against reconstruction I', one panel a channel, with the fitted line; grey levels.

    solution, target: (3, H, W); c1, c2: (3,). Pixels are thinned evenly to a few thousand.
    """
    step = max(1, solution[0].numel() // SCATTER_POINTS)
    points = [GREY_LEVELS * picture.detach().cpu().flatten(1)[:, ::step] for picture in (solution, target)]
    with drawing(PAGE_WIDTH_IN, 3.1) as figure:
        for idx, name in enumerate(CHANNELS):
            axes = figure.add_subplot(1, 3, idx + 1, sharey=figure.axes[0] if figure.axes else None)
            x, y = points[0][idx], points[1][idx]
            axes.scatter(x, y, s=4, alpha=0.4, linewidths=0, color=CHANNEL_COLOURS[idx])
            slope, offset = float(c1[idx]), float(c2[idx]) * GREY_LEVELS
            ends = torch.tensor([float(x.min()), float(x.max())])
            axes.plot(ends, slope * ends + offset, color="black", linewidth=1.4)
            axes.set_title(f"{name}: T = {slope:.2f} I' + {offset:.0f}")
            axes.set_xlabel("reconstruction I' (grey levels)")
            axes.set_ylim(-8, 263)
        figure.axes[0].set_ylabel("target T (grey levels)")
    return figure


def failures_figure(cases: Sequence[Failure]) -> ShownFigure:
    """Each failure on the left, the paper's way on the right, with the measure that tells them apart."""
    pictures = [picture for case in cases for picture in (case.wrong, case.right)]
    titles = [title for case in cases for title in (case.name, "the paper's way")]
    return image_grid(pictures, titles, columns=4)


def failures_table(cases: Sequence[Failure]) -> Table:
    """The score of each failure beside that of the paper's way."""
    rows = [[case.name, case.measure.name, case.measure.unit, case.wrong_score, case.right_score] for case in cases]
    return table(rows, ["failure", "measure (lower is better)", "unit", "there", "paper's way"], digits=2)
