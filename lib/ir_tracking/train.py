"""Training of the Siamese network on pairs (sec. 3): SGD with a learning rate that falls on a logarithmic scale."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, astuple, dataclass, field, replace
from functools import partial
from pathlib import Path
from pickle import UnpicklingError
from tempfile import TemporaryDirectory
from typing import Any, Literal, Self, get_args

import torch
from torch.utils.data import DataLoader, Dataset

from lib.data.atomic import appears_whole
from lib.errors import DataMissing, LabError, SpecError, Unavailable
from lib.ir_tracking.losses import BatchTargets, BoxLoss, region_loss
from lib.ir_tracking.network import RegionMaps, SiameseNetwork
from lib.ir_tracking.network_settings import NetworkSettings
from lib.ir_tracking.pairs import Batch, PairMaker, PairSettings, TargetSequence
from lib.ir_tracking.settings import FilterSettings
from lib.show.progress import progress

Precision = Literal["full", "bf16"]
# how fabric calls them
FABRIC_PRECISION: dict[Precision, Literal["32-true", "bf16-mixed"]] = {"full": "32-true", "bf16": "bf16-mixed"}
KIND = "SiameseNetwork training"
# may differ between the parts of a training; the log schedule knows how long it lasts
FREE = ("device", "num_devices", "num_workers", "checkpoint_every")
SEED_STRIDE = 1_000_003


class Diverged(LabError):
    """A loss or a gradient is no longer finite; the message has the step, the total and its parts."""


@dataclass(frozen=True)
class TrainingSettings:
    """How long, how fast, on what. Defaults: the paper's where it speaks, else SiamRPN's."""

    num_steps: int = 1000  # sec. 3: at most 1000 iterations
    batch_size: int = 32  # pairs, over all devices. Choice: SiamRPN's 128 is for eight GPUs
    accumulate: int = 1  # parts that a batch is computed in, one after the other
    learning_rates: tuple[float, float] = (0.05, 1e-4)  # sec. 3, first to last. Choice: falls along a logarithm
    warm_up: int = 50  # steps from a tenth of the first rate. Choice
    momentum: float = 0.9  # SiamRPN
    weight_decay: float = 1e-4  # SiamRPN
    clip_norm: float = 10.0  # SiamRPN
    box_loss: BoxLoss = "smooth_l1"
    pairs: PairSettings = field(default_factory=PairSettings)
    filter: FilterSettings = field(default_factory=FilterSettings)

    seed: int = 0  # of the first weights and of every pair
    precision: Precision = "full"  # "bf16": the network in 16 bits where that is safe, losses in float32
    device: str = "auto"
    num_devices: int = 1  # above 1: the same training shared out, with distributed data parallel
    num_workers: int = 0  # processes that cut pairs ahead
    checkpoint_every: int = 100  # steps

    def __post_init__(self) -> None:
        if self.precision not in get_args(Precision):
            raise SpecError(f"precision must be one of {', '.join(get_args(Precision))}: got {self.precision!r}")
        if self.box_loss not in get_args(BoxLoss):
            raise SpecError(f"box_loss must be one of {', '.join(get_args(BoxLoss))}: got {self.box_loss!r}")
        lowest = {"num_steps": 0, "batch_size": 1, "accumulate": 1, "warm_up": 0, "num_devices": 1}
        for name, low in {**lowest, "num_workers": 0, "checkpoint_every": 1}.items():
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < low:
                raise SpecError(f"{name} must be a whole number of at least {low}: got {value!r}")
        first, last = self.learning_rates
        if not 0 < last <= first < math.inf:
            raise SpecError(f"learning_rates must fall from one above 0 to another: got {self.learning_rates!r}")
        if not 0 < self.clip_norm < math.inf:
            raise SpecError(f"clip_norm must be above 0 and finite: got {self.clip_norm!r}")
        if self.batch_size % (self.num_devices * self.accumulate):
            raise SpecError(
                f"batch_size must be a multiple of num_devices x accumulate, {self.num_devices * self.accumulate}: "
                f"got {self.batch_size}"
            )

    @classmethod
    def paper(cls) -> Self:
        """Sec. 3: 1000 iterations, 0.05 to 0.0001; SiamRPN's batches of 128 on one GPU."""
        return cls(batch_size=128, device="cuda", precision="bf16", num_workers=8)

    def but(self, **changes: Any) -> Self:
        """The same with some fields changed."""
        return replace(self, **changes)

    def rate(self, step: int) -> float:
        """Learning rate of a step, 0-based."""
        first, last = self.learning_rates
        if step < self.warm_up:
            return first * (0.1 + 0.9 * step / self.warm_up)
        share = (step - self.warm_up) / max(self.num_steps - 1 - self.warm_up, 1)
        return first * (last / first) ** share


@dataclass(frozen=True)
class Step:
    """One optimiser step: its number from 1 on, the loss and its parts by name."""

    number: int
    total: float
    loss_by_name: dict[str, float]


@dataclass(frozen=True)
class Trained:
    """The trained network in evaluation mode, on the CPU or the training's one device, and the steps of this call."""

    network: SiameseNetwork
    steps: tuple[Step, ...]
    settings: TrainingSettings


