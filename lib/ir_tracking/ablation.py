"""What each choice of the method is worth: scanner, filter, network, tracking, one thing changed at a time."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Generator, Tensor, nn

from lib.errors import SpecError
from lib.ir_tracking.evaluate import SHORT_BY_NAME, Case, SimulatedSet, run_tracker, score_run, simulated_cases
from lib.ir_tracking.measures import DIGITS, MEASURES, SNR_NAMES, snr_values, suppressions, tracking_values
from lib.ir_tracking.network import RegionMaps, SiameseNetwork
from lib.ir_tracking.network_settings import NetworkSettings
from lib.ir_tracking.settings import FilterSettings
from lib.ir_tracking.simulator import TargetScan
from lib.ir_tracking.tracker import Tracker
from lib.ir_tracking.tracker_settings import TrackerSettings
from lib.ir_tracking.weights import SHIPPED, load_network
from lib.show import sweeps
from lib.show.canvas import ShownFigure
from lib.show.progress import progress
from lib.show.sweeps import Axis, Sweep, axis_of, numbers
from lib.show.tables import Table

ABLATION_NAMES = ("precision_3", "aor", "centre_error")
SHORT = "ir_siamese_short"
NEVER = -1e4  # logit of a proposal that is ruled out
Choices = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Variant:
    """One way to scan and to track.

    scans: the sequences. anchors: numbers of the anchors whose proposals count (in the order of `anchor_kinds`); empty:
    all. The network is not trained anew for fewer.
    """

    scans: SimulatedSet = field(default_factory=SimulatedSet)
    tracker: TrackerSettings = field(default_factory=TrackerSettings)
    weights: str = SHIPPED
    anchors: tuple[int, ...] = ()

    def but(self, **changes: Any) -> "Variant":
        """The same with some fields changed."""
        return replace(self, **changes)


def scan_axis(base: Variant, oversamplings: Sequence[tuple[int, int]]) -> Axis[Variant]:
    """Samples a pitch along and across the scan, at the same contrast in the frame and the same paths in pixels."""
    settings = base.scans.settings
    factors = dict.fromkeys([settings.oversampling, *oversamplings])
    choices = {
        f"{along} x {across}": {"scans": base.scans.but(settings=replace(settings, oversampling=(along, across)))}
        for along, across in sorted(factors)
    }
    return axis_of("oversampling", base, choices)


def filter_axes(base: Variant, lengths: Sequence[int]) -> dict[str, Axis[Variant]]:
    """Choices of eqs 2 to 4, by name: length and number of the lines, side of the square."""
    own = base.tracker.filter
    axes = [
        _filter_axis("line length", base, numbers("line_length_px", sorted({*lengths, own.line_length_px}), " px")),
        _filter_axis("directions", base, numbers("directions", (4, 8))),
        _filter_axis("square", base, numbers("opening_px", (1, 2, 3), " px")),
    ]
    return {axis.name: axis for axis in axes}


def network_axis(scans: SimulatedSet) -> Axis[Variant]:
    """Ours after 300 steps of training, and ours without each part, trained as briefly."""
    base = Variant(scans, weights=SHORT)
    return axis_of("parts", base, {name: {"weights": weights} for name, weights in SHORT_BY_NAME.items()})


def anchor_axis(base: Variant) -> Axis[Variant]:
    """Which proposals may be chosen: all, those of the small anchors, of one small square, of the large anchors."""
    settings = load_network(base.weights).settings
    kinds = anchor_kinds(settings)
    small, large = min(settings.scales), max(settings.scales)
    choices: dict[str, dict[str, Any]] = {
        f"all {len(kinds)}": {},
        f"{len(settings.ratios)} small": {"anchors": _those(kinds, scale=small)},
        "1 small square": {"anchors": _those(kinds, scale=small, ratio=1)},
    }
    if large != small:
        choices[f"{len(settings.ratios)} large"] = {"anchors": _those(kinds, scale=large)}
    return axis_of("anchors", base, choices)


def tracking_axes(base: Variant) -> dict[str, Axis[Variant]]:
    """What happens around the network, by name; none of it is in the paper."""
    own = base.tracker
    switches: dict[str, Choices] = {
        "motion prior": {"on": {}, "off": {"motion_prior": False}},
        "centring": {"on": {}, "off": {"refine_below_px": 0.0}},
        "search after loss": {"on": {}, "off": {"lost_after": 0}},
        "window": numbers("window_influence", (0.0, 0.2, own.window_influence, 0.6)),
    }
    axes = [
        axis_of(name, base, {label: {"tracker": own.but(**change)} for label, change in choices.items()})
        for name, choices in switches.items()
    ]
    as_published: Choices = {
        "ours": {},
        "SiamRPN's, boxes from 2 px": {"tracker": _published(own, min_box_px=own.min_box_px)},
        "SiamRPN's": {"tracker": _published(own)},
    }
    axes.append(axis_of("tracking", base, as_published))
    return {axis.name: axis for axis in axes}


def anchor_kinds(settings: NetworkSettings) -> list[tuple[float, float]]:
    """Ratio and scale of each of the m anchors, in the order of the network's maps."""
    return [(ratio, scale) for ratio in settings.ratios for scale in settings.scales]


