"""Hosts side by side: every case paired, tables and entries of what was measured, places of the published tables."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from lib.bench.published import load_tables
from lib.context_reg import comparison
from lib.context_reg.claims import claims, quality_floor
from lib.context_reg.compare import ALONE, MEASURES, Run
from lib.context_reg.comparison import (
    CASES,
    WITH,
    Case,
    Compared,
    camvid_comparison,
    compare_on_rooms,
    difference_table,
    entries,
    plan_for,
    published_gains,
    said_points,
    score_table,
    superclasses,
)
from lib.context_reg.train import train
from lib.data.labels import LabelledPicture
from lib.data.nyuv2_classes import SUPERCLASSES
from lib.data.origin import Origin
from lib.errors import SpecError

ORIGIN = Origin("stripes", "simulated", "MIT", "", "this test")
SEEDS = [5, 6]
SIZED = {"network": {"num_classes": 40}}
SOME = [Case("fcn32s", "rgb", 40), Case("segnet", "hha", 40), Case("segnet", "rgb", 4)]


def stripes(idx: int) -> LabelledPicture:
    """Ten classes in stripes of two columns, seen in grey; HHA is the picture turned to its negative."""
    labels = ((torch.arange(20) // 2 + idx) % 10).long().expand(16, 20)
    image = (labels / 10).expand(3, 16, 20)
    return LabelledPicture(f"stripes {idx}", image, labels, ORIGIN, hha=1 - image)


ROOMS = [stripes(idx) for idx in range(4)]


@pytest.fixture(scope="module")
def compared() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lib.context_reg.train.build_network", lambda one, vgg: nn.Conv2d(3, one.num_classes, 1))
        arguments: dict[str, Any] = {"width": 1, "num_steps": 2, "seeds": SEEDS, "device": "cpu"}
        yield compare_on_rooms(ROOMS, ROOMS[:2], cases=SOME, keep=SOME[:1], **arguments)


def test_every_case_is_trained_in_pairs(compared: Compared) -> None:
    assert list(compared.runs) == [case.name for case in SOME]
    pairs = [(variant, seed) for variant in (ALONE, WITH) for seed in SEEDS]
    for case in SOME:
        runs = compared.runs[case.name]
        assert sorted((run.variant, run.seed) for run in runs) == pairs
        assert {run.settings["network"]["channels"] for run in runs} == {case.channels}
        assert {run.settings["network"]["num_classes"] for run in runs} == {case.num_classes}
        for run in runs:
            training = run.settings["training"]
            assert (training["regularization"] is not None) == (run.variant == WITH)
            assert {**training, "regularization": None, "seed": 0} == {
                **runs[0].settings["training"], "regularization": None, "seed": 0
            }  # fmt: skip


def test_both_variants_go_on_from_what_a_seed_learnt_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a step of the second training both are the first one's network; it is trained once a seed."""
    monkeypatch.setattr("lib.context_reg.train.build_network", lambda one, vgg: nn.Conv2d(3, one.num_classes, 1))
    plan = plan_for(SOME[2], width=1, num_steps=4, device="cpu")
    assert (plan.first.num_steps, plan.first.regularization, plan.second.ramp_steps) == (8, None, 2)
    alone = train(superclasses(ROOMS), network=plan.network, settings=plan.first.but(seed=5)).network.state_dict()
    idle = replace(plan, second=plan.second.but(num_steps=0))
    monkeypatch.setattr(comparison, "plan_for", lambda case, **sizes: idle)
    case = SOME[2:]
    kept = compare_on_rooms(ROOMS, ROOMS[:2], cases=case, keep=case, width=1, num_steps=4, seeds=[5], device="cpu")
    for trained in kept.trained[case[0].name].values():
        for name, value in trained.network.state_dict().items():
            torch.testing.assert_close(value, alone[name], rtol=0, atol=0)


def test_networks_stay_where_they_are_asked_for(compared: Compared) -> None:
    assert list(compared.trained) == ["FCN RGB, 40 classes"]
    kept = compared.trained["FCN RGB, 40 classes"]
    assert list(kept) == [ALONE, WITH]
    assert {one.settings.seed for one in kept.values()} == {SEEDS[0]}


