"""Trackers side by side: one value a sequence, curves, what is missing and why, claims, rates, places in the record."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from lib.bench.compare import objections
from lib.bench.published import load_tables
from lib.bench.record import Score
from lib.data.infrared import SEQUENCES
from lib.data.origin import Origin
from lib.data.tracks import TrackedSequence
from lib.errors import DataMissing
from lib.ir_tracking import comparison, frame_rates, scenes, snr
from lib.ir_tracking.baselines import NormalisedCorrelation, Still
from lib.ir_tracking.claims import CLAIMS, claims, quality_floor
from lib.ir_tracking.comparison import (
    CORRELATION,
    CURVES,
    MIL,
    NANO,
    NETWORKS,
    OURS,
    STILL,
    Comparison,
    Trackers,
    compare_trackers,
    table_trackers,
)
from lib.ir_tracking.evaluate import Case, SimulatedSet, siamese
from lib.ir_tracking.measures import ERASED_DB, TRACKING_NAMES, snr_values, suppressions
from lib.ir_tracking.network_settings import NetworkSettings
from lib.ir_tracking.scenes import PaperSet, paper_sets, real_cases, stills_of, table_scans
from lib.ir_tracking.weights import load_network
from tests.ir_tracking.moving_spots import spot_clip, straight

ORIGIN = Origin("spots", "simulated", "MIT", "", "a test")


def cases() -> list[Case]:
    return [
        Case("slow", spot_clip(straight(12, step=(0.1, 0.0))), ORIGIN),
        Case("fast", spot_clip(straight(8, start=(20.0, 60.0), step=(4.0, -2.0))), ORIGIN),
    ]


@pytest.fixture(scope="module")
def compared() -> Comparison:
    makers: dict[str, Any] = {OURS: siamese(load_network()), STILL: Still, CORRELATION: NormalisedCorrelation}
    return compare_trackers(cases(), Trackers(makers, {NANO: "not run: no files"}))


def test_every_tracker_has_one_value_a_sequence(compared: Comparison) -> None:
    assert compared.cases == ["slow", "fast"]
    for values in compared.scores.values():
        assert set(values) == set(TRACKING_NAMES)
        assert all(len(held) == 2 for held in values.values())
    # the box of the first frame is within 3 px for as long as the target takes to leave it
    assert compared.scores[STILL]["precision_3"] == [100.0, 0.0]
    assert compared.scores[CORRELATION]["precision_3"] == [100.0, 100.0]
    assert compared.last_error[STILL]["fast"] == pytest.approx(7 * math.hypot(4, 2), rel=1e-5)
    assert compared.last_error[STILL]["slow"] == pytest.approx(1.1, rel=1e-4)


def test_curves_are_means_over_sequences(compared: Comparison) -> None:
    for name, values in compared.scores.items():
        assert 100 * float(compared.precision[name][3]) == pytest.approx(sum(values["precision_3"]) / 2)
        assert float(compared.success[name].mean()) == pytest.approx(sum(values["success_auc"]) / 2)
    assert compared.success[STILL].shape == (21,)
    for figure in (comparison.precision_figure(compared), comparison.success_figure(compared)):
        [axes] = figure.axes
        labels = {line.get_label() for line in axes.lines}
        assert {OURS, CORRELATION} <= labels
        assert STILL not in labels


def test_a_comparison_wants_a_sequence() -> None:
    with pytest.raises(DataMissing, match="at least one"):
        compare_trackers([], Trackers({STILL: Still}, {}))


def test_what_can_not_run_is_named(tmp_path: Path) -> None:
    found = table_trackers()
    assert "nano_root" in found.missing[NANO]
    assert set(NETWORKS) <= set(found.makers)
    assert {*CURVES} <= {*found.makers, *found.missing}
    assert "backbone" in table_trackers(nano_root=str(tmp_path)).missing[NANO]
    for part in ("backbone", "head"):
        (tmp_path / f"nano_{part}.onnx").write_bytes(b"no network")
    assert table_trackers(nano_root=str(tmp_path)).missing[NANO].startswith("not run: ")


def test_nano_track_runs_where_its_files_are(reference: Path) -> None:
    root = reference / "realdata" / "weights"
    if not list(root.glob("*backbone*.onnx")):
        pytest.skip("NanoTrack's ONNX files are not in the reference material; set NOCTURNE_REFERENCE")
    found = table_trackers(nano_root=str(root))
    assert NANO not in found.missing
    result = compare_trackers(cases()[:1], Trackers({NANO: found.makers[NANO]}, {}))
    assert math.isfinite(result.scores[NANO]["centre_error"][0])


def test_scores_enter_a_record_with_their_weights(compared: Comparison) -> None:
    entries = comparison.score_entries(compared, table="all", data="spots")
    assert {entry["row"]: entry["weights"] for entry in entries} == {OURS: "ir_siamese", STILL: "", CORRELATION: ""}
    assert len(entries) == 3 * len(TRACKING_NAMES)
    assert comparison.missing_table(compared).rows == ((NANO, "not run: no files"),)
    assert [row[0] for row in comparison.score_table(compared).rows] == [OURS, STILL, CORRELATION]
    shown = comparison.sequence_table(compared, CURVES).rows
    assert [row[:2] for row in shown] == [(case, name) for name in (OURS, CORRELATION) for case in compared.cases]
    assert {row[-1] for row in shown} == {"yes"}


def test_simulated_numbers_are_never_a_reproduction(compared: Comparison) -> None:
    tables = {one.name: one for one in load_tables("ir_tracking")}
    cells = {(one.name, cell.row, cell.column): cell for one in tables.values() for cell in one.cells}
    entries = comparison.text_entries(compared, largest_snr_db=30.0, fps=60.0, data="spots")
    entries += frame_rates.paper_entries({"KAIST": 60.0})
    assert {entry["column"] for entry in entries} == {"SNR maximum", "AOR", "mean precision", "speed", "KAIST"}
    for entry in entries:
        cell = cells[entry["table"], entry["row"], entry["column"]]
        assert entry["unit"] == cell.unit
        score = Score(**{"interval": None, **entry})
        record = type("Record", (), {"origins": [], "profile": "smoke", "hardware": None})
        record.hardware = type("Hardware", (), {"gpu": "", "cpu": "some CPU"})  # type: ignore[attr-defined]
        reasons = objections(tables[entry["table"]], cell, score, record)  # type: ignore[arg-type]
        assert any("protocol" in reason for reason in reasons)


def test_ours_stands_below_the_published_rows() -> None:
    printed = {"proposed": {"AOR": "above 0.9", "speed": "above 200"}, "[8]": {"AOR": "0.5"}}
    shown = comparison.beside_published(printed, {"AOR": 0.8765}).rows
    assert shown == (
        ("proposed, published", "above 0.9", "above 200"),
        ("[8], published", "0.5", "-"),
        ("ours, here", "0.876", "-"),
    )
    rates = frame_rates.beside_published({"proposed": {"KAIST": "202", "OTCBVS": "205"}}, {"KAIST": 71.4}, why="here")
    assert rates.rows[-1] == ("ours, here", "71", "not run")


def test_claims_follow_their_intervals(compared: Comparison) -> None:
    names = {name for _, *pair, _ in CLAIMS for name in pair}
    scores = {name: {measure: [50.0, 51.0, 52.0] for measure in TRACKING_NAMES} for name in names}
    scores[OURS] = {measure: [60.0, 61.0, 62.0] for measure in TRACKING_NAMES}
    scores[MIL] = {measure: [20.0, 90.0, 40.0] for measure in TRACKING_NAMES}
    scores[comparison.NO_FUSION] = {measure: [70.0, 71.5, 72.0] for measure in TRACKING_NAMES}
    held = {row[0]: row[3] for row in claims(replace(compared, scores=scores)).rows}
    assert held["the highest overlap: above top-hat + Kalman"] == "yes"
    assert held["above OpenCV's MIL"] == "can't tell"
    assert held["fusion helps the overlap"] == "no"
    assert held["the filter helps the overlap"] == "can't tell"
    # trackers that did not run are left out
    assert len(claims(compared).rows) == 2


def test_floor_falls_with_what_must_hold(compared: Comparison) -> None:
    assert all(quality_floor(compared, 10.0).values())
    assert list(quality_floor(compared, 4.0).values()) == [True, True, True, False]
    still = replace(compared, scores=compared.scores | {OURS: compared.scores[STILL]})
    assert list(quality_floor(still, 10.0).values()) == [False, False, False, True]


def test_snr_rises_and_an_erased_target_counts() -> None:
    clip = spot_clip(straight(8), height=15.0)
    contrasts = suppressions(clip, every=1)
    assert len(contrasts) == 8
    values = snr_values(contrasts)
    assert values["snr_after"] > values["snr_before"] + 3
    flat = replace(clip, frames=torch.full_like(clip.frames, 100.0))
    assert snr_values(suppressions(flat))["snr_after"] == ERASED_DB
    with pytest.raises(DataMissing, match="no frame shows"):
        suppressions(replace(clip, visible=torch.zeros(8, dtype=torch.bool)))


def test_tables_and_figures_of_contrast() -> None:
    contrasts = {"spots": snr.contrasts_of(cases())}
    rows = snr.snr_table(contrasts).rows
    assert [row[1] for row in rows] == ["SNR before", "SNR after", "SCR gain"]
    assert all(float(row[3]) <= float(row[4]) <= float(row[5]) <= float(row[6]) for row in rows)
    assert len(snr.snr_shares(contrasts, published_db=35.0).axes[0].lines) == 3
    assert len(snr.snr_over_time(cases()[0].sequence).axes[0].lines) == 2
    assert len(snr.snr_entries(contrasts["spots"], table="filter", data="spots")) == 3
    assert snr.quantile([1.0, 2.0, 3.0], 0.5) == 2.0


def test_real_stills_are_scored_where_they_are(reference: Path) -> None:
    root = reference / "realdata" / "infrared"
    stills = stills_of(str(root))
    if stills is None:
        pytest.skip("no SIRST frames in the reference material")
    scored = snr.stills_scores([stills[number] for number in range(4)])
    assert [row[0] for row in snr.detection_table(scored).rows][::5] == ["4 directions", "8 directions"]
    entries = snr.stills_entries(scored, data="SIRST")
    assert all(math.isfinite(entry["value"]) for entry in entries)
    assert scenes.stills_origin(stills).kind == "sample"
    assert {"seq_cloud_a", "tir_airplane"} <= {case.name for case in real_cases(str(root))}


def test_what_is_not_named_is_not_run(tmp_path: Path) -> None:
    assert real_cases("") == []
    assert stills_of("") is None
    assert stills_of(str(tmp_path)) is None
    assert {one.why for one in paper_sets("")} == {"not run: name its folder with paper_root"}
    found = paper_sets(str(tmp_path))
    assert [one.column for one in found] == ["ILSVRC", "KAIST", "OTCBVS"]
    assert all(one.why.startswith("not run: ") and not one.sequences for one in found)
    assert frame_rates.paper_rates(found) == {}


def test_the_test_set_is_the_protocols_own() -> None:
    scans = table_scans(num_sequences=30, num_frames=200, height_px=240, scr=[2, 8])
    assert scans == SimulatedSet()


@pytest.fixture
def sequence(tmp_path: Path) -> TrackedSequence:
    from lib.data.images import write_image

    clip = spot_clip(straight(5))
    files = []
    for number, frame in enumerate(clip.frames):
        files.append(tmp_path / f"{number}.png")
        write_image(files[-1], (frame / 255).expand(3, -1, -1))
    return TrackedSequence("spots", tuple(files), clip.boxes, clip.visible, SEQUENCES)


def test_rates_of_a_data_set_bear_its_name(sequence: TrackedSequence) -> None:
    one = PaperSet("KAIST", [sequence])
    assert frame_rates.paper_rates([one])["KAIST"] > 0
    assert frame_rates.set_origin(one).name == "KAIST"


def test_each_rate_says_network_filtering_and_device(device: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame_rates, "NetworkSettings", NetworkSettings.small)  # the published width takes seconds
    found = frame_rates.rates(frame_rates.simulated_frames(3), device=device, full_frames=1)
    assert len(found) == 6
    assert len({(one.network, one.filtering) for one in found}) == 6
    assert all(one.fps > 0 and one.device for one in found)
    assert len(frame_rates.rate_table(found).rows) == 6
    entries = frame_rates.rate_entries(found, data="scan")
    assert [entry["weights"] for entry in entries] == ["ir_siamese"] * 3 + [""] * 3
