import pytest

from lib.bench.published import load_tables
from lib.fodvid.ablation import GRAPH_CUT, Variant
from lib.fodvid.ablation_cell import OWN, cell_axes, cell_scenes, cell_settings
from lib.fodvid.ablation_tables import _places
from lib.fodvid.settings import Settings, for_backbone
from lib.fodvid.train import SegmenterSettings

PAPER = Settings()


def places(axes):
    """Published cells that the axes of a cell stand for."""
    known = {(table.name, cell.row, cell.column) for table in load_tables("fodvid") for cell in table.cells}
    found = {place for axis in axes for it in axis.settings.values() for place in _places(it, axis.name)}
    return found & known


def test_own_leaves_what_goes_with_the_backbone():
    stand_in = for_backbone("efficientnet_lite0")
    assert cell_settings(stand_in, tau=OWN, alpha=OWN) == stand_in
    chosen = cell_settings(stand_in, tau=0.0, alpha=0.7)
    assert (chosen.tau, chosen.alpha) == (0.0, 0.7)
    assert chosen == stand_in.but(tau=0.0, alpha=0.7)


@pytest.mark.parametrize(
    ("tau", "alpha", "rows"),
    [
        (0.05, 0.7, {"edge threshold 0.05"}),
        (0.2, 0.7, {"edge threshold 0.20", "image weight 0.7"}),
        (0.2, 1.0, {"image weight 1.0"}),
        (0.3, 0.4, set()),
    ],
)
def test_a_cell_knows_its_places_in_table_3(tau, alpha, rows):
    axes = cell_axes(PAPER, tau=tau, alpha=alpha, training=None)
    assert places(axes) == {("table_3", row, "mean J") for row in rows}


def test_the_declared_sweep_covers_all_of_table_3():
    from lib.bench.sweeps import find_sweep

    found = set()
    for cell in find_sweep("fodvid/table_3").cells():
        found |= places(cell_axes(PAPER, tau=cell["tau"], alpha=cell["alpha"], training=None))
    table = next(it for it in load_tables("fodvid") if it.name == "table_3")
    assert found == {("table_3", cell.row, cell.column) for cell in table.cells}


@pytest.mark.parametrize("name", ["table_2", "table_4"])
def test_the_declared_sweeps_cover_tables_2_and_4(name):
    from lib.bench.sweeps import find_sweep

    found = set()
    for cell in find_sweep(f"fodvid/{name}").cells():
        base = for_backbone(cell.get("backbone", "dino_vitb8")).but(flow=cell.get("flow", "gmflow"))
        training = SegmenterSettings(epochs=cell["epochs"]) if "epochs" in cell else None
        found |= places(cell_axes(base, tau=OWN, alpha=OWN, training=training))
    table = next(it for it in load_tables("fodvid") if it.name == name)
    assert found >= {(name, cell.row, cell.column) for cell in table.cells}


def test_a_cell_of_other_constants_has_no_place_in_tables_2_and_4():
    axes = cell_axes(PAPER, tau=0.1, alpha=OWN, training=SegmenterSettings())
    assert {table for table, _, _ in places(axes)} == {"table_3"}
    assert all(it.training is None for axis in axes for it in axis.settings.values())


def test_refinement_is_one_training_with_and_without_crf():
    training = SegmenterSettings()
    axis = cell_axes(PAPER, tau=OWN, alpha=OWN, training=training)[-1]
    stages = [Variant(PAPER), Variant(PAPER, training), Variant(PAPER, training, "crf")]
    assert list(axis.settings.values()) == stages
    assert axis.default == f"{PAPER.flow}, {GRAPH_CUT}"
    assert axis.default in axis.settings


def test_without_a_folder_the_scene_is_one_simulated_take():
    ((scene,),) = cell_scenes("", clip="horse", seed=3, num_frames=4, height_px=64)
    assert (scene.num_frames, scene.origin.kind) == (4, "simulated")
