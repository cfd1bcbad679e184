"""Rooms one after the other, and where everything comes from."""

import pytest
import torch

from lib.errors import DataMissing
from lib.night_watch import rounds
from lib.night_watch.chain import DAYLIGHT, ENHANCED, ENHANCED_IN_DAY, NIGHT
from lib.night_watch.measure import DAY, MEAN_OF_ALL, MEAN_OF_STILL, MEASURES
from lib.night_watch.rounds import LABELLER, Plan, load_tools, origins_of


@pytest.fixture(scope="module")
def tools():
    return load_tools(device="cpu")


def test_one_room_is_scored_in_every_version(tools, videos, monkeypatch):
    some = {name: videos[name] for name in (NIGHT, ENHANCED, ENHANCED_IN_DAY, DAYLIGHT)}
    monkeypatch.setattr(rounds, "versions", lambda watch, *, epochs, seed: some)  # they are made already
    row = rounds.scores_in_room(0, Plan(num_frames=9, height_px=72, device=torch.device("cpu")), tools)
    assert set(row) == {*some, DAY, MEAN_OF_ALL, MEAN_OF_STILL}
    assert set(row[NIGHT]) == set(MEASURES)
    assert set(row[DAYLIGHT]) == set(MEASURES) - {"psnr"}
    assert row[ENHANCED_IN_DAY]["psnr"] > row[NIGHT]["psnr"] + 10
    assert row[DAYLIGHT]["aor"] > 0.5


def test_rooms_are_gathered_by_row_and_measure(monkeypatch):
    plan = Plan(num_frames=9, height_px=72, device=torch.device("cpu"))
    monkeypatch.setattr(rounds, "scores_in_room", lambda seed, plan, tools: {"night": {"j": 10.0 * seed}})
    assert rounds.scores_in_rooms({"night": {"j": 1.0}}, [2, 3], plan, None) == {"night": {"j": [1.0, 20.0, 30.0]}}


def test_origins_name_all_networks_and_files_of_ones_own(tools):
    names = [one.name for one in origins_of(tools)]
    assert names[0].startswith("EfficientNet")
    assert names[1:] == ["zero_tig", "ir_siamese_short", "ir_siamese_no_filter", LABELLER]
    own = origins_of(tools, labeller="mine.safetensors")
    assert own[-1].name == "own labeller"
    assert LABELLER not in [one.name for one in own]


def test_a_labeller_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataMissing, match=r"absent\.safetensors"):
        load_tools(labeller=str(tmp_path / "absent.safetensors"), device="cpu")