def train(
    sequences: Sequence[TargetSequence],
    *,
    network: NetworkSettings,
    settings: TrainingSettings | None = None,
    frames: Sequence[Sequence[int]] | None = None,
    checkpoint: str | Path | None = None,
) -> Trained:
    """A network trained on pairs of these sequences; same settings and sequences, same network.

    frames: for each sequence the numbers of the frames that may teach, such as `Split.train`; None: all.
    checkpoint: file that is written every `checkpoint_every` steps, whole or not at all; where it exists, training
    goes on from it to the same result as without the break.
    Raises DataMissing where nothing can teach, Unavailable for a device that isn't here, Diverged when a loss is not
    finite.
    """
    settings = settings or TrainingSettings()
    maker = PairMaker(
        sequences, network=network, settings=settings.pairs, filter_settings=settings.filter, frames=frames
    )
    path = None if checkpoint is None else Path(checkpoint)
    fabric = make_fabric(settings)
    if settings.num_devices > 1:
        return _launch(fabric, maker, settings, path)
    return _run(fabric, maker, settings, path)


def make_fabric(settings: TrainingSettings) -> Any:
    """lightning-fabric's handle on devices, precision and data parallelism; several devices share a launch."""
    from lightning_fabric import Fabric

    import lib

    device = lib.device(settings.device)
    if device.type == "cuda" and torch.cuda.device_count() < settings.num_devices:
        raise Unavailable(f"{settings.num_devices} GPUs are not on this machine: it has {torch.cuda.device_count()}")
    return Fabric(
        accelerator=device.type,
        devices=settings.num_devices if device.index is None else [device.index],
        strategy="ddp_spawn" if settings.num_devices > 1 else "auto",
        precision=FABRIC_PRECISION[settings.precision],
    )


def _run(fabric: Any, maker: PairMaker, settings: TrainingSettings, checkpoint: Path | None) -> Trained:
    trainer = Trainer(maker, settings=settings, fabric=fabric)
    if checkpoint is not None and checkpoint.is_file():
        trainer.resume(checkpoint)
    steps = trainer.fit(checkpoint)
    return Trained(trainer.network.eval(), tuple(steps), settings)


def _launch(fabric: Any, maker: PairMaker, settings: TrainingSettings, checkpoint: Path | None) -> Trained:
    """`_run` in one process per device; the result comes back as a file, since fabric's queue holds 64 KiB only."""
    with TemporaryDirectory() as folder:
        result = Path(folder) / "result.pt"
        # bound, because fabric looks into arguments and refuses frozen dataclasses there
        fabric.launch(partial(_run_shared, maker=maker, settings=settings, checkpoint=checkpoint, result=result))
        held = torch.load(result, map_location="cpu", weights_only=True)
    network = SiameseNetwork(maker.network)
    network.load_state_dict(held["network"])
    return Trained(network.eval(), tuple(Step(*one) for one in held["steps"]), settings)


def _run_shared(
    fabric: Any, *, maker: PairMaker, settings: TrainingSettings, checkpoint: Path | None, result: Path
) -> None:
    trained = _run(fabric, maker, settings, checkpoint)
    if fabric.is_global_zero:
        torch.save({"network": trained.network.state_dict(), "steps": [astuple(one) for one in trained.steps]}, result)


class _Batches(Dataset[Batch]):
    """This device's part of each step's batch; every pair follows from the seed, the step and its number alone."""

    def __init__(self, maker: PairMaker, settings: TrainingSettings, *, rank: int, world: int, first: int) -> None:
        self.maker, self.settings = maker, settings
        self.rank, self.world, self.first = rank, world, first

    def __len__(self) -> int:
        return self.settings.num_steps - self.first

    def __getitem__(self, idx: int) -> Batch:
        if idx >= len(self):
            raise IndexError(idx)
        start = (self.first + idx) * self.settings.batch_size
        numbers = range(start + self.rank, start + self.settings.batch_size, self.world)
        return self.maker.batch([self.settings.seed * SEED_STRIDE + number for number in numbers])


