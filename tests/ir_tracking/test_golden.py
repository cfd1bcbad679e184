"""Network, anchors, crops and selection against the published code's numbers."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lib.data.checkpoint import fill
from lib.ir_tracking.anchors import anchor_grid, anchor_sizes, anchor_targets, negative_pair_window, overlap, to_corners
from lib.ir_tracking.crops import Window, context_side, rounded_crop, search_side
from lib.ir_tracking.network import RegionMaps, SiameseNetwork
from lib.ir_tracking.network_settings import NetworkSettings
from lib.ir_tracking.select import select
from lib.ir_tracking.tracker import Tracker
from lib.ir_tracking.tracker_settings import TrackerSettings

Golden = Callable[[str], Any]
PAPER = NetworkSettings.paper()
# theirs: index in a Sequential of conv, norm, pool, relu
TRUNK_IDX = {"0": "convs.0", "1": "norms.0", "4": "convs.1", "5": "norms.1", "8": "convs.2", "9": "norms.2",
             "11": "convs.3", "12": "norms.3", "14": "convs.4", "15": "norms.4"}  # fmt: skip
HEAD_PARTS = {
    "template_cls_conv": "template_classes",
    "template_loc_conv": "template_offsets",
    "search_cls_conv": "search_classes",
    "search_loc_conv": "search_offsets",
    "loc_adjust": "adjust",
    "conv_kernel": "template",
    "conv_search": "search",
}


def own_name(name: str, head: str) -> str | None:
    """This project's name of a reference parameter; None for those of the other head."""
    part, rest = name.split(".", 1)
    if part == "backbone":
        _, idx, kind = rest.split(".")
        return f"trunk.{TRUNK_IDX[idx]}.{kind}"
    if part != head:
        return None
    for theirs, ours in HEAD_PARTS.items():
        rest = rest.replace(theirs, ours)
    if rest.startswith(("cls.", "loc.")):
        rest = {"cls": "classes", "loc": "offsets"}[rest[:3]] + rest[3:]
    return f"head.{rest}"


def procedural(rule: dict[str, Any]) -> dict[str, Tensor]:
    weights = {}
    for entry in rule["tensors"]:
        z = np.random.RandomState(rule["seed0"] + entry["i"]).randn(*entry["shape"])
        values = entry["mean"] + entry["std"] * (np.abs(z) if entry["form"] == "abs" else z)
        weights[entry["name"]] = torch.from_numpy(values.astype(np.float32))
    return weights


def relative(ours: Tensor, theirs: np.ndarray) -> float:
    """Largest difference over the largest reference value."""
    reference = torch.from_numpy(theirs).to(ours)
    return float((ours - reference).abs().max() / reference.abs().max())


class Scaled(nn.Module):
    """Features times 0.3, as the reference data were made."""

    def forward(self, features: list[Tensor]) -> Tensor:
        return 0.3 * features[-1]


@pytest.mark.parametrize(("head", "theirs"), [("up_channel", "up"), ("depthwise", "dw")])
def test_trunk_and_heads(golden: Golden, head: Any, theirs: str, device: torch.device) -> None:
    stored = golden("tracking/tracking.npz")
    network = SiameseNetwork(PAPER.but(fusion=False, head=head)).eval()
    weights = procedural(golden("tracking/siamrpn_alex_procedural.json"))
    fill(network, weights, source="procedural", rename=lambda name: own_name(name, theirs))
    network.fusion = Scaled()  # type: ignore[assignment]
    network = network.to(device)
    z, x = (torch.from_numpy(stored[name]).float().to(device)[None] / 64 - 2 for name in ("net_z", "net_x"))
    with torch.no_grad():
        template_features, search_features = network.features(z)[0], network.features(x)[0]
        maps = network(z, x)
        folded = network.folded()(z, x)
    assert relative(template_features.cpu(), stored["net_zf"]) < 1e-4
    assert relative(search_features.cpu(), stored["net_xf"]) < 1e-3  # stored in half precision
    assert maps.offsets is not None
    assert folded.offsets is not None
    for ours, name in ((maps.classes, "cls"), (maps.offsets, "loc"), (folded.classes, "cls"), (folded.offsets, "loc")):
        assert relative(ours[0].cpu(), stored[f"net_{theirs}_{name}"]) < 1e-4


