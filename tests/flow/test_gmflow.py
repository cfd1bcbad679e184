"""GMFlow: parity with the authors' networks layer by layer, layer tables, and what must hold for any weights."""

import pytest
import torch

from lib.data.checkpoint import load_checkpoint
from lib.errors import LabError, ShapeError
from lib.flow import load_flow
from lib.flow.gmflow import GMFlow

FORMS = {"basic": False, "refine": True}
# layers, where the reference stores float32: rounding of twelve attention layers, 3e-5 measured on values up to 16
LAYER_TOLERANCE = 2e-4
# pixels: the reference itself deviates by 1e-3 (basic) and 2e-3 (refined) between float32 and float64
FLOW_TOLERANCE = 5e-3
FLOW_MEAN_TOLERANCE = 5e-4


@pytest.fixture(scope="module")
def networks(procedural):
    """Both forms with the reference's procedural weights."""
    result = {}
    for name, refine in FORMS.items():
        net = GMFlow(refine=refine).eval().requires_grad_(False)
        net.load_state_dict(procedural(f"flow/gmflow_{name}_procedural.json"))
        result[name] = net
    return result


@pytest.fixture(params=FORMS)
def form(request):
    return request.param


@pytest.fixture
def pair(form, golden_image):
    arrays = f"flow/gmflow_{form}_procedural.npz"
    return golden_image(arrays, "img1"), golden_image(arrays, "img2")


@pytest.fixture
def data(form, golden):
    return golden(f"flow/gmflow_{form}_procedural.npz")


def assert_layer_agrees(found, expected):
    # float16 keeps 11 bits of the reference's value
    rtol, atol = (1e-3, 1e-3) if expected.dtype == "float16" else (0, LAYER_TOLERANCE)
    torch.testing.assert_close(found, torch.from_numpy(expected).to(found)[None], rtol=rtol, atol=atol)


def assert_flow_agrees(found, expected):
    difference = (found - torch.from_numpy(expected).to(found)).abs()
    assert difference.max() < FLOW_TOLERANCE
    assert difference.mean() < FLOW_MEAN_TOLERANCE


def test_agrees_with_the_authors_network_layer_by_layer(networks, form, pair, data, device):
    net = networks[form].to(device)
    a, b = (image.to(device) for image in pair)
    features, _ = net.features(a, b)
    for position, scale in enumerate(reversed(features)):
        assert_layer_agrees(scale, data[f"backbone_img1_{position}"])
    for scale_idx, scale in enumerate(net.scales(a, b)):
        assert_layer_agrees(scale.positioned, data[f"tr_in0_s{scale_idx}"])
        assert_layer_agrees(scale.first, data[f"tr_out0_s{scale_idx}"])
        assert_layer_agrees(scale.second, data[f"tr_out1_s{scale_idx}"])
        assert_flow_agrees(scale.matched, data[f"match_flow_s{scale_idx}"])
        assert_flow_agrees(scale.flow, data[f"prop_flow_s{scale_idx}"])
    flow = net(torch.cat((a, b)), torch.cat((b, a)))
    assert_flow_agrees(flow[0], data["flow"])
    if "flow_bw" in data:
        assert_flow_agrees(flow[1], data["flow_bw"])
    net.cpu()


def test_has_the_authors_names_and_number_of_parameters(form, golden):
    rule = golden(f"flow/gmflow_{form}_procedural.json")
    net = GMFlow(refine=FORMS[form])
    shapes = {name: list(value.shape) for name, value in net.state_dict().items()}
    assert shapes == {entry["name"]: entry["shape"] for entry in rule["tensors"]}
    assert sum(value.numel() for value in net.parameters()) == rule["param_count"]
    config = rule["config"]
    assert net.factor == config["upsample_factor"]
    assert len(net.scale_settings) == config["num_scales"]
    assert [scale.splits for scale in net.scale_settings] == config["attn_splits_list"]
    for field, key in [("match_radius", "corr_radius_list"), ("propagation_radius", "prop_radius_list")]:
        radii = [getattr(scale, field) for scale in net.scale_settings]
        assert [-1 if radius is None else radius for radius in radii] == config[key]


