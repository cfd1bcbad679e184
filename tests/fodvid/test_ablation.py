"""The ablation changes one choice at a time, sees each scene once for all that share it, and names what is missing."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

import lib.fodvid.ablation_bench as ablation_bench
from lib.bench.compare import objections
from lib.bench.published import load_tables
from lib.bench.record import Score
from lib.data.origin import Origin
from lib.errors import SpecError, Unavailable
from lib.fodvid import ablation, ablation_exercises, ablation_tables
from lib.fodvid.ablation import Variant, cut_axes, refinement_axes
from lib.fodvid.ablation_bench import ABLATION_MEASURES, Bench, cut_masks_of, see_again
from lib.fodvid.evaluate import cut_masks, see
from lib.fodvid.scenes import Scene, coverage, origin_of_all, scene_of, with_noise
from lib.fodvid.settings import Settings, stand_in
from lib.fodvid.train import SegmenterSettings
from tests.fodvid.discovery_scene import HEIGHT, WIDTH, TrueFlow, colours, discoverer, truth, video

BASE = stand_in().but(flow="dis", tau=0.6, alpha=0.5, flow_height_px=0, remove_camera=False)
TAUS, ALPHAS = (0.2, 0.6), (0.5, 1.0)
TRAINING = SegmenterSettings(
    size=(HEIGHT, WIDTH), width=2, max_channels=8, modulation="image", modulation_width=4, spectral=False, epochs=1,
    batch_size=3, learning_rate=1e-2, device="cpu",
)  # fmt: skip
SIMULATED = Origin("block", "simulated", "MIT", "", "this test")


class Colours:
    """Mean colours as an extractor with a name; counts the pictures."""

    weights = "toy weights"

    def __init__(self) -> None:
        self.pictures: list[Tensor] = []

    def __call__(self, image: Tensor) -> Any:
        self.pictures.append(image)
        return colours(image)


class NamedFlow(TrueFlow):
    """The true flow as an estimator with a name."""

    name = "gmflow"
    weights = "toy weights"


def block(num_frames: int = 4, *, name: str = "block", origin: Origin = SIMULATED) -> Scene:
    masks = torch.stack([truth(idx) for idx in range(num_frames)])
    return scene_of(name, torch.stack(list(video(num_frames))), masks, origin)


@pytest.fixture
def networks(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Loaders that know EfficientNet's and DIS's names only: mean colours and the true flow."""
    known: dict[str, Any] = {"efficientnet_lite0": Colours(), "dis": TrueFlow()}

    def load(name: str, **_: Any) -> Any:
        if name not in known:
            raise Unavailable(f"the weights {name} are not on this machine; get them")
        return known[name]

    monkeypatch.setattr(ablation_bench, "load_features", load)
    monkeypatch.setattr(ablation_bench, "load_flow", load)
    return known


@pytest.mark.parametrize("base", [BASE, Settings()], ids=["stand-in", "paper"])
def test_an_axis_changes_one_choice_around_its_default(base: Settings) -> None:
    axes = cut_axes(base, taus=TAUS, alphas=ALPHAS) | refinement_axes(base, TRAINING)
    for axis in axes.values():
        assert axis.default in axis.settings
        assert len(set(axis.settings.values())) == len(axis.settings) > 1, axis.name
        assert axis.published in ("", *axis.settings)
    defaults = {axis.settings[axis.default] for name, axis in axes.items() if " at " not in name}
    assert defaults == {Variant(base), Variant(base, TRAINING)}


def test_tau_and_alpha_are_swept_at_the_papers_own_values_too() -> None:
    axes = cut_axes(BASE, taus=TAUS, alphas=ALPHAS)
    at_paper = [axes["tau at alpha 0.7"], axes["alpha at tau 0.2"]]
    assert {one.settings.alpha for one in at_paper[0].settings.values()} == {0.7}
    assert {one.settings.tau for one in at_paper[1].settings.values()} == {0.2}
    # the paper's settings hold tau's sweep already, and alpha is swept at table 3's
    names = [name for name in cut_axes(Settings(), taus=(0.2, 0.25), alphas=(0.7, 1.0)) if " at " in name]
    assert names == ["tau at alpha 0.7", "alpha at tau 0.25", "alpha at tau 0.2"]


