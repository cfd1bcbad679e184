"""The methods of the comparison by name, each from a case to its enhanced video, and how the networks are trained."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

import torch
from torch import Generator, Tensor

from lib.errors import SpecError
from lib.flow import FlowName
from lib.zero_tig.baselines import clahe, equalise_luma, gamma, gamma_to_mean
from lib.zero_tig.enhance import Enhancer
from lib.zero_tig.model import Enhancement, ZeroIG, ZeroTIG
from lib.zero_tig.scenes import Case
from lib.zero_tig.settings import FINE_TUNING_RATE, Settings
from lib.zero_tig.train import Step, Trainer
from lib.zero_tig.weights import inflate, load_weights
from lib.zero_tig.zero_dce import DCESettings, zero_dce

Kind = Literal["zero_ig", "zero_tig"]
SHIPPED_PAIR = "shipped"  # each kind its own, pre-trained on the same frames
OURS = ("Zero-IG", "Zero-TIG")
DCE_LONGEST_PX = 64  # keeps a step of Zero-DCE on a CPU well below a tenth of a second


@dataclass(frozen=True)
class Recipe:
    """How the zero-shot methods learn from a video.

    settings: of Zero-IG and Zero-TIG, with epochs and learning rate. weights: "shipped" for each one's own, which were
    pre-trained with the same steps on the same frames; else what both start from, a name or file of `load_weights`, ""
    for new networks. dce: of Zero-DCE, which always starts from new networks.
    """

    settings: Settings = field(default_factory=Settings)
    weights: str = SHIPPED_PAIR
    dce: DCESettings = field(default_factory=DCESettings)

    @classmethod
    def fine_tuning(cls, *, epochs: int, weights: str = "", dce_steps: int = 50, **settings: Any) -> Self:
        """The paper's fine-tuning (sec. IV): from trained weights at 1e-4; more settings by name.

        weights: a file, "" for the shipped pair. Choice: flow at full size, since the frames of the embedded clips
        are smaller than the third of full HD that the paper's factor 3 leaves.
        """
        ours = Settings(**{"epochs": epochs, "learning_rate": FINE_TUNING_RATE, "flow_factor": 1} | settings)
        return cls(ours, weights or SHIPPED_PAIR, DCESettings(steps=dce_steps, longest_px=DCE_LONGEST_PX))

    @classmethod
    def paper(cls, *, epochs: int, flow: FlowName) -> Self:
        """Sec. IV on full HD: five epochs at 1e-4, flow at a third of the size; from the shipped pair."""
        return cls(Settings(epochs=epochs, learning_rate=FINE_TUNING_RATE, flow=flow))

    @classmethod
    def single_picture(cls, *, underwater: bool, weights: str = "", steps: int | None = None) -> Self:
        """`Settings.single_picture` from the shipped pair, or from a file; steps: None takes the settings' own."""
        ours = Settings.single_picture(underwater=underwater)
        return cls(ours if steps is None else replace(ours, epochs=steps), weights or SHIPPED_PAIR)

    def under_water(self, underwater: bool) -> "Recipe":
        """The same recipe with the losses of eqs 8 and 9, or without."""
        return replace(self, settings=replace(self.settings, underwater=underwater))


@dataclass(frozen=True)
class Trained:
    """A model that has seen its video, and the steps of its training."""

    model: ZeroIG
    steps: list[Step]


Method = Callable[[Case, Recipe, int], Tensor]


def start_model(kind: Kind, recipe: Recipe, *, seed: int) -> ZeroIG:
    """The model before its video.

    Shipped weights are those of the kind, trained on the same frames. From a file of Zero-IG weights or from new ones
    Zero-TIG starts as the same Zero-IG with zeros for the past. seed: of the initialisation without weights.
    Raises SpecError when Zero-IG is asked for and the file is Zero-TIG's, and what `load_weights` raises.
    """
    if recipe.weights:
        model = load_weights(kind if recipe.weights == SHIPPED_PAIR else recipe.weights, settings=recipe.settings)
    else:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = ZeroIG(recipe.settings)
    if kind == "zero_tig":
        return model if isinstance(model, ZeroTIG) else inflate(model)
    if isinstance(model, ZeroTIG):
        raise SpecError(f"weights {recipe.weights!r} are Zero-TIG's: Zero-IG needs weights without temporal inputs")
    return model


def train_on_case(kind: Kind, case: Case, recipe: Recipe, *, seed: int) -> Trained:
    """A model trained on the case's video as the recipe says; the truth is not looked at."""
    recipe = recipe.under_water(case.underwater)
    model = start_model(kind, recipe, seed=seed).to(case.video.device)
    steps = Trainer(model).fit(case.video, total=len(case.video))
    return Trained(model.eval(), steps)


def play(model: ZeroIG, frames: Iterable[Tensor]) -> Iterator[Enhancement]:
    """Each frame (3, H, W) taken apart, (1, 3, H, W) fields; the state is carried on and dropped at a cut."""
    return map(Enhancer(model), frames)


def reflectances(model: ZeroIG, video: Tensor) -> Tensor:
    """The result R of each frame of a video, (T, 3, H, W)."""
    return torch.cat([found.reflectance for found in play(model, video)])


def _network(kind: Kind) -> Method:
    def enhance(case: Case, recipe: Recipe, seed: int) -> Tensor:
        return reflectances(train_on_case(kind, case, recipe, seed=seed).model, case.video)

    return enhance


def _zero_dce(case: Case, recipe: Recipe, seed: int) -> Tensor:
    return zero_dce(case.video, generator=Generator().manual_seed(seed), settings=recipe.dce)


METHODS: dict[str, Method] = {
    "Zero-TIG": _network("zero_tig"),
    "Zero-IG": _network("zero_ig"),
    "Zero-DCE": _zero_dce,
    "gamma 1/2.2": lambda case, recipe, seed: gamma(case.video),
    "gamma to mean 0.5": lambda case, recipe, seed: gamma_to_mean(case.video),
    "CLAHE": lambda case, recipe, seed: clahe(case.video),
    "histogram equalisation": lambda case, recipe, seed: equalise_luma(case.video),
}
