"""Checkpoints: every accepted form, all or nothing, and an answer for each kind of bad file."""

import pickle

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from lib.data.checkpoint import describe, fill, load_checkpoint, read_checkpoint
from lib.errors import DataMissing, LabError


def small_net():
    return nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3))


def numbers(net):
    return {name: value.clone() for name, value in net.state_dict().items()}


@pytest.fixture
def weights():
    torch.manual_seed(3)
    net = small_net()
    with torch.no_grad():
        for value in net.parameters():
            value.normal_()
    return numbers(net)


def assert_holds(net, weights):
    for name, value in net.state_dict().items():
        assert torch.equal(value, weights[name]), name


@pytest.mark.parametrize("wrap", [lambda w: w, lambda w: {"state_dict": w, "epoch": 3}, lambda w: {"model": w}])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_reads_every_form_of_a_torch_file(tmp_path, weights, wrap, prefix):
    path = tmp_path / "net.pth"
    torch.save(wrap({prefix + name: value for name, value in weights.items()}), path)
    net = small_net()
    load_checkpoint(net, path)
    assert_holds(net, weights)


def test_reads_safetensors(tmp_path, weights):
    path = tmp_path / "net.safetensors"
    save_file({"module." + name: value for name, value in weights.items()}, path)
    net = small_net()
    load_checkpoint(net, str(path))
    assert_holds(net, weights)


def test_half_precision_numbers_become_those_of_the_module(tmp_path, weights):
    path = tmp_path / "net.safetensors"
    save_file({name: value.half() if value.is_floating_point() else value for name, value in weights.items()}, path)
    net = small_net()
    load_checkpoint(net, path)
    assert net[0].weight.dtype == torch.float32
    assert torch.equal(net[0].weight, weights["0.weight"].half().float())


def test_step_counters_may_be_missing_and_keep_their_value(weights):
    net = small_net()
    net[1].num_batches_tracked.fill_(7)
    fill(net, {name: value for name, value in weights.items() if "num_batches" not in name}, source="test")
    assert net[1].num_batches_tracked == 7
    assert torch.equal(net[0].weight, weights["0.weight"])


def test_renames_and_leaves_out(weights):
    published = {f"body.{name}": value for name, value in weights.items()} | {"head.weight": torch.ones(4)}
    net = small_net()
    fill(net, published, source="test", rename=lambda key: key[5:] if key.startswith("body.") else None)
    assert_holds(net, weights)


def test_two_names_of_one_tensor_must_agree(weights):
    published = weights | {"twin.weight": weights["0.weight"].clone()}

    def rename(key):
        return key.replace("twin", "0")

    net = small_net()
    fill(net, published, source="test", rename=rename)
    assert_holds(net, weights)
    published["twin.weight"] += 1
    with pytest.raises(LabError, match=r"given twice with different numbers: twin.weight for 0.weight \(1\)"):
        fill(net, published, source="test", rename=rename)


def test_lists_what_does_not_fit_and_changes_nothing(weights):
    del weights["0.weight"]
    weights["0.bias"] = torch.zeros(5)
    weights["1.bias"][1] = torch.nan
    weights |= {f"extra{i}": torch.zeros(1) for i in range(7)}
    net = small_net()
    before = numbers(net)
    with pytest.raises(LabError) as caught:
        fill(net, weights, source="net.pth")
    message = str(caught.value)
    assert message.startswith("net.pth does not fit Sequential: missing: 0.weight (1); ")
    assert "unexpected: extra0, extra1, extra2, extra3, extra4, ... (7)" in message
    assert "wrong shape: 0.bias (5,) instead of (3,) (1)" in message
    assert "not finite: 1.bias (1)" in message
    assert "is of no kind known here" in message
    assert_holds(net, before)


def test_absent_file(tmp_path):
    with pytest.raises(DataMissing, match="no weights file at"):
        read_checkpoint(tmp_path / "nothing.pth")
    with pytest.raises(DataMissing, match="no weights file at"):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"PK\x03\x04 cut off"])
def test_file_that_is_no_checkpoint(tmp_path, suffix, content):
    path = tmp_path / f"net.{suffix}"
    path.write_bytes(content)
    with pytest.raises(LabError, match="net"):
        read_checkpoint(path)


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_file_that_was_cut_off(tmp_path, weights, suffix):
    path = tmp_path / f"net.{suffix}"
    if suffix == "pth":
        torch.save(weights, path)
    else:
        save_file(weights, path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(LabError, match="fetch it again"):
        read_checkpoint(path)


def test_a_pickle_never_runs_code(tmp_path):
    class Harm:
        def __reduce__(self):
            return (tmp_path.joinpath("harm").touch, ())

    path = tmp_path / "net.pth"
    for save in (torch.save, lambda harm, file: file.write_bytes(pickle.dumps(harm, protocol=2))):
        save(Harm(), path)
        with pytest.raises(LabError, match="could run code"):
            read_checkpoint(path)
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("content", [[1, 2], {}, {"state_dict": {"epoch": 3}}, torch.zeros(3)])
def test_torch_file_without_a_state_dict(tmp_path, content):
    path = tmp_path / "net.pth"
    torch.save(content, path)
    with pytest.raises(LabError, match="must hold a state dict of tensors"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("file", "kind"),
    [("raft_small", "a small RAFT"), ("zero_ig_lol", "a Zero-IG"), ("vgg16_hed_fp16", "a VGG")],
)
def test_says_what_a_real_file_looks_like(reference, file, kind):
    path = reference / "realdata" / "weights" / f"{file}.safetensors"
    if not path.is_file():
        pytest.skip(f"realdata/weights/{file}.safetensors is not in the reference material")
    assert kind in describe(read_checkpoint(path))
    with pytest.raises(LabError, match=kind):
        load_checkpoint(small_net(), path)


def test_names_torchvisions_networks_by_their_keys():
    from torchvision.models.optical_flow import raft_large, raft_small

    assert "torchvision's large RAFT" in describe(raft_large().state_dict())
    assert "torchvision's small RAFT" in describe(raft_small().state_dict())
