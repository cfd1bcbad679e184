"""What the walkthrough looks at: weights, where the loss lies, what its gradients push, and what kernels learn."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from lib.context_reg.context_loss import context_loss, weight_maps
from lib.context_reg.directional import initial_kernels, kernel_loss
from lib.context_reg.networks import Host, NetworkSettings
from lib.context_reg.recipes import TrainingSettings
from lib.context_reg.regularization import ContextualRegularization
from lib.context_reg.settings import KernelLoss, RegularizationSettings
from lib.context_reg.train import Step, Trained, count
from lib.data.labels import LabelledPicture
from lib.metrics.segmentation import (
    BOUNDARY_F,
    FW_IU,
    MEAN_IU,
    PIXEL_ACCURACY,
    SMALL_OBJECT_IU,
    SegmentationMeter,
)
from lib.show.panel import Slider
from lib.show.scores import Finding
from lib.show.tables import Table, table

MEASURES = {measure.name: measure for measure in (PIXEL_ACCURACY, MEAN_IU, FW_IU, BOUNDARY_F, SMALL_OBJECT_IU)}
COMPASS = ("north-west", "north", "north-east", "west", "east", "south-west", "south", "south-east")
CONFIDENCE = 0.9  # of the class that a rough prediction takes for true
BLOB_PX = 5  # side of the squares that it takes for another class
SMOOTHING_STEPS = 5  # over which the curves of the losses are averaged
NO_EDGES = 1e6  # a sigma at which every weight is 1


def telling_room(rooms: Sequence[LabelledPicture]) -> LabelledPicture:
    """The room in which the classes are spread most evenly (largest entropy of their shares)."""

    def entropy(room: LabelledPicture) -> float:
        counts = room.labels.unique(return_counts=True)[1]
        shares = counts.double() / counts.sum()
        return float(-(shares * shares.log()).sum())

    return max(rooms, key=entropy)


def responses(planes: Tensor, kernels: Tensor) -> Tensor:
    """D_j * planes (J, C, H, W) of planes (C, H, W): the plain form, for looking; borders are replicated."""
    padded = F.pad(planes[:, None], (1, 1, 1, 1), mode="replicate")
    return F.conv2d(padded, kernels.to(planes)[:, None]).transpose(0, 1)


def loss_map(probabilities: Tensor, image: Tensor, kernels: Tensor, *, sigma: float) -> Tensor:
    """What each pixel pays: (H, W), the sum over kernels and classes of W_j |D_j * f|, eq. 7 with lambda 1.

    probabilities: (C, H, W). image: (3, H, W), 0..1. kernels: (J, 3, 3).
    """
    weights = weight_maps(image[None], kernels, sigma=sigma)[0]
    return (weights * responses(probabilities, kernels).abs().sum(1)).sum(0)


def rough_prediction(labels: Tensor, num_classes: int, *, num_blobs: int, seed: int) -> Tensor:
    """Probabilities (C, H, W) as of a network that is mostly right: the truth (H, W) with squares of wrong classes.

    The class that it takes has probability 0.9, the others share the rest.
    """
    generator = Generator().manual_seed(seed)
    taken = labels.clone()
    height, width = labels.shape
    for _ in range(num_blobs):
        draws = torch.rand(3, generator=generator)
        top, left = int(draws[0] * (height - BLOB_PX)), int(draws[1] * (width - BLOB_PX))
        taken[top : top + BLOB_PX, left : left + BLOB_PX] = int(draws[2] * num_classes)
    others = (1 - CONFIDENCE) / (num_classes - 1)
    return torch.full((num_classes, height, width), others).scatter_(0, taken[None], CONFIDENCE)


def push_on(probabilities: Tensor, image: Tensor, class_idx: int, *, sigma: float) -> Tensor:
    """What the context loss does to one class, (H, W): minus its gradient, so that plus means: more of it here."""
    kernels = initial_kernels("differences").to(probabilities)
    free = probabilities[None].clone().requires_grad_()
    context_loss(free, image[None], kernels, kernels, sigma=sigma).backward()
    assert free.grad is not None
    return -free.grad[0, class_idx]


def prediction_scores(probabilities: Tensor, truth: Tensor) -> dict[str, float]:
    """Scores in per cent by measure name of a prediction (C, H, W) for one picture's labels (H, W)."""
    meter = SegmentationMeter(len(probabilities))
    meter.add(probabilities.argmax(0), truth)
    return meter.scores()


def scaling_table(image: Tensor, kernels: Tensor, *, sigma: float) -> Table:
    """How much the weights see if the picture comes in another scale: mean weight and share above one half."""
    means = image.new_tensor((0.485, 0.456, 0.406)).view(3, 1, 1)
    scaled = {"within 0..1": image, "8-bit, mean taken away": 255 * (image - means), "within 0..1, halved": image / 2}
    rows: list[list[object]] = []
    for name, picture in scaled.items():
        weights = weight_maps(picture[None], kernels, sigma=sigma)
        rows.append([name, float(weights.mean()), 100 * float((weights > 0.5).float().mean())])
    return table(rows, ["picture", "mean weight", "weights above one half (%)"], digits=2)


