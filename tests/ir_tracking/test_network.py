"""Layers, fusion, heads: sizes as in the table, oracles, gradients, folding, settings that can't be."""

import json

import pytest
import torch
import torch.nn.functional as F

from lib.errors import ShapeError, SpecError
from lib.ir_tracking.network import Fusion, SiameseNetwork, Trunk, correlate, correlate_depthwise
from lib.ir_tracking.network_settings import NetworkSettings

TINY = NetworkSettings(
    channels=(2, 3, 4, 3, 2), fused_width=3, head_width=2, ratios=(1,), scales=(2, 3), search_px=143,
    training_search_px=143, template_px=103,
)  # fmt: skip


def randomised(network: SiameseNetwork) -> SiameseNetwork:
    """Norms with statistics that are not those of a fresh layer."""
    generator = torch.Generator().manual_seed(1)
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            value.copy_(torch.rand(value.shape, generator=generator) * (1 if "running_var" in name else 0.6) + 0.05)
            if "weight" in name:
                value.sub_(0.3)
    return network.eval()


@pytest.mark.parametrize(("crop_px", "sizes"), [(127, (10, 8, 6)), (255, (26, 24, 22)), (287, (30, 28, 26))])
def test_sizes_of_the_layer_table(crop_px: int, sizes: tuple[int, ...]) -> None:
    settings = NetworkSettings(channels=(1, 1, 1, 1, 1))
    layers = Trunk(settings)(torch.zeros(2, 3, crop_px, crop_px))
    assert tuple(layer.shape[-1] for layer in layers) == sizes
    assert settings.trunk_size(crop_px) == sizes[-1]


def test_maps_of_the_paper_have_17_and_21_cells() -> None:
    paper = NetworkSettings.paper()
    assert (paper.map_size(255), paper.map_size(287), paper.stride, paper.num_anchors) == (17, 21, 8, 5)
    assert NetworkSettings.small().stride == 4


def test_default_network_has_the_widths_of_alexnet() -> None:
    network = SiameseNetwork()
    assert [tuple(conv.weight.shape[:2]) for conv in network.trunk.convs] == [
        (96, 3), (256, 96), (384, 256), (384, 384), (256, 384)
    ]  # fmt: skip
    assert network.fusion is not None
    assert network.fusion.conv.weight.shape == (256, 1024, 1, 1)


def test_fusion_aligns_layers_by_pooling_alone(device: torch.device) -> None:
    fusion = Fusion(TINY).to(device).eval()
    layers = Trunk(TINY).to(device).eval()(torch.randn(2, 3, 103, 103, device=device))
    fused = fusion(layers)
    assert fused.shape == (2, 3, layers[-1].shape[-1], layers[-1].shape[-1])
    # one cell by hand: maxima over 5x5, 3x3, 1x1, norms, then the 1x1 convolution
    row, column = 1, 2
    parts = [
        layer[:, :, row : row + reach, column : column + reach].amax(dim=(2, 3)) / (1 + 1e-5) ** 0.5
        for layer, reach in zip(layers, (5, 3, 1), strict=True)
    ]
    expected = torch.cat(parts, dim=1) @ fusion.conv.weight[:, :, 0, 0].T + fusion.conv.bias
    torch.testing.assert_close(fused[:, :, row, column], expected, atol=1e-5, rtol=1e-5)


