"""Figures of the walkthrough: each takes what the method's functions gave and returns the figure."""

from collections.abc import Mapping, Sequence

import torch.nn.functional as F
from torch import Tensor

from lib.context_reg.context_loss import weight_maps
from lib.context_reg.networks import LoadedNetwork
from lib.context_reg.segment import segment_image
from lib.context_reg.train import Step
from lib.context_reg.walkthrough import COMPASS, loss_lines, loss_map, responses
from lib.data.labels import LabelledPicture
from lib.show.canvas import LINES, PALETTE, ShownFigure, drawing, pixels
from lib.show.figures import PAGE_WIDTH_IN, image_grid, plane_grid
from lib.show.labels import class_colours, colour_labels, draw_labels
from lib.show.panel import captioned

FAR_M = 7.0  # depth that is drawn black
ENLARGED = 2  # of the panel's picture


def room_figure(room: LabelledPicture, num_classes: int) -> ShownFigure:
    """A picture, its labels, both together, and its depth (near is light) where it is known."""
    shown = [room.image, colour_labels(room.labels, num_classes), draw_labels(room.image, room.labels,
             num_classes=num_classes)]  # fmt: skip
    titles = ["picture", "true classes", "both"]
    if room.depth is not None:
        shown.append(1 - (room.depth[0] / FAR_M).clamp(0, 1))
        titles.append(f"depth, black from {FAR_M:g} m on")
    return image_grid(shown, titles, columns=len(shown))


def legend_figure(names: Sequence[str]) -> ShownFigure:
    """Which colour is which class."""
    with drawing(PAGE_WIDTH_IN, 0.5) as figure:
        axes = figure.add_subplot()
        axes.set_axis_off()
        for idx, (name, colour) in enumerate(zip(names, class_colours(len(names)).tolist(), strict=True)):
            axes.scatter([idx], [0], s=120, marker="s", color=[colour], edgecolor="0.3", linewidth=0.6)
            axes.text(idx + 0.08, 0, name, va="center")
        axes.set_xlim(-0.3, len(names) + 0.3)
    return figure


