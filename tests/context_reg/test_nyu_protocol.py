"""The paper's protocol on NYUDv2: what is run, what is not and why, and the places of the published tables."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from lib.bench.published import load_tables
from lib.context_reg import nyu_protocol
from lib.context_reg.compare import ALONE
from lib.context_reg.comparison import WITH, Case
from lib.context_reg.nyu_protocol import (
    ABSENT,
    OTHERS,
    TABLES,
    NYUResult,
    beside_published,
    published_entries,
    run_nyu,
    training_of,
)
from lib.data.images import write_image
from lib.errors import DataMissing, Unavailable

PUBLISHED = {one.name: one for one in load_tables("context_reg")}
PRINTED = {
    name: {row: {cell.column: cell.printed for cell in one.cells if cell.row == row} for row in one.rows}
    for name, one in PUBLISHED.items()
}
PROTOCOLS = {name: {(cell.row, cell.column): cell.protocol for cell in one.cells} for name, one in PUBLISHED.items()}
NUMBERS = (3, 4, 1, 2)  # two of the training split, two of the test split


def write_nyu(root: Path, *, hha: bool) -> Path:
    """Four pictures of 24x32 as plain folders."""
    generator = np.random.default_rng(0)
    for folder in ("rgb", "labels", *(["hha"] if hha else [])):
        (root / folder).mkdir(parents=True)
    for number in NUMBERS:
        write_image(root / "rgb" / f"{number:06d}.png", torch.rand(3, 24, 32))
        labels = generator.integers(0, 41, (24, 32), dtype=np.uint8)
        Image.fromarray(labels).save(root / "labels" / f"{number:06d}.png")
        if hha:
            write_image(root / "hha" / f"{number:06d}.png", torch.rand(3, 24, 32))
    return root


@pytest.fixture
def linear(monkeypatch: pytest.MonkeyPatch) -> None:
    """One 1x1 convolution in place of every host, small pictures for SegNet, sums that a short training bears."""
    monkeypatch.setattr("lib.context_reg.train.build_network", lambda one, vgg: nn.Conv2d(3, one.num_classes, 1))
    monkeypatch.setattr(nyu_protocol, "SEGNET_SIZE", (12, 16))


ARGUMENTS: dict[str, Any] = {"seeds": [0], "device": "cpu", "vgg": "a file", "num_steps": 1}


@pytest.mark.usefixtures("linear")
def test_every_cell_that_is_ours_is_run_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, folder = write_nyu(tmp_path / "nyu", hha=True), tmp_path / "runs"
    found = run_nyu(str(root), folder=str(folder), **ARGUMENTS)
    assert list(found.compared.runs) == [case.name for cases in TABLES.values() for case in cases]
    assert found.why_not == {}
    assert found.note == "2 of 654 test images; 1 steps"
    assert found.origin.name == "NYUDv2"
    assert found.origin.kind == "benchmark"
    assert len(list(folder.rglob("*.json"))) == 10
    for name in ("table_1", "table_2", "table_3"):
        shown = {row[0]: row[-1] for row in beside_published(name, PRINTED[name], found).rows}
        own = [row for row in shown if PUBLISHED[name].is_own(row)]
        assert all("2 of 654" in shown[row] and shown[row].count("/") >= 1 for row in own)
        assert all(shown[row] == OTHERS for row in shown if row not in own)
    # nothing is trained again
    monkeypatch.setattr("lib.context_reg.compare.run_once", None)
    again = run_nyu(str(root), folder=str(folder), **ARGUMENTS)
    assert again.compared.scores("SegNet RGB, 40 classes", WITH, "mean IU") == found.compared.scores(
        "SegNet RGB, 40 classes", WITH, "mean IU"
    )
    made = published_entries(found, PROTOCOLS, data="NYUDv2")
    places = {(one["table"], one["row"], one["column"]) for one in made}
    own_cells = {
        (name, cell.row, cell.column) for name, one in PUBLISHED.items() for cell in one.cells if one.is_own(cell.row)
    }
    assert places == own_cells
    assert all("2 of 654 test images" in one["protocol"] for one in made)
    assert {one["weights"] for one in made} == {"VGG-16 ImageNet"}


@pytest.mark.usefixtures("linear")
def test_without_hha_its_rows_say_so(tmp_path: Path) -> None:
    found = run_nyu(str(write_nyu(tmp_path / "nyu", hha=False)), **ARGUMENTS)
    assert list(found.why_not) == ["FCN HHA, 40 classes", "SegNet HHA, 40 classes"]
    shown = {row[0]: row[-1] for row in beside_published("table_1", PRINTED["table_1"], found).rows}
    assert shown["FCN HHA"].startswith("not run: there is no folder")
    assert "2 of 654" in shown["FCN RGB"]


def test_without_weights_nothing_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise Unavailable(f"{name} is not here")

    monkeypatch.setattr(nyu_protocol, "weights_file", missing)
    found = run_nyu(str(write_nyu(tmp_path / "nyu", hha=True)), seeds=[0], device="cpu")
    assert found.compared.runs == {}
    assert set(found.why_not.values()) == {"not run: vgg16 is not here"}
    assert published_entries(found, PROTOCOLS, data="NYUDv2") == []


def test_without_the_data_every_row_of_ours_says_so(tmp_path: Path) -> None:
    assert run_nyu("", seeds=[0], device="cpu") is None
    shown = {row[0]: row for row in beside_published("table_1", PRINTED["table_1"], None).rows}
    assert shown["FCN RGB + context"] == ("FCN RGB + context", "62.5", "46.3", "33.6", "49.9", ABSENT)
    assert shown["Gupta et al."] == ("Gupta et al.", "60.3", "-", "28.6", "47", OTHERS)
    assert len(beside_published("table_2", PRINTED["table_2"], None).rows) == 6
    assert len(beside_published("table_3", PRINTED["table_3"], None).rows) == 4
    with pytest.raises(DataMissing):
        run_nyu(str(tmp_path), seeds=[0], device="cpu")


@pytest.mark.parametrize(("host", "steps"), [("fcn32s", 100_000), ("segnet", 40_000)])
def test_trainings_are_the_published_ones(host: Any, steps: int) -> None:
    alone, regularized = (training_of(Case(host, "rgb", 40), regularized=one) for one in (False, True))
    assert alone.num_steps == regularized.num_steps == steps
    assert alone.optimizer == "sgd"
    assert alone.regularization is None
    assert regularized.regularization.weight == 100.0
    assert alone.but(regularization=regularized.regularization) == regularized


def test_a_complete_set_has_the_cells_own_protocol() -> None:
    from tests.context_reg.test_comparison import ORIGIN, TOLD

    made = published_entries(NYUResult(TOLD, {}, ORIGIN, ""), PROTOCOLS, data="NYUDv2")
    one = next(one for one in made if (one["table"], one["row"], one["column"]) == ("table_1", "FCN RGB", "mean IU"))
    assert one["protocol"] == PROTOCOLS["table_1"]["FCN RGB", "mean IU"]
    assert one["value"] == pytest.approx(41.0)
    gain = next(one for one in made if one["table"] == "text" and one["column"] == "gain in mean IU")
    assert gain["value"] == pytest.approx(1.0)
    assert TOLD.scores("FCN RGB, 40 classes", ALONE, "mean IU") == [40, 41, 42]
