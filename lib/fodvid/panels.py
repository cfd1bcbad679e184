"""What a reader of the walkthrough moves: threshold of the graph and share of appearance; the cut follows."""

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor

from lib.fodvid.cut import Cut, graph_cut
from lib.fodvid.discover import to_size
from lib.fodvid.settings import Settings
from lib.fodvid.walkthrough import Look, graph_of
from lib.metrics.davis import jaccard
from lib.show.overlay import draw_mask
from lib.show.panel import Slider, captioned
from lib.solvers.two_valued import TwoValued


def cut_sliders(settings: Settings) -> list[Slider]:
    """Tau and alpha; they start at the settings'."""
    return [
        Slider("tau", "tau", min(0.0, settings.tau), max(0.9, settings.tau), settings.tau, step=0.05),
        Slider("alpha", "alpha", 0.0, 1.0, settings.alpha, step=0.05),
    ]


def cut_at(look: Look, settings: Settings) -> tuple[TwoValued, Cut]:
    """Graph of a frame's patches under these settings, and its cut."""
    graph = graph_of(look, settings)
    return graph, graph_cut(graph, look.grid, corner_rule=settings.corner_rule, component=settings.component)


def cut_live(look: Look, values: Mapping[str, float]) -> bytes:
    """Neighbours of each patch, eigenvector and mask for the sliders' values: the bytes of a JPEG file.

    values: tau and alpha, see `cut_sliders`; the other settings are the look's own.
    """
    settings = look.discoverer.settings.but(tau=float(values["tau"]), alpha=float(values["alpha"]))
    graph, cut = cut_at(look, settings)
    joined = (graph.num_neighbours.float() / len(graph)).unflatten(0, look.grid)
    unit = cut.eigenvector.float() / cut.eigenvector.abs().max().clamp_min(1e-12)
    mask = to_size(cut.mask, look.size).cpu()
    score = "" if look.truth is None else f", J {100 * jaccard(mask, look.truth.cpu()):.0f} %"
    shown = {
        f"neighbours of each: {100 * float(joined.mean()):.0f} % of all": _grown(joined, look.size),
        f"eigenvector, eigenvalue {cut.eigenvalue:.3f}": _grown((unit + 1) / 2, look.size),
        f"mask{score}": draw_mask(look.frame, mask),
    }
    return captioned({title: picture.cpu() for title, picture in shown.items()})


def _grown(plane: Tensor, size: tuple[int, int]) -> Tensor:
    """A plane of patches (rows, columns) at the size of a frame."""
    return F.interpolate(plane[None, None], size=size, mode="nearest-exact")[0, 0]
