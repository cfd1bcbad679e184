"""Figures of the walkthrough: each takes what the method's functions gave and returns the figure."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from lib.flow import flow_to_rgb, resize_flow
from lib.show.canvas import LINES, MARKERS, PALETTE, ShownFigure, drawing
from lib.show.figures import PAGE_WIDTH_IN, image_grid, plane_grid
from lib.zero_tig.downsample import pair_downsample
from lib.zero_tig.filters import LUMA, weighted_sum
from lib.zero_tig.model import Enhancement
from lib.zero_tig.train import Step
from lib.zero_tig.walkthrough import GREY_LEVELS, Past, channel_counts, loss_lines

NOISE_LIMIT = 12.0  # grey levels of the dark frame
CROP = 0.35  # of the height, what the halves are shown of
CHANNEL_COLOURS = {"red": "#c4451f", "green": "#00785a", "blue": "#1f2a6b"}
CHANNEL_LINES = {"red": LINES[0], "green": LINES[1], "blue": LINES[2]}
TITLES = {
    "denoised": "L: after LD-Net",
    "illumination": "S: illumination",
    "rough": "H = I / S: still noisy",
    "reflectance": "R: the result",
    "illumination_refined": "S': refined",
}


def decomposition_figure(frame: Tensor, found: Enhancement) -> ShownFigure:
    """A frame (3, H, W) and the five pictures that the networks make of it."""
    pictures = [frame, *(getattr(found, name)[0] for name in TITLES)]
    return image_grid(pictures, ["I: the dark frame", *TITLES.values()])


def noise_figure(frame: Tensor, found: Enhancement, clean: Tensor | None = None) -> ShownFigure:
    """What LD-Net takes from the luma of a frame (3, H, W), and what truly was noise where that is known."""
    planes = [_luma(frame - found.denoised[0])]
    titles = ["what LD-Net takes away"]
    if clean is not None:
        planes.append(_luma(frame - clean))
        titles.append("what truly is noise")
    planes = [GREY_LEVELS * plane for plane in planes]
    return plane_grid(planes, titles, unit="grey levels", signed=True, limit=NOISE_LIMIT, columns=2)


def halves_figure(frame: Tensor) -> ShownFigure:
    """The two half-size pictures of the pair down-sampler and their difference around grey, cut out and brightened."""
    rows = round(CROP * frame.shape[-2])
    top, left = (frame.shape[-2] - rows) // 2, (frame.shape[-1] - 2 * rows) // 2
    first, second = (half[0] for half in pair_downsample(frame[None, :, top : top + rows, left : left + 2 * rows]))
    gain = 0.5 / float(first.mean().clamp_min(1e-3))
    pictures = [gain * first, gain * second, 0.5 + gain * (first - second)]
    return image_grid(pictures, ["G1", "G2", "G1 - G2, around grey"])


def flow_figure(previous: Tensor, current: Tensor, past: Past) -> ShownFigure:
    """Previous result, current frame, flow as colours, and the previous result warped by it.

    previous: R(t-1), current: what it is compared with, both (3, H, W), equally bright.
    """
    size = (previous.shape[-2], previous.shape[-1])
    coloured = flow_to_rgb(resize_flow(past.flow, size))[0]
    warped = past.warped[0]
    return image_grid(
        [previous, current, coloured, warped], ["R(t-1)", "L(t), equalised", "flow", "R(t-1), warped"], columns=2
    )


def loss_figure(steps: Sequence[Step]) -> ShownFigure:
    """The weighted losses over the steps of a training, in groups, on a logarithmic axis."""
    with drawing(7.5, 3.6) as figure:
        axes = figure.add_subplot()
        for idx, (group, (numbers, values)) in enumerate(loss_lines(steps).items()):
            look = {"color": PALETTE[idx], "linestyle": LINES[idx], "marker": MARKERS[idx]}
            axes.semilogy(numbers, values, label=group, markersize=4, markevery=max(1, len(numbers) // 8), **look)
        axes.set_xlabel("optimiser step (one frame each)")
        axes.set_ylabel("weighted loss")
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), handlelength=3.2)
    return figure


def channels_figure(videos: Mapping[str, Tensor]) -> ShownFigure:
    """Histograms of red, green and blue of each video (T, 3, H, W), side by side, as Figure 2 of the paper."""
    with drawing(PAGE_WIDTH_IN, 2.8) as figure:
        for idx, (name, video) in enumerate(videos.items()):
            shared = figure.axes[0] if figure.axes else None
            axes = figure.add_subplot(1, len(videos), idx + 1, sharex=shared)
            for channel, (levels, shares) in channel_counts(video).items():
                axes.plot(
                    levels, shares, color=CHANNEL_COLOURS[channel], linestyle=CHANNEL_LINES[channel], label=channel
                )
            axes.set_title(name)
            axes.set_xlabel("grey level")
        figure.axes[0].set_ylabel("share of pixels (%)")
        figure.axes[-1].legend(loc="upper right")
    return figure


def _luma(picture: Tensor) -> Tensor:
    return weighted_sum(picture[None], LUMA)[0, 0]
