"""A small watch with truth, and a labeller that knows its room by heart."""

import pytest
from torch import Tensor, nn

from lib.context_reg.networks import LoadedNetwork, NetworkSettings
from lib.night_watch.chain import versions
from lib.night_watch.scene import Watch, watched_room


class KnowsByHeart(nn.Module):
    """Scores (B, C, H, W) that are highest for the given labels (H, W), whatever the picture."""

    def __init__(self, labels: Tensor, num_classes: int) -> None:
        super().__init__()
        self.scores = nn.functional.one_hot(labels, num_classes).permute(2, 0, 1).float()

    def forward(self, image: Tensor) -> Tensor:
        return self.scores.expand(len(image), -1, -1, -1)


@pytest.fixture(scope="session")
def watch() -> Watch:
    return watched_room(seed=0, num_frames=9, height_px=72)


@pytest.fixture(scope="session")
def videos(watch: Watch) -> dict[str, Tensor]:
    """Every version of the watch, by the shipped weights."""
    return versions(watch, epochs=0)


@pytest.fixture(scope="session")
def labeller(watch: Watch) -> LoadedNetwork:
    assert watch.truth is not None
    return LoadedNetwork(KnowsByHeart(watch.truth.labels, 40).eval(), NetworkSettings(num_classes=40))
