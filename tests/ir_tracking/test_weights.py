"""The shipped network loads, is small, and finds a target; files of something else are refused."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from lib.data.weights import weights_file
from lib.errors import DataMissing, LabError
from lib.ir_tracking.evaluate import ours_without, run_tracker, score_run
from lib.ir_tracking.network import SiameseNetwork
from lib.ir_tracking.network_settings import NetworkSettings
from lib.ir_tracking.tracker import Tracker
from lib.ir_tracking.weights import SHIPPED, load_network, save_network
from tests.ir_tracking.moving_spots import spot_clip, straight


def test_the_shipped_network_is_small_and_tracks(device: torch.device) -> None:
    assert weights_file(SHIPPED).path.stat().st_size < 16e6
    network = load_network().to(device)
    assert network.settings == NetworkSettings.small()
    clip = spot_clip(straight(12), height=8.0)
    scores = score_run(run_tracker(Tracker(network), clip), clip)
    assert scores.precision_3 == 1
    assert scores.aor > 0.7


def test_saved_weights_and_settings_come_back(tmp_path: Path) -> None:
    torch.manual_seed(0)
    settings = NetworkSettings.small().but(head="correlation", fusion=False, inputs="frame")
    network = SiameseNetwork(settings)
    save_network(network, tmp_path / "network.safetensors")
    again = load_network(tmp_path / "network.safetensors")
    assert again.settings == settings
    assert not again.training
    for name, value in network.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    with pytest.raises(DataMissing):
        load_network(path)
    save_file({"weight": torch.zeros(1)}, path)
    with pytest.raises(LabError, match="its header has no network_settings"):
        load_network(path)


def test_each_part_can_be_left_out() -> None:
    made = ours_without()
    networks = {name: make().network_settings for name, make in made.items()}  # type: ignore[attr-defined]
    assert networks["ours, 300 steps"] == NetworkSettings.small()
    assert networks["without region selection"].head == "correlation"
    assert not networks["without fusion"].fusion
    assert networks["without filter"].inputs == "frame"
    clip = spot_clip(straight(6), height=15.0)
    for make in made.values():
        assert score_run(run_tracker(make(), clip), clip).precision_3 == 1