def norm_lines() -> dict[str, tuple[list[float], list[float]]]:
    """Eq. 9 of one difference kernel over its squared norm s, as printed and as recommended, alpha = beta = 1000."""
    base = initial_kernels("differences", num_kernels=1)
    settings = RegularizationSettings()
    lines: dict[str, tuple[list[float], list[float]]] = {}
    forms: tuple[KernelLoss, ...] = ("printed", "recommended")
    for form in forms:
        energies = [step / 40 for step in range(61)]
        values = [
            float(
                kernel_loss(
                    base * math.sqrt(s), form=form, norm_weight=settings.norm_weight, sum_weight=settings.sum_weight
                )
            )
            for s in energies
        ]
        lines[form] = (energies, values)
    return lines


def size_table(probabilities: Mapping[str, Tensor], image: Tensor, truth: Tensor) -> Table:
    """Softmax loss and context loss at the paper's lambda of 100, both as means over the pixels."""
    regularizer = ContextualRegularization(RegularizationSettings(learn_kernels=False))
    rows: list[list[object]] = []
    for name, one in probabilities.items():
        softmax = F.nll_loss(one[None].log(), truth[None])
        context = regularizer(one[None], image[None]).context
        rows.append([name, float(softmax), float(context), float(context / softmax)])
    columns = ["prediction", "softmax loss (nats)", "context loss, lambda 100", "context / softmax"]
    return table(rows, columns, digits=2)


def sigma_sliders(settings: RegularizationSettings, num_kernels: int) -> list[Slider]:
    """Sigma, and which kernel's weights are shown, 0 for the mean of all."""
    return [
        Slider("sigma", "sigma", 0.05, 1.0, settings.sigma, step=0.05),
        Slider("kernel", "kernel", 0, num_kernels, 0),
    ]


def training_for(
    regularization: RegularizationSettings | None, *, num_steps: int, seed: int, device: str
) -> TrainingSettings:
    """How the page trains: AdamW, small batches, pictures flipped; lambda rises over the first half."""
    return TrainingSettings(
        num_steps=num_steps,
        batch_size=4,
        learning_rate=5e-3,
        regularization=regularization,
        ramp_steps=max(1, num_steps // 2) if regularization else 0,
        kernel_rate=3e-3,
        scale=(1.0, 1.0),
        checkpoint_every=num_steps,
        seed=seed,
        device=device,
    )


def network_for(host: Host, names: Sequence[str], width: int) -> NetworkSettings:
    """A host with `width` channels in its first block for these classes; reads RGB."""
    return NetworkSettings(host, len(names), width, class_names=tuple(names))


def predict(trained: Trained, image: Tensor) -> Tensor:
    """Probabilities (C, H, W) of a trained host for a picture (3, H, W)."""
    device = next(trained.network.parameters()).device
    with torch.no_grad():
        scores: Tensor = trained.network(image[None].to(device))
    return scores[0].softmax(0).cpu()


def unevenness(probabilities: Tensor) -> float:
    """Mean over pixels of the differences of neighbouring probabilities (C, H, W), whatever the picture says."""
    return float(responses(probabilities, initial_kernels("differences")).abs().sum((0, 1)).mean())


def loss_lines(steps: Sequence[Step]) -> dict[str, tuple[list[float], list[float]]]:
    """Parts of the loss over the steps, each a mean over some of them: name -> (step numbers, values)."""
    chunks = [steps[at : at + SMOOTHING_STEPS] for at in range(0, len(steps), SMOOTHING_STEPS)]
    numbers = [fmean(step.number for step in chunk) for chunk in chunks]
    return {
        name: (numbers, [fmean(step.loss_by_name[name] for step in chunk) for chunk in chunks])
        for name in ("softmax", "context", "kernel")
    }


def kernel_table(kernels: Tensor) -> Table:
    """Norm and sum of each kernel (J, 3, 3), and how far it has turned from its start, degrees."""
    start = initial_kernels("differences", num_kernels=len(kernels)).to(kernels)
    cosines = F.cosine_similarity(kernels.flatten(1), start.flatten(1)).clamp(-1, 1)
    rows: list[list[object]] = [
        [name, float(kernel.norm()), float(kernel.sum()), math.degrees(math.acos(float(cosine)))]
        for name, kernel, cosine in zip(COMPASS, kernels, cosines, strict=True)
    ]
    return table(rows, ["kernel, towards", "norm", "sum", "turned by (degrees)"], digits=2)


@dataclass(frozen=True)
class Scored:
    """Scores in per cent of trained hosts on pictures that they have not seen, by host, then by measure."""

    score_by_name: dict[str, dict[str, float]]

    def as_table(self, caption: str) -> Table:
        """One row a host."""
        rows = [[name, *(scores[measure] for measure in MEASURES)] for name, scores in self.score_by_name.items()]
        return table(rows, ["", *(f"{name} (%)" for name in MEASURES)], digits=1, caption=caption)

    def findings(self) -> list[Finding]:
        """For the record; the protocol says that the rooms are simulated and that one short training is no result."""
        found = []
        for name, scores in self.score_by_name.items():
            for measure in MEASURES.values():
                marked = replace(measure, protocol=f"{measure.protocol}; simulated rooms, one short training")
                found.append(Finding(name, marked, scores[measure.name]))
        return found


def score_hosts(hosts: Mapping[str, Trained], test: Sequence[LabelledPicture]) -> Scored:
    """Every trained host on the same test pictures."""
    return Scored({name: count(one.network, one.network_settings, test).scores() for name, one in hosts.items()})