def kernel_figure(kernels: Tensor) -> ShownFigure:
    """Kernels (J, 3, 3) side by side, blue below 0 and yellow above, each with its numbers."""
    columns = min(len(kernels), 8)
    rows = -(-len(kernels) // columns)
    limit = float(kernels.detach().abs().max())
    with drawing(PAGE_WIDTH_IN, 1.5 * rows) as figure:
        cells = figure.subplots(rows, columns, squeeze=False).flatten()
        for idx, axes in enumerate(cells):
            axes.set_xticks([])
            axes.set_yticks([])
            axes.grid(False)
            if idx >= len(kernels):
                axes.set_axis_off()
                continue
            kernel = kernels[idx].detach().cpu()
            axes.imshow(pixels(kernel.double()), cmap="cividis", vmin=-limit, vmax=limit, interpolation="nearest")
            for y, x in ((y, x) for y in range(3) for x in range(3)):
                value = float(kernel[y, x])
                dark = value < limit / 3
                axes.text(x, y, f"{value:.2f}", ha="center", va="center", fontsize=6, color="w" if dark else "k")
            axes.set_title(_kernel_name(idx), fontsize=8)
    return figure


def weight_figure(image: Tensor, kernels: Tensor, *, sigma: float, shown: Sequence[int]) -> ShownFigure:
    """A picture (3, H, W), the weights of some kernels, and the mean over all of them: white joins, black parts."""
    weights = weight_maps(image[None], kernels, sigma=sigma)[0]
    pictures = [image, *(weights[idx] for idx in shown), weights.mean(0)]
    titles = ["picture", *(f"W, {COMPASS[idx]}" for idx in shown), "mean of all"]
    return image_grid(pictures, titles, columns=len(pictures))


def sigma_figure(image: Tensor, kernels: Tensor, sigmas: Sequence[float]) -> ShownFigure:
    """The mean weight map at several sigmas."""
    maps = [weight_maps(image[None], kernels, sigma=sigma)[0].mean(0) for sigma in sigmas]
    return image_grid(maps, [f"sigma {sigma:g}" for sigma in sigmas], columns=len(maps))


def turned(image: Tensor, kernels: Tensor, values: Mapping[str, float]) -> bytes:
    """What one kernel sees, behind the sliders sigma and kernel (0: mean of all), as a JPEG file.

    Picture, the kernel (dark below 0, grey at 0, light above), how strongly the picture answers to it, and the weights.
    """
    sigma, chosen = float(values["sigma"]), int(values["kernel"])
    taken = kernels if chosen == 0 else kernels[chosen - 1 : chosen]
    answers = responses(image, kernels).square().sum(1).sqrt()
    answer = (answers.mean(0) if chosen == 0 else answers[chosen - 1]) / answers.max().clamp_min(1e-9)
    weights = weight_maps(image[None], taken, sigma=sigma)[0].mean(0)
    name = "mean of all kernels" if chosen == 0 else f"kernel {_kernel_name(chosen - 1)}"
    shown = {"picture I": image, name: _tile(taken.mean(0), image.shape[-2])}
    shown |= {"|D * I|, over the largest": answer, f"W, sigma {sigma:g}": weights}
    return captioned({title: picture.cpu() for title, picture in shown.items()}, zoom=ENLARGED)


def _tile(kernel: Tensor, side_px: int) -> Tensor:
    """A kernel (3, 3) as a plane of that side: grey where it is 0."""
    plane = 0.5 + kernel.detach() / (2 * kernel.detach().abs().max().clamp_min(1e-9))
    return F.interpolate(plane[None, None], size=(side_px, side_px), mode="nearest-exact")[0, 0]


def _kernel_name(idx: int) -> str:
    return COMPASS[idx] if idx < len(COMPASS) else str(idx)


def overview_figure(
    image: Tensor, probabilities: Tensor, kernels: Tensor, *, sigma: float, kernel: int, class_idx: int
) -> ShownFigure:
    """The way of the loss at one kernel, as the paper's first figure shows it: picture to weights, scores to response.

    Picture, |D_j * I|, W_j; probability of one class, |D_j * f|, and their product, which is paid.
    """
    chosen = kernels[kernel : kernel + 1]
    on_image = responses(image, chosen)[0].square().sum(0).sqrt()
    on_class = responses(probabilities[class_idx : class_idx + 1], chosen)[0, 0].abs()
    weights = weight_maps(image[None], chosen, sigma=sigma)[0, 0]
    shown = [image, scaled(on_image), weights, probabilities[class_idx], scaled(on_class), scaled(weights * on_class)]
    titles = ["picture I", "|D * I|", "weight W", "probability f", "|D * f|", "W |D * f|"]
    return image_grid(shown, titles, columns=3)


def scaled(plane: Tensor) -> Tensor:
    """A plane (H, W) of at least 0, divided by its largest value."""
    return plane / plane.max().clamp_min(1e-9)


def cost_figure(room: LabelledPicture, probabilities: Tensor, kernels: Tensor, *, sigma: float) -> ShownFigure:
    """A prediction, and what each of its pixels pays with the picture's weights and without any."""
    num_classes = len(probabilities)
    taken = colour_labels(probabilities.argmax(0), num_classes)
    paid = loss_map(probabilities, room.image, kernels, sigma=sigma)
    plain = responses(probabilities, kernels).abs().sum((0, 1))
    top = float(plain.max())
    return image_grid(
        [room.image, taken, plain / top, paid / top],
        ["picture", "prediction", "all differences", "what is paid: W |D * f|"],
        columns=4,
    )


def push_figure(push: Tensor, probabilities: Tensor, class_idx: int, name: str) -> ShownFigure:
    """What the loss does to one class (H, W): yellow gets more of it, blue less; and its probability."""
    return plane_grid(
        [2 * probabilities[class_idx] - 1, push / push.abs().max()],
        [f"probability of {name}, -1 none, 1 sure", f"push on {name}"],
        unit="share of the largest",
        signed=True,
        limit=1.0,
        columns=2,
    )


def predictions_figure(room: LabelledPicture, predictions: Mapping[str, Tensor], *, columns: int = 4) -> ShownFigure:
    """Classes that predictions (C, H, W) take for one picture, and the truth last."""
    num_classes = len(next(iter(predictions.values())))
    shown = [colour_labels(one.argmax(0), num_classes) for one in predictions.values()]
    return image_grid([*shown, colour_labels(room.labels, num_classes)], [*predictions, "truth"], columns=columns)


def segmented_figure(loaded: LoadedNetwork, pictures: Sequence[LabelledPicture]) -> ShownFigure:
    """A row for each picture: picture, its classes by a network that reads RGB, both, truth (void black)."""
    shown: list[Tensor] = []
    titles: list[str] = []
    for one in pictures:
        num_classes = loaded.settings.num_classes
        labels = segment_image(loaded, one.image).labels
        both = draw_labels(one.image, labels, num_classes=num_classes)
        shown += [one.image, colour_labels(labels, num_classes), both, colour_labels(one.labels, num_classes)]
        titles += [one.name, "classes", "both", "truth"]
    return image_grid(shown, titles, columns=4)


def rooms_figure(rooms: Sequence[LabelledPicture], predictions: Mapping[str, Sequence[Tensor]]) -> ShownFigure:
    """A row for each picture: picture, every host's classes, truth."""
    num_classes = len(next(iter(predictions.values()))[0])
    pictures: list[Tensor] = []
    titles: list[str] = []
    for idx, room in enumerate(rooms):
        pictures += [room.image, *(colour_labels(one[idx].argmax(0), num_classes) for one in predictions.values())]
        pictures.append(colour_labels(room.labels, num_classes))
        titles += [room.name, *predictions, "truth"]
    return image_grid(pictures, titles, columns=len(predictions) + 2)


def loss_figure(trainings: Mapping[str, Sequence[Step]]) -> ShownFigure:
    """Softmax loss of every training (left), context and kernel loss where there are any (right), over the steps."""
    with drawing(PAGE_WIDTH_IN, 3.0) as figure:
        left, right = figure.subplots(1, 2)
        for idx, (name, steps) in enumerate(trainings.items()):
            lines = loss_lines(steps)
            left.plot(*lines["softmax"], color=PALETTE[idx], linestyle=LINES[idx], label=name)
            for part, style in (("context", LINES[0]), ("kernel", LINES[1])):
                if any(lines[part][1]):
                    right.plot(*lines[part], color=PALETTE[idx], linestyle=style, label=f"{part} loss")
        left.set_ylabel("softmax loss (nats)")
        right.set_ylabel("added to it")
        for axes in (left, right):
            axes.set_ylim(bottom=0)
            axes.set_xlabel("optimiser step")
            axes.legend()
    return figure