class Trainer:
    """Trains a network step by step; `save` and `resume` go on as if nothing had happened."""

    def __init__(self, maker: PairMaker, *, settings: TrainingSettings, fabric: Any) -> None:
        self.maker, self.settings, self.fabric = maker, settings, fabric
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(settings.seed)
            # 1.4 times as fast on a processor, and what tensor cores want
            self.network = SiameseNetwork(maker.network).to(memory_format=torch.channels_last)
        module: Any = self.network
        if settings.num_devices > 1 and fabric.device.type == "cuda":
            module = torch.nn.SyncBatchNorm.convert_sync_batchnorm(module)
        optimizer = torch.optim.SGD(
            module.parameters(),
            lr=settings.learning_rates[0],
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
        )
        self.module, self.optimizer = fabric.setup(module, optimizer)
        self.module.train()
        self.num_steps = 0

    def fit(self, checkpoint: Path | None = None) -> list[Step]:
        """The steps that are left, with progress; `checkpoint` is written now and then, and at the end."""
        left = self.settings.num_steps - self.num_steps
        batches: Iterable[Batch] = self.batches()
        if self.fabric.is_global_zero:
            batches = progress(batches, total=left, label="training steps")
        steps = []
        for batch in batches:
            steps.append(self.step(batch))
            if checkpoint is not None and self._is_due():
                self.save(checkpoint)
        return steps

    def _is_due(self) -> bool:
        return self.num_steps % self.settings.checkpoint_every == 0 or self.num_steps == self.settings.num_steps

    def batches(self) -> Iterator[Batch]:
        """The batches of the steps that are left."""
        dataset = _Batches(
            self.maker,
            self.settings,
            rank=self.fabric.global_rank,
            world=self.fabric.world_size,
            first=self.num_steps,
        )
        # its own generator, because a loader would draw from everybody's
        loader = DataLoader(
            dataset, batch_size=None, num_workers=self.settings.num_workers, generator=torch.Generator()
        )
        return iter(loader)

    def step(self, batch: Batch) -> Step:
        """One batch: forward and backward in `accumulate` parts, clipped, SGD.

        Raises Diverged, with the weights as they were, when the loss or the gradient is not finite.
        """
        rate = self.settings.rate(self.num_steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        parts = self.settings.accumulate
        sums: dict[str, float] = {}
        for idx in range(parts):
            piece = _piece(batch, idx, parts)
            with self.fabric.no_backward_sync(self.module, enabled=idx < parts - 1):
                values = self._backward(piece, share=1 / parts)
            sums = {name: sums.get(name, 0.0) + value for name, value in values.items()}
        norm = torch.nn.utils.clip_grad_norm_(self.module.parameters(), self.settings.clip_norm).item()
        self._check(sums, norm)
        self.optimizer.step()
        self.num_steps += 1
        return Step(self.num_steps, sum(sums.values()), sums)

    def _backward(self, piece: Batch, *, share: float) -> dict[str, float]:
        device = self.fabric.device
        maps = self.module(piece.templates.to(device), piece.searches.to(device))
        targets = BatchTargets(*(getattr(piece.targets, name).to(device) for name in ("classes", "offsets", "weights")))
        in_full = RegionMaps(maps.classes.float(), None if maps.offsets is None else maps.offsets.float())
        losses = {
            name: value * share
            for name, value in region_loss(in_full, targets, box_loss=self.settings.box_loss).items()
        }
        self.fabric.backward(torch.stack(list(losses.values())).sum())
        means = self.fabric.all_reduce(torch.stack(list(losses.values())).detach(), reduce_op="mean")
        return dict(zip(losses, means.tolist(), strict=True))

    def _check(self, values: dict[str, float], norm: float) -> None:
        total = sum(values.values())
        if math.isfinite(total) and math.isfinite(norm):
            return
        listed = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
        raise Diverged(
            f"training stopped at step {self.num_steps + 1}: total loss {total:.4g}, gradient norm {norm:.4g} "
            f"({listed}); the weights are as after the step before; take smaller learning_rates"
        )

    def save(self, path: Path) -> None:
        """Checkpoint of everything that the next step depends on; appears whole or not at all, from one device."""
        if self.fabric.is_global_zero:
            held = {
                "kind": KIND,
                "network": self.network.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "settings": asdict(self.settings),
                "network_settings": asdict(self.maker.network),
                "num_steps": self.num_steps,
            }
            with appears_whole(path) as part:
                torch.save(held, part)
        self.fabric.barrier()

    def resume(self, path: Path) -> None:
        """Goes on from a checkpoint of `save`, to the same result as without the break.

        Raises DataMissing for an unreadable file, SpecError for a checkpoint of another training or something else.
        """
        try:
            held = torch.load(path, map_location=self.fabric.device, weights_only=True)
        except (OSError, RuntimeError, ValueError, EOFError, UnpicklingError) as error:
            raise DataMissing(f"{path} is no readable training checkpoint: give a file that train wrote") from error
        if not isinstance(held, dict) or held.get("kind") != KIND:
            raise SpecError(f"{path} must be a training checkpoint of a SiameseNetwork: it holds something else")
        now = {**asdict(self.maker.network), **asdict(self.settings)}
        then = {**held["network_settings"], **held["settings"]}
        differ = [
            f"{name} {then.get(name)!r}, not {value!r}"
            for name, value in now.items()
            if name not in FREE and then.get(name) != value
        ]
        if differ:
            raise SpecError(
                f"{path} is of another training: it has {'; '.join(differ)}; give another file or the same settings"
            )
        self.network.load_state_dict(held["network"])
        self.optimizer.load_state_dict(held["optimizer"])
        self.num_steps = held["num_steps"]


def _piece(batch: Batch, idx: int, parts: int) -> Batch:
    """Each `parts`-th pair."""
    chosen = slice(idx, None, parts)
    targets = batch.targets
    return Batch(
        batch.templates[chosen],
        batch.searches[chosen],
        BatchTargets(targets.classes[chosen], targets.offsets[chosen], targets.weights[chosen]),
    )