def test_superclasses_replace_the_forty() -> None:
    (picture,) = superclasses(ROOMS[:1])
    assert picture.labels[0, ::2].tolist() == [SUPERCLASSES[label] for label in range(10)]


def run(variant: str, seed: int, value: float, host: str = "segnet") -> Run:
    scores = dict.fromkeys(MEASURES, value)
    softmax = {"softmax": 2.0, "context": 0.0 if variant == ALONE else 0.1, "kernel": 0.0}
    kernels = None if variant == ALONE else [[[0.0, 0, 0], [-0.6, 0.8, 0], [0, 0, 0]]]
    return Run(host, variant, seed, scores, {}, 1.0, softmax, {**softmax, "softmax": 1.0}, kernels, SIZED)


def of(gains: dict[str, list[float]]) -> Compared:
    """Hosts alone at 40, 41, ..., and as much better with the regulariser as `gains` says, seed by seed."""
    made = {}
    for name, values in gains.items():
        host = "segnet" if "SegNet" in name else "fcn32s"
        made[name] = [run(ALONE, seed, 40 + seed, host) for seed in range(len(values))]
        made[name] += [run(WITH, seed, 40 + seed + gain, host) for seed, gain in enumerate(values)]
    return Compared(made)


TOLD = of({"FCN RGB, 40 classes": [1.0, 1.1, 0.9], "SegNet RGB, 40 classes": [-1.0, 5.0, -2.0],
           "SegNet HHA, 40 classes": [-2.0, -2.1, -1.9]})  # fmt: skip


def test_tables_say_means_intervals_and_what_is_clear() -> None:
    assert [row[0] for row in score_table(TOLD).rows[:2]] == [
        f"FCN RGB, 40 classes, {one}" for one in ("alone", "with")
    ]
    assert score_table(TOLD).rows[0][1] == "41.0 ± 2.5"
    changes = {row[0]: row[1] for row in difference_table(TOLD).rows}
    assert changes == {
        "FCN RGB, 40 classes": "+1.0 ± 0.2*",
        "SegNet RGB, 40 classes": "+0.7 ± 9.4",
        "SegNet HHA, 40 classes": "-2.0 ± 0.2*",
    }
    assert said_points([-0.01], signed=True) == "+0.0, one seed"


def test_measures_that_one_case_lacks_are_left_out() -> None:
    poorer = replace(run(ALONE, 0, 1.0), score_by_name={"mean IU": 1.0})
    assert [one.name for one in Compared({"SegNet RGB, x": [poorer, run(WITH, 0, 2.0)]}).measures()] == ["mean IU"]


def test_entries_hold_scores_and_gains() -> None:
    made = entries(TOLD, table="rooms", data="stripes", note="16 px high")
    assert len(made) == 3 * 2 * len(MEASURES) + 3 * len(MEASURES)
    gain = next(one for one in made if one["row"] == "FCN RGB, 40 classes" and one["column"] == "gain in mean IU")
    assert gain["table"] == "rooms, gains"
    assert gain["unit"] == "points"
    assert gain["value"] == pytest.approx(1.0)
    assert "16 px high" in gain["protocol"]
    assert gain["interval"][0] > 0


PUBLISHED = {one.name: one for one in load_tables("context_reg")}
PRINTED = {
    row: {cell.column: cell.printed for cell in PUBLISHED[name].cells if cell.row == row}
    for name in ("table_1", "table_3")
    for row in PUBLISHED[name].rows
}
GAINS = {(cell.row, cell.column): cell.printed for cell in PUBLISHED["text"].cells}


def test_published_gains_are_those_that_the_text_states() -> None:
    assert published_gains(PRINTED, "mean IU")["FCN RGB, 40 classes"] == pytest.approx(2.0)
    assert published_gains(PRINTED, "fw IU")["FCN RGB, 40 classes"] == pytest.approx(3.9)
    accuracy = published_gains(PRINTED, "pixel accuracy")
    assert accuracy["SegNet RGB, 40 classes"] == pytest.approx(8.3)
    assert accuracy["SegNet HHA, 40 classes"] == pytest.approx(1.5)
    assert len(accuracy) == 4