class SomeAnchors(nn.Module):
    """A trained network whose proposals of all but some anchors are ruled out; behind the same methods."""

    def __init__(self, network: SiameseNetwork, anchors: Sequence[int]) -> None:
        super().__init__()
        self.network, self.settings = network, network.settings
        num = network.settings.num_anchors
        if not anchors or not set(anchors) <= set(range(num)):
            raise SpecError(f"anchors must be some numbers within 0..{num - 1}: got {list(anchors)}")
        self.ruled_out = sorted(set(range(num)) - set(anchors))

    def folded(self) -> "SomeAnchors":
        """The same with the network's norms folded."""
        kept = [number for number in range(self.settings.num_anchors) if number not in self.ruled_out]
        return SomeAnchors(self.network.folded(), kept)

    def template(self, crops: Tensor) -> list[Tensor]:
        """The network's."""
        return self.network.template(crops)

    def search(self, kernels: list[Tensor], crops: Tensor) -> RegionMaps:
        """The network's, with a probability of nothing for what is ruled out."""
        maps = self.network.search(kernels, crops)
        classes = maps.classes.clone()
        classes[:, [self.settings.num_anchors + number for number in self.ruled_out]] = NEVER
        return RegionMaps(classes, maps.offsets)


class Bench:
    """Measures variants on the scans that each asks for; what was measured once is not run again.

    A sequence is made once for all variants that share it, and is dropped before the next one is made.
    device: of the networks. Raises Unavailable where weights are missing.
    """

    def __init__(self, *, device: torch.device | str = "cpu") -> None:
        self.device = device
        self._networks: dict[str, SiameseNetwork] = {}
        self._known: dict[Variant, list[dict[str, float]]] = {}
        self._retaken: dict[Variant, list[dict[str, float]]] = {}

    def measure(self, axes: Iterable[Axis[Variant]], *, floors: Sequence[Variant] = ()) -> None:
        """Scores all variants of these axes; see `sweep`.

        floors: variants that are also run on each sequence as a noisier camera would have seen it, for `noise_floor`.
        """
        asked = dict.fromkeys(variant for axis in axes for variant in axis.settings.values())
        asked |= dict.fromkeys(floors)
        by_scans: dict[SimulatedSet, list[Variant]] = {}
        for one in asked:
            if one not in self._known:
                by_scans.setdefault(one.scans, []).append(one)
        for scans, variants in progress(by_scans.items(), label="sets of scans"):
            scored: dict[Variant, list[dict[str, float]]] = {one: [] for one in variants}
            for case in progress(simulated_cases(scans), total=scans.num_sequences, label="sequences"):
                gains: dict[FilterSettings, dict[str, float]] = {}
                for one, held in scored.items():
                    held.append(self._scores(one, case, gains))
            self._known |= scored
        for one in floors:
            if one not in self._retaken:
                again = (with_noise(case, one.scans, seed=idx) for idx, case in enumerate(simulated_cases(one.scans)))
                self._retaken[one] = [self._scores(one, case, {}) for case in again]

    def sweep(self, axis: Axis[Variant], names: Sequence[str] = ABLATION_NAMES) -> Sweep[Variant]:
        """These measures of all variants of an axis, one value a sequence."""
        if any(one not in self._known for one in axis.settings.values()):
            raise SpecError(f"{axis.name} has not been measured: call measure first")
        return Sweep(
            axis,
            {
                name: {label: [values[name] for values in self._known[one]] for label, one in axis.settings.items()}
                for name in names
            },
        )

    def noise_floor(self, variant: Variant) -> dict[str, float]:
        """Mean absolute change of each measure on the noisier takes; a change below it says nothing."""
        if variant not in self._retaken:
            raise SpecError("no noise floor of this variant has been measured: give it to measure as one of floors")
        pairs = list(zip(self._known[variant], self._retaken[variant], strict=True))
        return {name: sum(abs(one[name] - other[name]) for one, other in pairs) / len(pairs) for name in pairs[0][0]}

    def make(self, variant: Variant) -> Tracker:
        """A fresh tracker of a variant."""
        if variant.weights not in self._networks:
            self._networks[variant.weights] = load_network(variant.weights).to(self.device)
        network: Any = self._networks[variant.weights]
        if variant.anchors:
            network = SomeAnchors(network, variant.anchors)
        return Tracker(network, variant.tracker)

    def _scores(self, variant: Variant, case: Case, gains: dict[FilterSettings, dict[str, float]]) -> dict[str, float]:
        """All measures of one variant on one sequence; gains: of filters that were already applied to it."""
        settings = variant.tracker.filter
        if settings not in gains:
            gains[settings] = snr_values(suppressions(case.sequence, settings))
        run = run_tracker(self.make(variant), case.sequence)
        return tracking_values(score_run(run, case.sequence)) | gains[settings]