@pytest.mark.parametrize(("refine", "num_parameters", "multiple"), [(False, 4_680_288, 16), (True, 4_716_720, 32)])
def test_layer_table(refine, num_parameters, multiple):
    """fodvid sec. 5, where the reference material is absent."""
    net = GMFlow(refine=refine)
    assert sum(value.numel() for value in net.parameters()) == num_parameters
    assert net.multiple == multiple
    backbone = net.backbone
    assert [stage[0].conv1.stride[0] for stage in (backbone.layer1, backbone.layer2, backbone.layer3)] == [
        1,
        2,
        1 if refine else 2,
    ]
    assert len(net.transformer.layers) == 6
    assert net.transformer.layers[0].self_attn.mlp is None
    assert net.transformer.layers[5].cross_attn_ffn.mlp[0].weight.shape == (1024, 256)
    assert net.upsampler[2].out_channels == (144 if refine else 576)


def test_smallest_sizes_and_batches(networks, form, device):
    net = networks[form].to(device)
    for size in [(net.multiple, net.multiple), (net.multiple, 3 * net.multiple)]:
        a, b = torch.rand(2, 2, 3, *size, generator=torch.Generator().manual_seed(1)).to(device)
        flow = net(a, b)
        assert flow.shape == (2, 2, *size)
        assert flow.isfinite().all()
        torch.testing.assert_close(flow[1:], net(a[1:], b[1:]), rtol=0, atol=FLOW_TOLERANCE)
    net.cpu()


def test_flow_stays_float32_under_autocast(networks, form, pair, device):
    net = networks[form].to(device)
    a, b = (image[..., :32, :64].to(device) for image in pair)
    with torch.autocast(device.type, dtype=torch.float16):
        flow = net(a, b)
    assert flow.dtype == torch.float32
    exact = net(a, b)
    # random weights amplify the rounding of the features: 0.7 % and 2 % measured, eight times that with bfloat16
    assert (flow - exact).abs().mean() < 0.05 * exact.abs().mean()
    net.cpu()


def test_gradient_reaches_every_parameter(form):
    torch.manual_seed(0)
    net = GMFlow(refine=FORMS[form])
    net(*torch.rand(2, 1, 3, 32, 64)).square().mean().backward()
    without = [name for name, value in net.named_parameters() if value.grad is None or not value.grad.any()]
    # an instance norm takes every constant off again
    assert all(name.endswith("downsample.0.bias") for name in without)


def test_loads_a_checkpoint_in_the_authors_form(tmp_path, networks, form, pair, procedural):
    path = tmp_path / "gmflow.pth"
    torch.save({"model": procedural(f"flow/gmflow_{form}_procedural.json"), "step": 1}, path)
    net = GMFlow(refine=FORMS[form]).eval().requires_grad_(False)
    load_checkpoint(net, path)
    small = [image[..., :32, :32] for image in pair]
    assert torch.equal(net(*small), networks[form](*small))


def test_refuses_the_checkpoint_of_the_other_form(tmp_path, procedural):
    path = tmp_path / "gmflow.pth"
    torch.save({"model": procedural("flow/gmflow_basic_procedural.json")}, path)
    missing = r"missing: backbone.trident_conv.weight \(1\)"
    shapes = r"upsampler.2.weight \(576, 256, 1, 1\) instead of \(144, 256, 1, 1\)"
    with pytest.raises(LabError, match=rf"{missing}.*{shapes}.*looks like a basic GMFlow"):
        load_checkpoint(GMFlow(refine=True), path)


@pytest.mark.parametrize(("refine", "side"), [(False, 24), (True, 48)])
def test_refuses_unpadded_pictures(refine, side):
    with pytest.raises(ShapeError, match="multiples of"):
        GMFlow(refine=refine)(*torch.rand(2, 1, 3, 64, side))


@pytest.mark.parametrize("name", ["gmflow", "gmflow_refine"])
@pytest.mark.parametrize("size", [(1, 1), (37, 70)])
def test_any_size_through_load_flow(name, size, device):
    estimator = load_flow(name, weights=None)
    a, b = torch.rand(2, 2, 3, *size, generator=torch.Generator().manual_seed(1)).to(device)
    flow = estimator(a, b)
    assert flow.shape == (2, 2, *size)
    assert flow.device.type == device.type


def test_a_weights_file_through_load_flow_agrees_with_the_authors_network(tmp_path, form, pair, data, procedural):
    path = tmp_path / "gmflow.pth"
    torch.save({"model": procedural(f"flow/gmflow_{form}_procedural.json")}, path)
    estimator = load_flow("gmflow_refine" if FORMS[form] else "gmflow", weights=path, device="cpu")
    assert_flow_agrees(estimator(*pair)[0], data["flow"])