def test_anchors(golden: Golden) -> None:
    stored, cases = golden("tracking/tracking.npz"), golden("tracking/tracking.json")["anchors"]
    for idx, case in enumerate(cases):
        settings = PAPER.but(ratios=tuple(case["ratios"]), scales=tuple(case["scales"]))
        assert settings.stride == case["stride"]
        sizes = anchor_sizes(settings.stride, settings.ratios, settings.scales)
        assert sizes.tolist() == case["wh"]
        grid = anchor_grid(settings, case["size"])
        assert np.array_equal(grid.reshape(4, -1).T, stored[f"anchors{idx}_flat_tracker_cxcywh"])
        from_corner = grid.clone()
        from_corner[:2] += case["im_c"]
        assert np.array_equal(from_corner, stored[f"anchors{idx}_centre_xywh"])
        assert np.array_equal(to_corners(from_corner), stored[f"anchors{idx}_corner"])


def test_targets(golden: Golden) -> None:
    stored, cases = golden("tracking/tracking.npz"), golden("tracking/tracking.json")["targets"]
    for case in cases:
        anchors = anchor_grid(PAPER, case["output_size"])
        x0, y0, x1, y1 = (value - case["search_size"] // 2 for value in case["target_xyxy"])
        target = torch.tensor([(x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0])
        found = anchor_targets(anchors, target, stride=PAPER.stride)
        assert np.array_equal(found.classes, stored[f"{case['tag']}_cls_all"])
        assert [int((found.classes == value).sum()) for value in (1, 0, -1)] == [
            case["n_pos"], case["n_neg"], case["n_ignore"]
        ]  # fmt: skip
        delta = stored[f"{case['tag']}_delta"]
        np.testing.assert_allclose(found.offsets, delta, rtol=0, atol=1e-5 if delta.dtype == np.float32 else 2e-2)
        shares = overlap(to_corners(anchors), to_corners(target[:, None, None, None]))
        np.testing.assert_allclose(shares, stored[f"{case['tag']}_overlap"], atol=1e-5)
        around = negative_pair_window(target, stride=PAPER.stride, num_cells=case["output_size"])
        assert np.array_equal(around.expand(found.classes.shape), stored[f"{case['tag']}_negpair_window"])
        if f"{case['tag']}_delta_weight_all" in stored:
            np.testing.assert_allclose(found.weights, stored[f"{case['tag']}_delta_weight_all"], atol=1e-6)
        generator = torch.Generator().manual_seed(3)
        drawn = anchor_targets(anchors, target, stride=PAPER.stride, generator=generator)
        assert int((drawn.classes == 1).sum()) == case["sampled_pos"]
        assert int((drawn.classes == 0).sum()) == case["sampled_neg"]
        assert float(drawn.weights.max()) == pytest.approx(case["sampled_delta_weight"], abs=1e-6)
        other = anchor_targets(anchors, target, stride=PAPER.stride, generator=generator, is_pair=False)
        assert int((other.classes == 0).sum()) == case["negpair_sampled"]
        assert int((other.classes == 1).sum()) == 0


def test_crops(golden: Golden) -> None:
    stored, cases = golden("tracking/tracking.npz"), golden("tracking/tracking.json")
    image = torch.from_numpy(stored["crop_image_bgr"]).permute(2, 0, 1).float()
    fill_value = torch.tensor(cases["channel_fill_uint8"])
    assert torch.equal(image.mean(dim=(1, 2)).trunc(), fill_value.float())
    num_compared = 0
    for number, case in enumerate(cases["crop_geometry"]):
        x, y, w, h = case["box_xywh"]
        side = context_side(w, h)
        assert side == pytest.approx(case["s_z"])
        search = search_side(side, PAPER, search_px=case["instance"])
        assert search == pytest.approx(case["s_x"])
        for kind, size, of_side, out in (
            ("z", "z127", side, 127),
            ("x", f"x{case['instance']}", search, case["instance"]),
        ):
            name = f"crop{number // 2}_{size}"
            if name not in stored or (kind == "z" and number % 2):
                continue
            crop = rounded_crop(image, Window(x + w / 2, y + h / 2, of_side), out)
            assert float((crop.round() - torch.from_numpy(stored[name]).float()).abs().max()) <= 1, name
            num_compared += 1
    assert num_compared >= 7


def test_selection_over_four_steps(golden: Golden) -> None:
    stored, cases = golden("tracking/tracking.npz"), golden("tracking/tracking.json")
    for number in range(2):
        case = cases[f"post{number}"]
        anchors = anchor_grid(PAPER, case["score_size"])
        for idx, step in enumerate(case["steps"]):
            maps = RegionMaps(*(torch.from_numpy(stored[f"post{number}_{name}{idx}"])[None] for name in ("cls", "loc")))
            width, height = step["size_before"]
            zoom = 127 / context_side(width, height)
            assert zoom == pytest.approx(step["scale_z"])
            found = select(
                maps, anchors, zoom * torch.tensor([[width, height]]),
                penalty_strength=case["penalty_k"], window_influence=case["window_influence"],
            )  # fmt: skip
            assert int(found.idx) == step["best_idx"]
            assert float(found.scores) == pytest.approx(step["score_best"], abs=1e-5)
            assert float(found.penalties) == pytest.approx(step["penalty_best"], abs=1e-5)
            assert float(found.ranks) == pytest.approx(step["pscore_best"], abs=1e-5)
            np.testing.assert_allclose(found.boxes[0], step["raw_box_best"], rtol=1e-5, atol=1e-4)


class Played(nn.Module):
    """Stands for a network: gives the stored maps, one step after the other."""

    def __init__(self, settings: NetworkSettings, maps: list[RegionMaps]) -> None:
        super().__init__()
        self.settings, self.maps = settings, maps
        self.weight = nn.Parameter(torch.zeros((), dtype=torch.float64))

    def template(self, crops: Tensor) -> list[Tensor]:
        assert crops.shape[-1] == 127
        return [crops]

    def search(self, kernels: list[Tensor], crops: Tensor) -> RegionMaps:
        assert crops.shape[-1] == self.settings.search_px
        return self.maps.pop(0)


@pytest.mark.parametrize("number", [0, 1])
def test_tracker_over_four_steps(golden: Golden, number: int) -> None:
    stored, case = golden("tracking/tracking.npz"), golden("tracking/tracking.json")[f"post{number}"]
    maps = [
        RegionMaps(*(torch.from_numpy(stored[f"post{number}_{name}{idx}"]).double()[None] for name in ("cls", "loc")))
        for idx in range(4)
    ]
    # the second case's map of 25 cells comes from a padded search; a crop of 319 gives as many, at the zoom of 255
    settings = PAPER.but(search_px=287 if number == 0 else 319)
    tracker = Tracker(
        Played(settings, maps),  # type: ignore[arg-type]
        TrackerSettings.paper().but(
            penalty_strength=case["penalty_k"], window_influence=case["window_influence"], size_rate=case["lr"]
        ),
        folded=False,
    )
    height, width = case["image_hw"]
    frame = torch.zeros(1, height, width)
    tracker.start(frame, case["start_box"])
    for step in case["steps"]:
        track = tracker.step(frame)
        assert track.score == pytest.approx(step["score_best"], abs=1e-6)
        np.testing.assert_allclose(track.box, step["bbox_out"], rtol=1e-5, atol=1e-5)
