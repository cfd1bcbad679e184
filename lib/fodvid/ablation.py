"""What each choice of the method is worth: every choice as an axis around its default, one thing changed at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

from lib.fodvid.settings import STAND_INS, Backbone, Finish, Settings, for_backbone
from lib.fodvid.train import SegmenterSettings
from lib.show.sweeps import Axis, axis_of, numbers

PAPER = Settings()
TABLE_3_TAU = 0.20  # at which the paper swept alpha: its column peaks at the score of that row
# what the stand-ins are swept over: their cosines are centred, and the paper's tau ends where theirs begins to part
STAND_IN_TAUS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
STAND_IN_ALPHAS = (0.0, 0.2, 0.4, 0.6, 0.7, 0.8, 1.0)
FLOWS = ("dis", "raft_small", "arflow", "gmflow")
PAPER_FLOWS = ("gmflow", "arflow")
GRAPH_CUT = "graph cut"
Choices = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Variant:
    """One way to get masks: the cut's settings; training: None leaves the cut's masks, else they train the network that
    gives its own; finish: of what results (the settings' own `finish` stays none)."""

    settings: Settings
    training: SegmenterSettings | None = None
    finish: Finish = "none"


def cut_axes(base: Settings, *, taus: Sequence[float], alphas: Sequence[float]) -> dict[str, Axis[Variant]]:
    """Every choice of the graph cut as an axis around these settings, by name.

    Choice: tau is swept at these settings' alpha and at the paper's, alpha at their tau and at that of table 3; so a
    stand-in, for which the paper's numbers are not meant, is shown with both.
    """
    axes = [
        _backbone_axis(base),
        *(_axis(tau_axis_name(alpha), base.but(alpha=alpha), _values("tau", taus, base)) for alpha in tau_alphas(base)),
        *(_axis(alpha_axis_name(tau), base.but(tau=tau), _values("alpha", alphas, base)) for tau in alpha_taus(base)),
        _axis("flow", base, {name: {"flow": name} for name in dict.fromkeys((base.flow, *FLOWS))}),
        _switch("camera's motion", base, "remove_camera", on="removed", off="left in", published="left in"),
        _switch("neighbours", base, "both_ways", on="both", off="the next", published="the next"),
        _axis("still below", base, _values("still_px", (0.0, 0.5, 1.0), base, " px"), published="0 px"),
        _axis(
            "motion features",
            base,
            {name: {"motion_features": name} for name in ("picture", "descriptor")},
            published="picture",
        ),
        _switch("corner rule", base, "corner_rule", on="on", off="off"),
        _switch("component", base, "component", on="the seed's", off="all"),
        _switch("own look", base, "own_look", on="second cut", off="first cut", published="first cut"),
        axis_of(
            "post-processing",
            Variant(base),
            {label: {"finish": finish} for finish, label in _finishes().items()},
            published="none",
        ),
    ]
    return {axis.name: axis for axis in axes}


def refinement_axes(base: Settings, training: SegmenterSettings) -> dict[str, Axis[Variant]]:
    """The choices of table 4 and Algorithm 1 as axes: refined or not, finished or not, how masks are warped."""
    refined = Variant(base, training)
    table_4: dict[str, Variant] = {}
    for flow in dict.fromkeys((base.flow, *PAPER_FLOWS)):
        cut = base.but(flow=flow)
        table_4[f"{flow}, {GRAPH_CUT}"] = Variant(cut)
        table_4[f"{flow}, refined"] = Variant(cut, training)
        table_4[f"{flow}, refined + CRF"] = Variant(cut, training, "crf")
    table_4[f"{base.flow}, refined + bilateral"] = Variant(base, training, "bilateral")
    axes = [
        Axis("refinement", table_4, f"{base.flow}, {GRAPH_CUT}"),
        _training_axis(
            "warped share", refined, _training_values("warp_probability", (0.0, 0.5, 1.0), training), published="0.5"
        ),
        _training_axis(
            "occlusion mask",
            refined,
            {"off": {"occlusion_mask": False}, "on": {"occlusion_mask": True}},
            published="off",
        ),
    ]
    return {axis.name: axis for axis in axes}


def tau_alphas(base: Settings) -> list[float]:
    """Values of alpha at which tau is swept: the settings' own, then the paper's."""
    return list(dict.fromkeys((base.alpha, PAPER.alpha)))


def alpha_taus(base: Settings) -> list[float]:
    """Values of tau at which alpha is swept: the settings' own, then that of the paper's sweep."""
    return list(dict.fromkeys((base.tau, TABLE_3_TAU)))


def tau_axis_name(alpha: float) -> str:
    """Name of the axis of tau at this alpha."""
    return f"tau at alpha {alpha:g}"


def alpha_axis_name(tau: float) -> str:
    """Name of the axis of alpha at this tau."""
    return f"alpha at tau {tau:g}"


def _axis(name: str, base: Settings, choices: Choices, *, published: str = "") -> Axis[Variant]:
    variants = {label: {"settings": base.but(**changes)} for label, changes in choices.items()}
    return axis_of(name, Variant(base), variants, published=published)


def _switch(name: str, base: Settings, field: str, *, on: str, off: str, published: str = "") -> Axis[Variant]:
    return _axis(name, base, {on: {field: True}, off: {field: False}}, published=published)


def _values(field: str, values: Sequence[float], base: Settings, unit: str = "") -> dict[str, dict[str, Any]]:
    """Choices of a number, in order, with the base's own value among them."""
    return numbers(field, sorted({*values, getattr(base, field)}), unit)


def _training_values(field: str, values: Sequence[float], training: SegmenterSettings) -> dict[str, dict[str, Any]]:
    return numbers(field, sorted({*values, getattr(training, field)}))


def _training_axis(name: str, refined: Variant, choices: Choices, *, published: str) -> Axis[Variant]:
    assert refined.training is not None
    variants = {label: {"training": replace(refined.training, **changes)} for label, changes in choices.items()}
    return axis_of(name, refined, variants, published=published)


def _backbone_axis(base: Settings) -> Axis[Variant]:
    """Each backbone with the constants that go with it: the base's for its own kind, else those of `for_backbone`."""
    names: list[Any] = sorted(get_args(Backbone), key=lambda name: name != base.backbone)
    chosen = {
        name: base.but(backbone=name, weights=base.weights if name == base.backbone else "auto")
        if (name in STAND_INS) == base.is_stand_in
        else for_backbone(name).but(flow=base.flow, flow_weights=base.flow_weights)
        for name in names
    }
    return Axis("backbone", {name: Variant(one) for name, one in chosen.items()}, base.backbone, PAPER.backbone)


def _finishes() -> dict[Finish, str]:
    return {"none": "none", "crf": "CRF", "bilateral": "bilateral solver"}
