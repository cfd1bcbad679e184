"""The same watch kept in several rooms: scores by seed; and where scenes and weights come from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch

from lib.context_reg.networks import SHIPPED as LABELLER
from lib.context_reg.networks import load_network as load_labeller
from lib.data.origin import Origin
from lib.data.weights import weights_file
from lib.fodvid.evaluate import weights_origin as discovery_origin
from lib.ir_tracking import load_network as load_tracker
from lib.night_watch.chain import Tools, make_discoverer, versions
from lib.night_watch.measure import look_at_all, scores_of, start_box
from lib.night_watch.scene import Watch, WatchSettings, watched_room
from lib.show.progress import progress
from lib.show.scores import Scores, by_seed
from lib.zero_tig.weights import SHIPPED as ENHANCER

TRACKER, TRACKER_WITHOUT_FILTER = "ir_siamese_short", "ir_siamese_no_filter"  # trained alike, 300 steps


def load_tools(*, labeller: str = "", device: torch.device | str) -> Tools:
    """The networks of steps 3 to 5. labeller: a file, or "" for the shipped one.

    Raises Unavailable or DataMissing where one is not there.
    """
    return Tools(
        make_discoverer(device=device),
        load_tracker(TRACKER),
        load_tracker(TRACKER_WITHOUT_FILTER),
        load_labeller(labeller or LABELLER),
    )


def origins_of(tools: Tools, *, labeller: str = "") -> list[Origin]:
    """Where the weights of all steps come from."""
    names = [ENHANCER, TRACKER, TRACKER_WITHOUT_FILTER] + ([] if labeller else [LABELLER])
    held = [weights_file(name) for name in names]
    own = [Origin("own labeller", "sample", "that of its training", "", "given by the user")] if labeller else []
    return [
        discovery_origin(tools.discoverer),
        *(Origin(one.name, "sample", one.licence, one.sha256, one.source) for one in held),
        *own,
    ]


@dataclass(frozen=True)
class Plan:
    """How rooms are watched. epochs: of fine-tuning the enhancement on each video; 0: the shipped network as it is."""

    num_frames: int
    height_px: int
    device: torch.device
    epochs: int = 0
    settings: WatchSettings = field(default_factory=WatchSettings)

    def watch(self, seed: int) -> Watch:
        """The room of a seed."""
        watch = watched_room(seed=seed, num_frames=self.num_frames, height_px=self.height_px, settings=self.settings)
        return watch.to(self.device)


def scores_in_room(seed: int, plan: Plan, tools: Tools) -> dict[str, dict[str, float]]:
    """Scores of every version in the room of one seed; see `scores_of`."""
    watch = plan.watch(seed)
    videos = versions(watch, epochs=plan.epochs, seed=seed)
    return scores_of(watch, videos, look_at_all(videos, tools, start_box(watch, videos)), tools.labeller)


def scores_in_rooms(first: Mapping[str, Mapping[str, float]], seeds: Sequence[int], plan: Plan, tools: Tools) -> Scores:
    """Scores of a room that is done already and of those of more seeds: row -> measure -> one value a room."""
    rooms = [first, *(scores_in_room(seed, plan, tools) for seed in progress(seeds, label="rooms"))]
    return by_seed({name: [room[name] for room in rooms] for name in first})
