"""What a step of the training minimises (eq. 8), and by which steps: losses of a batch, groups of the optimiser."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib.context_reg.networks import NetworkSettings
from lib.context_reg.recipes import TrainingSettings
from lib.context_reg.regularization import ContextualRegularization
from lib.context_reg.weak_labels import OPEN
from lib.data.labels import VOID
from lib.errors import SpecError

LOW_LAYERS = {"fcn32s": "conv1_2", "segnet": "enc1_2"}  # sec. 3.2: the second convolution


class Losses(nn.Module):
    """Network and regulariser together: pictures and labels to the parts of the loss, for one backward pass.

    class_weights: (num_classes,) of the softmax loss, or None.
    """

    def __init__(self, network: nn.Module, host: NetworkSettings, settings: TrainingSettings) -> None:
        super().__init__()
        self.network, self.host, self.reduction = network, host, settings.reduction
        self.class_weights: Tensor | None = None
        chosen = settings.regularization
        self.regularizer = None if chosen is None else ContextualRegularization(chosen)
        self._low: Tensor | None = None
        if chosen is not None and chosen.guide == "features":
            if host.host not in LOW_LAYERS or host.channels == "rgb+hha":
                raise SpecError(
                    f"weights from a lower layer are for {' and '.join(LOW_LAYERS)} with one input: "
                    f"got {host.host} with {host.channels}; take guide image"
                )
            network.get_submodule(LOW_LAYERS[host.host]).register_forward_hook(self._keep_low)

    def _keep_low(self, _module: nn.Module, _inputs: Any, maps: Tensor) -> None:
        self._low = maps

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """(3,) softmax loss, context loss, kernel loss; the last two 0 without the regulariser.

        Void pixels (255) count for neither loss, open ones (`OPEN`) for the context loss alone.
        Where the softmax loss is not finite the others are not computed, so that the step's check names it.
        """
        scores = self.network(images).float()
        void = labels == VOID
        known = labels.masked_fill(labels == OPEN, VOID)
        softmax = F.cross_entropy(scores, known, self.class_weights, ignore_index=VOID, reduction="sum")
        if self.reduction == "mean":
            softmax = softmax / (known != VOID).sum().clamp_min(1)
        if self.regularizer is None or not bool(softmax.isfinite()):
            return torch.stack([softmax, softmax.new_zeros(()), softmax.new_zeros(())])
        # Choice: with RGB and HHA the picture guides
        guide = images[:, :3] if self._low is None else self._low
        terms = self.regularizer(scores.softmax(dim=1), guide, ignore=void)
        self._low = None
        return torch.stack([softmax, terms.context, terms.kernel])


def make_optimizer(losses: Losses, settings: TrainingSettings) -> torch.optim.Optimizer:
    """The optimiser with three groups: weights, which decay; biases and normalisations; the regulariser's kernels."""
    decaying: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for layer in losses.network.modules():
        for name, parameter in layer.named_parameters(recurse=False):
            is_weight = name == "weight" and isinstance(layer, nn.Conv2d)
            (decaying if is_weight else others).append(parameter)
    groups: list[dict[str, Any]] = [
        {"params": decaying, "lr": settings.learning_rate, "weight_decay": settings.weight_decay},
        {"params": others, "lr": settings.learning_rate * settings.bias_rate, "weight_decay": 0.0},
    ]
    kernels = (
        [] if losses.regularizer is None else [one for one in losses.regularizer.parameters() if one.requires_grad]
    )
    if kernels:
        groups.append({"params": kernels, "lr": settings.kernel_rate, "weight_decay": 0.0})
    for group in groups:
        group["first_rate"] = group["lr"]
    if settings.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=settings.learning_rate, momentum=settings.momentum)
    return torch.optim.AdamW(groups, lr=settings.learning_rate)
