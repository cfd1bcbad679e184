"""Training of a host with the softmax loss and, where asked for, the contextual regulariser (eq. 8)."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, astuple, dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from lib.context_reg.batches import Batch, Batches, Data, class_weights, read_channels
from lib.context_reg.evaluate import count
from lib.context_reg.networks import NetworkSettings, build_network
from lib.context_reg.objective import Losses, make_optimizer
from lib.context_reg.recipes import TrainingSettings
from lib.context_reg.segnet import recompute_statistics
from lib.errors import DataMissing
from lib.metrics.segmentation import MEAN_IU
from lib.show.progress import progress
from lib.training import SEED_STRIDE, check_finite, check_same_training, make_fabric, read_training, write_training

KIND = "segmentation training"
# may differ between the parts of a training
FREE = ("device", "num_devices", "num_workers", "checkpoint_every")


@dataclass(frozen=True)
class Step:
    """One optimiser step: its number from 1 on, the loss and its parts by name: softmax, context, kernel."""

    number: int
    total: float
    loss_by_name: dict[str, float]


@dataclass(frozen=True)
class Evaluation:
    """Scores in per cent on the validation set after a step."""

    step: int
    score_by_name: dict[str, float]


@dataclass(frozen=True)
class Trained:
    """The trained network in evaluation mode, on the CPU or the training's one device, and how it came about.

    kernels: (J, 3, 3), those learnt, or None without the regulariser. steps: of this call. best: the step whose weights
    the network has.
    """

    network: nn.Module
    network_settings: NetworkSettings
    settings: TrainingSettings
    kernels: Tensor | None
    steps: tuple[Step, ...]
    evaluations: tuple[Evaluation, ...]
    best: int


def train(
    data: Data,
    *,
    network: NetworkSettings,
    settings: TrainingSettings | None = None,
    validation: Data | None = None,
    vgg: str | Path | None = None,
    start: Mapping[str, Tensor] | None = None,
    checkpoint: str | Path | None = None,
) -> Trained:
    """A network trained on labelled pictures; same settings and data, same network.

    validation: pictures that choose the best weights by mean IU every `evaluate_every` steps; without them or with 0
    the last weights stay. vgg: where the first weights come from ("auto", a file, None: He's random numbers).
    start: all weights of the network (its `state_dict`) to go on from, in place of those.
    checkpoint: file that is written every `checkpoint_every` steps, whole or not at all; where it exists, training
    goes on from it to the same result as without the break.
    Raises DataMissing without a picture or where HHA is asked for and missing, ShapeError for labels that don't fit,
    Unavailable for a device or weights that aren't here, Diverged when a loss is not finite.
    """
    settings = settings or TrainingSettings()
    if settings.evaluate_every and validation is None:
        raise DataMissing("evaluate_every asks for a validation set: give validation, or set it to 0")
    fabric = make_fabric(device=settings.device, num_devices=settings.num_devices, precision=settings.precision)
    path = None if checkpoint is None else Path(checkpoint)
    work = partial(
        _run, data=data, network=network, settings=settings, validation=validation, vgg=vgg, start=start,
        checkpoint=path,
    )  # fmt: skip
    return work(fabric) if settings.num_devices == 1 else _launch(fabric, work, network, settings)


def _run(
    fabric: Any,
    *,
    data: Data,
    network: NetworkSettings,
    settings: TrainingSettings,
    validation: Data | None,
    vgg: str | Path | None,
    start: Mapping[str, Tensor] | None,
    checkpoint: Path | None,
) -> Trained:
    trainer = Trainer(data, network=network, settings=settings, validation=validation, vgg=vgg, fabric=fabric)
    if start is not None:
        trainer.network.load_state_dict(start)
    if checkpoint is not None and checkpoint.is_file():
        trainer.resume(checkpoint)
    return trainer.fit(checkpoint)


def _launch(fabric: Any, work: Any, network: NetworkSettings, settings: TrainingSettings) -> Trained:
    """`work` in one process per device; the result comes back as a file, since fabric's queue holds 64 KiB only."""
    with TemporaryDirectory() as folder:
        result = Path(folder) / "result.pt"
        # bound, because fabric looks into arguments and refuses frozen dataclasses there
        fabric.launch(partial(_run_shared, work=work, result=result))
        held = torch.load(result, map_location="cpu", weights_only=True)
    built = build_network(network)
    built.load_state_dict(held["network"])
    steps = tuple(Step(*one) for one in held["steps"])
    evaluations = tuple(Evaluation(*one) for one in held["evaluations"])
    return Trained(built.eval(), network, settings, held["kernels"], steps, evaluations, held["best"])


def _run_shared(fabric: Any, *, work: Any, result: Path) -> None:
    trained = work(fabric)
    if fabric.is_global_zero:
        held = {
            "network": trained.network.state_dict(),
            "kernels": trained.kernels,
            "steps": [astuple(one) for one in trained.steps],
            "evaluations": [astuple(one) for one in trained.evaluations],
            "best": trained.best,
        }
        torch.save(held, result)


class Trainer:
    """Trains a network step by step; `save` and `resume` go on as if nothing had happened."""

    NAMES = ("softmax", "context", "kernel")

    def __init__(
        self,
        data: Data,
        *,
        network: NetworkSettings,
        settings: TrainingSettings,
        fabric: Any,
        validation: Data | None = None,
        vgg: str | Path | None = None,
    ) -> None:
        self.data, self.validation = data, validation
        self.network_settings, self.settings, self.fabric = network, settings, fabric
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(settings.seed)
            # convolutions with few channels over many pixels: faster on a processor, and what tensor cores want
            self.network = build_network(network, vgg=vgg).to(memory_format=torch.channels_last)
        losses = Losses(self.network, network, settings)
        if settings.balance == "median":
            losses.class_weights = class_weights(data, network.num_classes).to(fabric.device)
        self.losses = losses
        module: nn.Module = losses
        if settings.num_devices > 1 and fabric.device.type == "cuda":
            module = nn.SyncBatchNorm.convert_sync_batchnorm(module)
        self.module, self.optimizer = fabric.setup(module, make_optimizer(losses, settings))
        self.num_steps = 0
        self.evaluations: list[Evaluation] = []
        self.best_step, self.best_score = 0, -1.0
        self.best_state: dict[str, Tensor] | None = None

    def fit(self, checkpoint: Path | None = None) -> Trained:
        """The steps that are left, with progress; `checkpoint` is written now and then, and at the end."""
        batches: Iterable[Batch] = self.batches()
        if self.fabric.is_global_zero:
            batches = progress(batches, total=self.settings.num_steps - self.num_steps, label="training steps")
        steps = []
        for batch in batches:
            steps.append(self.step(batch))
            if self._is_due(self.settings.evaluate_every):
                self._evaluate()
            if checkpoint is not None and self._is_due(self.settings.checkpoint_every):
                self.save(checkpoint)
        if self.best_state is not None:
            self.network.load_state_dict(self.best_state)
        recompute_statistics(self.network, self._plain_batches())
        kernels = None if self.losses.regularizer is None else self.losses.regularizer.kernels.detach().clone()
        return Trained(
            self.network.eval(),
            self.network_settings,
            self.settings,
            kernels,
            tuple(steps),
            tuple(self.evaluations),
            self.best_step if self.best_state is not None else self.num_steps,
        )

    def _is_due(self, every: int) -> bool:
        return bool(every) and (self.num_steps % every == 0 or self.num_steps == self.settings.num_steps)

    def batches(self) -> Iterator[Batch]:
        """The batches of the steps that are left."""
        dataset = Batches(
            self.data,
            settings=self.settings,
            channels=self.network_settings.channels,
            num_classes=self.network_settings.num_classes,
            rank=self.fabric.global_rank,
            world=self.fabric.world_size,
            first=self.num_steps,
        )
        # its own generator, because a loader would draw from everybody's
        return iter(
            DataLoader(dataset, batch_size=None, num_workers=self.settings.num_workers, generator=torch.Generator())
        )

    def step(self, batch: Batch) -> Step:
        """One batch: forward and backward in `accumulate` parts, clipped, one step of the optimiser.

        Raises Diverged, with the weights as they were, when the loss or the gradient is not finite.
        """
        settings, number = self.settings, self.num_steps
        self.module.train()
        for group in self.optimizer.param_groups:
            group["lr"] = group["first_rate"] * settings.rate(number)
        if self.losses.regularizer is not None:
            self.losses.regularizer.set_ramp(settings.ramp(number))
        self.optimizer.zero_grad(set_to_none=True)
        parts, sums = settings.accumulate, torch.zeros(len(self.NAMES))
        # dropout from the step's own number: the same after a break
        with torch.random.fork_rng(devices=self._gpus()):
            torch.manual_seed(settings.seed * SEED_STRIDE + number * self.fabric.world_size + self.fabric.global_rank)
            for part in range(parts):
                chosen = slice(part, None, parts)
                with self.fabric.no_backward_sync(self.module, enabled=part < parts - 1):
                    sums += self._backward(batch.images[chosen], batch.labels[chosen])
        loss_by_name = dict(zip(self.NAMES, sums.tolist(), strict=True))
        check_finite(number + 1, loss_by_name, self._clipped(), cure="take a smaller learning_rate or weight")
        self.optimizer.step()
        self.num_steps += 1
        return Step(self.num_steps, sum(loss_by_name.values()), loss_by_name)

    def _backward(self, images: Tensor, labels: Tensor) -> Tensor:
        """Gradients of one part; gives back its share of the three losses, over all devices."""
        device, parts, world = self.fabric.device, self.settings.accumulate, self.fabric.world_size
        losses = self.module(images.to(device), labels.to(device))
        # devices average their gradients; sums over pixels add up, while the kernels' loss is one for all
        of_pixels = world if self.settings.reduction == "sum" else 1 / parts
        shares = losses * losses.new_tensor([of_pixels, of_pixels, 1 / parts])
        self.fabric.backward(shares.sum())
        return self.fabric.all_reduce(shares.detach(), reduce_op="mean").cpu().float()

    def _clipped(self) -> float:
        """Clips the network's gradient and the kernels', each by its own norm; gives back the larger norm."""
        regularizer = self.losses.regularizer
        kernels = [] if regularizer is None else list(regularizer.parameters())
        norms = [
            torch.nn.utils.clip_grad_norm_(list(parameters), limit)
            for parameters, limit in (
                (self.network.parameters(), self.settings.clip_norm),
                (kernels, self.settings.kernel_clip),
            )
        ]
        return max(norm.item() if norm.isfinite() else float("inf") for norm in norms)

    def _gpus(self) -> list[int]:
        return [self.fabric.device.index or 0] if self.fabric.device.type == "cuda" else []

    def _plain_batches(self) -> Iterator[Tensor]:
        """The training pictures as they are, in their order, in batches as large as a training step's parts.

        As large, because a batch normalisation's statistics depend on how many pictures are looked at together.
        """
        pictures: Any = self.data
        size = self.settings.batch_size // (self.settings.accumulate * self.settings.num_devices)
        held: list[Tensor] = []
        for idx in range(len(pictures)):
            image = read_channels(pictures[idx], self.network_settings.channels)
            if held and (len(held) == size or held[0].shape != image.shape):
                yield torch.stack(held).to(self.fabric.device)
                held = []
            held.append(image)
        yield torch.stack(held).to(self.fabric.device)

    def _evaluate(self) -> None:
        """Mean IU and its companions on the validation set; the best weights so far are kept."""
        if self.validation is None:
            return
        meter = count(
            self.network, self.network_settings, self.validation, rank=self.fabric.global_rank,
            world=self.fabric.world_size, details=False,
        )  # fmt: skip
        meter.counts = self.fabric.all_reduce(meter.counts.to(self.fabric.device), reduce_op="sum").cpu()
        scores = meter.scores()
        self.evaluations.append(Evaluation(self.num_steps, scores))
        if scores[MEAN_IU.name] > self.best_score:
            self.best_score, self.best_step = scores[MEAN_IU.name], self.num_steps
            self.best_state = {name: value.detach().clone() for name, value in self.network.state_dict().items()}

    def save(self, path: Path) -> None:
        """Checkpoint of everything that the next step depends on; appears whole or not at all, from one device."""
        if self.fabric.is_global_zero:
            content = {
                "losses": self.losses.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "settings": self._described(),
                "num_steps": self.num_steps,
                "evaluations": [astuple(one) for one in self.evaluations],
                "best": [self.best_step, self.best_score, self.best_state],
            }
            write_training(path, KIND, content)
        self.fabric.barrier()

    def resume(self, path: Path) -> None:
        """Goes on from a checkpoint of `save`, to the same result as without the break.

        Raises DataMissing for an unreadable file, SpecError for a checkpoint of another training or something else.
        """
        held = read_training(path, KIND, device=self.fabric.device)
        check_same_training(held["settings"], self._described(), free=FREE, path=path)
        self.losses.load_state_dict(held["losses"])
        self.optimizer.load_state_dict(held["optimizer"])
        self.num_steps = held["num_steps"]
        self.evaluations = [Evaluation(*one) for one in held["evaluations"]]
        self.best_step, self.best_score, self.best_state = held["best"]

    def _described(self) -> dict[str, Any]:
        pictures: Any = self.data
        return {**asdict(self.settings), **asdict(self.network_settings), "num_pictures": len(pictures)}