def test_backbones_come_with_their_own_constants() -> None:
    chosen = {
        label: one.settings for label, one in cut_axes(BASE, taus=TAUS, alphas=ALPHAS)["backbone"].settings.items()
    }
    assert chosen["efficientnet_lite0"] == BASE
    assert chosen["vgg16"] == BASE.but(backbone="vgg16")
    assert chosen["dino_vitb8"] == Settings(flow="dis")


def test_nothing_is_run_twice_and_changes_are_paired(networks: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench([[block()], [block()]], BASE)
    axes = cut_axes(BASE, taus=TAUS, alphas=ALPHAS)
    wanted = [axes[name] for name in ("tau at alpha 0.5", "alpha at tau 0.6", "corner rule", "flow")]
    bench.measure(wanted)
    seen = len(networks["efficientnet_lite0"].pictures)
    assert seen == 2 * 4, "the features of each frame are computed once for all settings"
    sweep = bench.sweep(wanted[0])
    assert set(sweep.scores) == set(ABLATION_MEASURES)
    assert sweep.scores["j"]["0.6"] == [100.0, 100.0], "the block lies on whole patches"
    assert sweep.changes()["j"]["0.6"] == [0, 0]
    monkeypatch.setattr(Bench, "_masks", lambda *_: pytest.fail("already measured"))
    bench.measure(wanted)
    assert bench.sweep(wanted[0]).scores == sweep.scores
    assert list(bench.shown(wanted[0])) == list(wanted[0].settings)
    assert "corner rule" in repr(
        ablation_tables.effects_table([bench.sweep(wanted[2])], [dict.fromkeys(sweep.scores, 0.0)])
    )
    assert len(ablation_tables.mask_sheet(bench, wanted[0]).axes) == len(wanted[0].settings)


def test_networks_that_are_missing_are_named_and_the_others_run(networks: dict[str, Any]) -> None:
    bench = Bench([[block()]], BASE)
    axes = cut_axes(BASE, taus=TAUS, alphas=ALPHAS)
    bench.measure([axes["flow"], axes["backbone"]])
    assert list(bench.sweep(axes["flow"]).axis.settings) == ["dis"]
    assert {"raft_small", "arflow", "gmflow", "vgg16", "dino_vits8", "dino_vitb16"} < set(bench.missing)
    assert "get them" in repr(ablation_tables.missing_table([bench]))
    with pytest.raises(Unavailable, match="gmflow"):
        Bench([[block()]], BASE.but(flow="gmflow"))
    with pytest.raises(SpecError, match="measure first"):
        bench.sweep(axes["component"])
    with pytest.raises(SpecError, match="at least one scene"):
        Bench([], BASE)


def test_seeing_again_computes_only_what_the_settings_change() -> None:
    made = discoverer()
    seen = see(made, block(5))
    flows = len(made.estimator.calls)  # type: ignore[union-attr]
    same = see_again(seen, made)
    assert same.features is seen.features
    assert same.motions is seen.motions
    other = discoverer(made.estimator, both_ways=True)
    other.extractor = lambda image: pytest.fail("features are there")  # type: ignore[assignment]
    again = see_again(seen, other)
    assert again.features is seen.features
    assert len(made.estimator.calls) > flows  # type: ignore[union-attr]
    fresh = see(discoverer(both_ways=True), block(5))
    for one, wanted in zip(again.motions, fresh.motions, strict=True):
        assert torch.equal(one.flow, wanted.flow)


def test_several_cuts_together_are_those_of_each_alone_and_share_a_flow_pictures_features() -> None:
    extractor = Colours()
    made = discoverer(motion_features="picture")
    made.extractor = extractor  # type: ignore[assignment]
    seen = see(made, block(4))
    chosen = [made.settings.but(tau=tau) for tau in (0.3, 0.6, 0.8)]
    before = len(extractor.pictures)
    together = cut_masks_of(seen, chosen)
    assert len(extractor.pictures) == before + 3, "the last frame keeps the flow of the one before"
    for masks, settings in zip(together, chosen, strict=True):
        assert torch.equal(torch.stack(masks), torch.stack(cut_masks(seen, settings)))


def test_refinement_trains_once_for_all_that_finish_its_masks(
    networks: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds = []
    plain = ablation_bench.refined_masks

    def counted(*inputs: Any, **options: Any) -> Any:
        seeds.append(inputs[2].seed)
        return plain(*inputs, **options)

    monkeypatch.setattr(ablation_bench, "refined_masks", counted)
    bench = Bench([[block()], [block()]], BASE)
    axes = refinement_axes(BASE, TRAINING)
    bench.measure([axes["refinement"]], floors=[Variant(BASE, TRAINING)])
    assert seeds == [0, 2, 1, 3], "one training a scene and one of its other take, each from its own seed"
    assert {"arflow", "gmflow"} == set(bench.missing)
    floor = bench.noise_floor(Variant(BASE, TRAINING))
    assert list(floor) == list(ABLATION_MEASURES)
    assert all(value >= 0 for value in floor.values())
    with pytest.raises(SpecError, match="floors"):
        bench.noise_floor(Variant(BASE))
    assert "refined" in repr(ablation_tables.floor_table({"refined": floor}))
    sweep = bench.sweep(axes["refinement"])
    assert len(ablation_tables.sweep_figure(sweep, floor).axes) == len(ABLATION_MEASURES)
    assert len(repr(ablation_tables.sweep_table(sweep)).splitlines()) == 2 + 4


def record_of(entry: dict[str, Any], origin: Origin) -> Any:
    """What compare asks of a record at profile paper."""
    from types import SimpleNamespace

    return Score(**entry), SimpleNamespace(profile="paper", origins=[origin])


def test_scores_at_published_places_say_in_what_they_depart(networks: dict[str, Any]) -> None:
    bench = Bench([[block()]], BASE)
    axes = cut_axes(BASE, taus=TAUS, alphas=ALPHAS)
    named = [axes["tau at alpha 0.7"], axes["alpha at tau 0.2"], axes["component"], axes["backbone"]]
    bench.measure(named)
    tables = load_tables("fodvid")
    entries = ablation_tables.published_entries(bench, [bench.sweep(one) for one in named], tables, data="block")
    assert {entry["row"] for entry in entries} == {"edge threshold 0.20", "image weight 0.5", "image weight 1.0"}
    against = objections(tables[2], tables[2].cells[0], *record_of(entries[0], SIMULATED))
    assert len(against) == 3, "data, weights and protocol are not the paper's"
    assert "but on other clips: block; flow_height_px" not in entries[0]["protocol"]
    assert "motion_features descriptor" in entries[0]["protocol"]
    for name, at in (("tau", "alpha"), ("alpha", "tau")):
        lines = {
            key: bench.sweep(axes[key]) for key in axes if key.startswith(f"{name} at {at}") and axes[key] in named
        }
        figure = ablation_tables.curve_figure(bench, lines, name, tables[2])  # type: ignore[arg-type]
        assert figure.axes[0].get_title("left").endswith("not comparable")
        assert "published" in figure.axes[0].get_legend_handles_labels()[1][1]
    own = ablation_tables.sweep_entries(bench, bench.sweep(axes["component"]), data="block")
    assert {entry["weights"] for entry in own} == {"EfficientNet-Lite0 of ImageNet"}
    assert [origin.name for origin in bench.origins()] == ["EfficientNet-Lite0 of ImageNet"]


def test_the_papers_data_weights_and_settings_are_comparable(
    networks: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    networks |= {"dino_vitb8": Colours(), "gmflow": NamedFlow()}
    monkeypatch.setattr("lib.fodvid.scenes.VAL", ("block",))
    benchmark = Origin("DAVIS-2016 block", "benchmark", "CC BY 4.0", "12", "its paper")
    scene = block(origin=benchmark)
    paper = Settings(flow="gmflow")
    bench = Bench([[scene]], paper)
    networks["arflow"] = TrueFlow()
    axes = cut_axes(paper, taus=(0.2, 0.25), alphas=(0.7, 1.0)) | refinement_axes(paper, SegmenterSettings())
    cuts_only = {label: one for label, one in axes["refinement"].settings.items() if label.endswith("graph cut")}
    table_4 = replace(axes["refinement"], settings=cuts_only)
    sweeps = [axes["tau at alpha 0.7"], axes["alpha at tau 0.2"], axes["backbone"], table_4]
    bench.measure(sweeps)
    tables = load_tables("fodvid")
    data = origin_of_all(bench.scenes)
    entries = ablation_tables.published_entries(bench, [bench.sweep(one) for one in sweeps], tables, data=data.name)
    places = {(entry["table"], entry["row"]) for entry in entries}
    assert {("table_2", "DINO ViT-B/8"), ("table_3", "image weight 1.0"), ("table_4", "ARFlow")} < places
    for entry in entries:
        table = next(one for one in tables if one.name == entry["table"])
        cell = next(one for one in table.cells if (one.row, one.column) == (entry["row"], entry["column"]))
        assert objections(table, cell, *record_of(entry, data)) == []
    figure = ablation_tables.curve_figure(bench, {"alpha 0.7": bench.sweep(sweeps[0])}, "tau", tables[2])
    assert figure.axes[0].get_title("left").endswith(": comparable")
    shortened = Bench([[replace(scene, is_whole=False)]], paper)
    variant = Variant(paper)
    assert ablation_tables.why_not_comparable(bench, variant, tables[2]) == []
    assert "first 4 frames" in ablation_tables.why_not_comparable(shortened, variant, tables[2])[0]


def test_published_curves_are_read_not_typed() -> None:
    table = load_tables("fodvid")[2]
    tau, alpha = (ablation_tables.published_curve(table, name) for name in ("tau", "alpha"))
    assert len(tau[0]) == len(alpha[0]) == 9
    assert max(zip(tau[1], tau[0], strict=True))[1] == Settings().tau
    assert ablation_tables.swept_values(Settings(), table, "alpha") == alpha[0]
    assert ablation_tables.swept_values(BASE, table, "tau") == list(ablation.STAND_IN_TAUS)
    assert dict(zip(*alpha, strict=True))[0.7] == dict(zip(*tau, strict=True))[ablation.TABLE_3_TAU]


def test_departures_of_training_are_named_but_not_those_of_the_machine() -> None:
    assert ablation_tables.departures(Variant(Settings(), SegmenterSettings.paper())) == []
    small = ablation_tables.departures(Variant(Settings(both_ways=True), replace(SegmenterSettings(), epochs=3)))
    assert small == ["both_ways True", "epochs 3"]


def test_another_take_has_more_noise_and_is_the_same_each_time() -> None:
    scene = block(2)
    take = with_noise(scene, seed=3)
    first, again = (torch.stack(list(one)) for one in (take.frames(), take.frames()))
    assert torch.equal(first, again)
    change = first - torch.stack(list(scene.frames()))
    assert change.std() == pytest.approx(1.5 / 255, rel=0.1)
    assert not torch.equal(first, torch.stack(list(with_noise(scene, seed=4).frames())))


def test_sequences_of_the_benchmark_bear_its_name_and_say_what_is_missing() -> None:
    scenes = [block(origin=Origin(f"DAVIS-2016 {name}", "benchmark", "CC BY", name, "p"), name=name) for name in "ab"]
    origin = origin_of_all(scenes)
    assert origin.name == origin_of_all(scenes[:1]).name == "DAVIS-2016"
    assert origin.sha256 != origin_of_all(scenes[:1]).sha256
    assert coverage(scenes) == "2 of 20 sequences: a, b"
    assert "first 4 frames" in coverage([replace(scenes[0], is_whole=False)])


def joined(similarity: Tensor, tau: float) -> float:
    count = len(similarity)
    return (int((similarity >= tau).sum()) - count) / (count * (count - 1))


def ceiling(mask: Tensor) -> float:
    patches = mask.unflatten(0, (-1, 8)).unflatten(2, (-1, 8)).float().mean((1, 3)) > 0.5
    whole = patches.repeat_interleave(8, 0).repeat_interleave(8, 1)
    return int((whole & mask).sum()) / max(int((whole | mask).sum()), 1)


def test_exercises_know_the_answer_and_say_what_is_wrong() -> None:
    assert ablation_exercises.check_joined(joined).solved
    with_self = ablation_exercises.check_joined(lambda similarity, tau: float((similarity >= tau).float().mean()))
    assert "itself" in with_self.says
    assert ablation_exercises.check_ceiling(ceiling).solved
    assert "a thin bar" in ablation_exercises.check_ceiling(lambda mask: 1.0).says


def test_a_better_setting_is_measured_on_clips_unseen(
    monkeypatch: pytest.MonkeyPatch, networks: dict[str, Any]
) -> None:
    bench = Bench([[block()]], BASE.but(tau=-1.0))
    monkeypatch.setattr(ablation_exercises, "simulated_scene", lambda *_, **__: block())
    assert ablation_exercises.check_better(lambda: BASE, bench).solved
    assert "+5 is asked for" in ablation_exercises.check_better(lambda: bench.base, bench).says
    assert "keep efficientnet_lite0" in ablation_exercises.check_better(lambda: Settings(), bench).says
    assert "return Settings" in ablation_exercises.check_better(lambda: 3, bench).says