def test_correlations_equal_a_loop(device: torch.device) -> None:
    features, kernels = torch.randn(3, 4, 6, 6, device=device), torch.randn(3, 8, 2, 2, device=device)
    expected = torch.stack(
        [F.conv2d(one[None], kernel.reshape(2, 4, 2, 2))[0] for one, kernel in zip(features, kernels, strict=True)]
    )
    torch.testing.assert_close(correlate(features, kernels), expected, atol=1e-5, rtol=1e-5)
    depthwise = correlate_depthwise(features, kernels[:, :4])
    for sample in range(3):
        for channel in range(4):
            alone = F.conv2d(features[sample, channel][None, None], kernels[sample, channel][None, None])
            torch.testing.assert_close(depthwise[sample, channel], alone[0, 0], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("head", ["up_channel", "depthwise", "correlation"])
@pytest.mark.parametrize("fusion", [True, False])
def test_folded_network_computes_the_same(head: str, fusion: bool, device: torch.device) -> None:
    network = randomised(SiameseNetwork(TINY.but(head=head, fusion=fusion))).to(device)
    z, x = torch.randn(2, 3, 103, 103, device=device), torch.randn(2, 3, 143, 143, device=device)
    with torch.no_grad():
        maps, folded = network(z, x), network.folded()(z, x)
    cells = TINY.map_size(143)
    assert maps.classes.shape[2:] == (cells, cells)
    scale = float(maps.classes.abs().max())
    torch.testing.assert_close(folded.classes, maps.classes, atol=1e-5 * scale, rtol=1e-4)
    if head == "correlation":
        assert maps.offsets is None
    else:
        assert maps.offsets.shape[1] == 4 * TINY.num_anchors
        torch.testing.assert_close(folded.offsets, maps.offsets, atol=1e-4 * float(maps.offsets.abs().max()), rtol=1e-4)
    assert not network.training


@pytest.mark.parametrize("head", ["up_channel", "depthwise", "correlation"])
def test_every_weight_gets_the_gradient_of_finite_differences(head: str) -> None:
    torch.manual_seed(0)
    settings = TINY.but(head=head, pool_strides=(2, 1), template_px=79, search_px=83, training_search_px=83)
    network = randomised(SiameseNetwork(settings)).double()
    z, x = torch.randn(1, 3, 79, 79, dtype=torch.float64), torch.randn(1, 3, 83, 83, dtype=torch.float64)

    def value() -> torch.Tensor:
        maps = network(z, x)
        total = maps.classes.square().sum()
        return total if maps.offsets is None else total + maps.offsets.sin().sum()

    value().backward()
    step = 1e-6
    for name, weight in network.named_parameters():
        assert weight.grad is not None, name
        direction = torch.randn_like(weight)
        with torch.no_grad():
            weight += step * direction
            high = value()
            weight -= 2 * step * direction
            low = value()
            weight += step * direction
        expected = float((weight.grad * direction).sum())
        assert float(high - low) / (2 * step) == pytest.approx(expected, rel=1e-4, abs=1e-6), name


def test_batch_of_pairs_is_each_pair_alone() -> None:
    network = randomised(SiameseNetwork(TINY))
    z, x = torch.randn(3, 3, 103, 103), torch.randn(3, 3, 143, 143)
    with torch.no_grad():
        together = network(z, x).classes
        alone = torch.cat([network(z[idx : idx + 1], x[idx : idx + 1]).classes for idx in range(3)])
    torch.testing.assert_close(together, alone, atol=1e-4 * float(alone.abs().max()), rtol=1e-4)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"head": "other"}, "up_channel, depthwise, correlation"),
        ({"inputs": "both"}, "filtered, all, frame"),
        ({"channels": (1, 2)}, "5 whole numbers"),
        ({"template_px": 128}, "119, 127, 135"),
        ({"search_px": 127, "template_px": 255}, "larger than the template"),
        ({"ratios": ()}, "ratios"),
        ({"scales": (0,)}, "scales"),
        ({"context_floor_px": -1}, "context_floor_px"),
        ({"pool_strides": (3, 1)}, "pool_strides"),
        ({"head_width": 0}, "head_width"),
    ],
)
def test_settings_that_cannot_be(changes: dict[str, object], words: str) -> None:
    with pytest.raises(SpecError, match=words):
        NetworkSettings().but(**changes)


def test_settings_survive_json() -> None:
    small = NetworkSettings.small()
    assert NetworkSettings.from_dict(json.loads(json.dumps(small.as_dict()))) == small
    with pytest.raises(SpecError, match="no field other"):
        NetworkSettings.from_dict({"other": 1})


def test_crops_of_another_form_are_refused() -> None:
    network = SiameseNetwork(TINY)
    for shape in ((3, 103, 103), (1, 1, 103, 103), (1, 3, 103, 111)):
        with pytest.raises(ShapeError, match="square with 3 planes"):
            network.features(torch.zeros(shape))