def with_noise(case: Case, scans: SimulatedSet, *, seed: int) -> Case:
    """The sequence as a camera with half as much noise power again would have stored it: another take."""
    settings, sequence = scans.settings, case.sequence
    top = (1 << settings.bits) - 1
    deviation = top * (settings.read_noise**2 + settings.level * settings.electrons) ** 0.5 / settings.electrons
    generator = Generator().manual_seed(seed)
    noise = torch.randn(sequence.frames.shape, generator=generator) * (deviation / 2**0.5)
    frames = (sequence.frames + noise).round().clamp(0, top)
    return replace(case, sequence=TargetScan(frames, sequence.boxes, sequence.visible))


def sweep_table(sweep: Sweep[Variant]) -> Table:
    """Mean and 95 % interval of each variant over the sequences, a star at the best."""
    return sweeps.sweep_table(sweep, MEASURES, digits=DIGITS)


def sweep_figure(sweep: Sweep[Variant], floor: Mapping[str, float]) -> ShownFigure:
    """Changes from the default, one panel a measure, with the noise floor."""
    return sweeps.sweep_figure(sweep, MEASURES, floor)


def effects_table(swept: Sequence[Sweep[Variant]], floor: Mapping[str, float]) -> Table:
    """Largest mean change that each choice makes to each measure, or "." where it drowns; see lib.show.sweeps."""
    return sweeps.effects_table(swept, [floor] * len(swept), MEASURES)


def floor_table(floor: Mapping[str, float]) -> Table:
    """The noise floor of each measure."""
    shown = {name: floor[name] for name in (*ABLATION_NAMES, *SNR_NAMES)}
    return sweeps.floor_table({"ours": shown}, MEASURES)


def sweep_entries(sweep: Sweep[Variant], *, data: str) -> list[dict[str, Any]]:
    """The scores of a sweep as keyword arguments of a run's `add_score`, in the table `ablation, <axis>`."""
    entries = sweeps.sweep_entries(sweep, MEASURES, data=data)
    return [entry | {"weights": sweep.axis.settings[entry["row"]].weights} for entry in entries]


def weights_of(swept: Sequence[Sweep[Variant]]) -> list[str]:
    """Names of the weights behind some sweeps, each once."""
    return list(dict.fromkeys(one.weights for sweep in swept for one in sweep.axis.settings.values()))


def _filter_axis(name: str, base: Variant, choices: Choices) -> Axis[Variant]:
    tracker = base.tracker
    changed = {
        label: {"tracker": tracker.but(filter=replace(tracker.filter, **change))} for label, change in choices.items()
    }
    return axis_of(name, base, changed)


def _published(own: TrackerSettings, **changes: Any) -> TrackerSettings:
    return TrackerSettings.paper().but(filter=own.filter, **changes)


def _those(kinds: Sequence[tuple[float, float]], *, scale: float, ratio: float | None = None) -> tuple[int, ...]:
    return tuple(
        number for number, kind in enumerate(kinds) if kind[1] == scale and (ratio is None or kind[0] == ratio)
    )