def verdicts(compared: Compared, data: str) -> dict[str, tuple[str, str]]:
    return {row[0]: (row[4], row[5]) for row in claims({data: compared}, GAINS).rows}


def test_numbers_are_judged_on_their_own_data_and_pictures_on_any() -> None:
    rooms = verdicts(TOLD, "simulated rooms")
    assert rooms["mean IU rises, FCN RGB"] == ("yes", "not comparable")
    assert rooms["pixel accuracy rises, SegNet HHA"] == ("no", "not comparable")
    assert rooms["objects' boundaries improve, FCN RGB"] == ("yes", "supported")
    assert rooms["objects' boundaries improve, SegNet RGB"] == ("can't tell", "not supported")
    real = verdicts(TOLD, "NYUDv2")
    assert real["mean IU rises, FCN RGB"] == ("yes", "supported")
    assert real["pixel accuracy rises, SegNet RGB"] == ("can't tell", "not supported")
    assert real["pixel accuracy rises, SegNet HHA"] == ("no", "not supported")


def test_one_seed_supports_nothing_and_absent_hosts_have_no_row() -> None:
    found = verdicts(of({"FCN RGB, 40 classes": [9.0]}), "NYUDv2")
    assert set(found.values()) == {("can't tell", "not supported")}
    assert not any("SegNet" in text for text in found)


def test_the_first_case_of_a_host_answers() -> None:
    both = of({"FCN RGB, 40 classes": [1.0, 1.0], "FCN RGB, 4 classes": [-1.0, -1.0]})
    assert verdicts(both, "NYUDv2")["mean IU rises, FCN RGB"] == ("yes", "supported")


def test_floor_falls_with_what_must_hold() -> None:
    assert all(quality_floor(TOLD, seeds=[0, 1, 2]).values())
    assert not all(quality_floor(TOLD, seeds=[0, 1, 2, 3]).values())
    case = "FCN RGB, 40 classes"
    for change in (
        {"last_loss": {"softmax": 4.1, "context": 0.1}},
        {"last_loss": {"softmax": 1.0, "context": 0.0}},
        {"kernels": [[[0.0, 0, 0], [0, 0.5, 0], [0, 0, 0]]]},
        {"score_by_name": {"mean IU": 40.0}},
    ):
        spoilt = [replace(one, **change) if one.variant == WITH else one for one in TOLD.runs[case]]
        assert not all(quality_floor(Compared({**TOLD.runs, case: spoilt}), seeds=[0, 1, 2]).values())


def test_camvid_reads_finished_runs_in_pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert camvid_comparison("", seeds=[0]) is None
    runs = [run(ALONE, 0, 1.0, "fcn32s"), run(WITH, 0, 3.0, "fcn32s"), run(ALONE, 1, 1.0, "fcn32s"), run(ALONE, 0, 1.0)]
    monkeypatch.setattr(comparison, "read_runs", lambda folder: runs)
    (tmp_path / "a.json").write_text("{}")
    found = camvid_comparison(str(tmp_path), seeds=[0])
    assert list(found.runs) == ["FCN RGB, CamVid"]
    assert found.differences("FCN RGB, CamVid", "mean IU") == [2.0]
    assert len(score_table(found).rows) == 2
    monkeypatch.setattr(comparison, "read_runs", lambda folder: runs[2:])
    with pytest.raises(SpecError, match="no seed with both"):
        camvid_comparison(str(tmp_path), seeds=[0])


def test_camvid_itself_is_trained_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def trained(root: str, **arguments: Any) -> list[Run]:
        asked.update(arguments, root=root)
        return TOLD.runs["SegNet RGB, 40 classes"]

    monkeypatch.setattr(comparison, "run_camvid", trained)
    assert list(camvid_comparison(str(tmp_path), seeds=[3, 4], vgg="file").runs) == ["SegNet RGB, CamVid"]
    assert asked == {"root": str(tmp_path), "seeds": [3, 4], "vgg": "file"}


def test_a_case_is_called_as_in_the_paper() -> None:
    assert Case("segnet", "hha", 4).name == "SegNet HHA, 4 classes"
    assert len({case.name for case in CASES}) == 8
