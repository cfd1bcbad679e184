"""Layer tables and parameter counts of the three networks."""

import torch

from lib.zero_tig import Settings, ZeroIG, ZeroTIG


def count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_parameter_counts_are_the_tabled_ones() -> None:
    single, temporal = ZeroIG(), ZeroTIG()
    assert [count(part) for part in (single.denoiser, single.illuminator, single.reflector)] == [22275, 40579, 23718]
    assert [count(part) for part in (temporal.denoiser, temporal.illuminator, temporal.reflector)] == [
        22275,
        44035,
        26310,
    ]
    assert (count(single), count(temporal)) == (86572, 92620)


def test_layers_are_the_tabled_ones() -> None:
    shapes = {name: tuple(value.shape) for name, value in ZeroTIG().named_parameters() if name.endswith("weight")}
    assert shapes == {
        "denoiser.conv1.weight": (48, 3, 3, 3),
        "denoiser.conv2.weight": (48, 48, 3, 3),
        "denoiser.conv3.weight": (3, 48, 1, 1),
        "illuminator.in_conv.0.weight": (64, 9, 3, 3),
        "illuminator.conv.0.weight": (64, 64, 3, 3),
        "illuminator.conv.1.weight": (64,),
        "illuminator.out_conv.0.weight": (3, 64, 3, 3),
        "reflector.conv1.weight": (48, 12, 3, 3),
        "reflector.conv2.weight": (48, 48, 3, 3),
        "reflector.conv3.weight": (6, 48, 1, 1),
    }


def test_each_use_of_the_block_has_its_own_statistics() -> None:
    frame = torch.rand(1, 3, 24, 26)
    own, shared = ZeroIG(), ZeroIG(Settings(reference_quirks=True))
    for model in (own, shared):
        model.train().training_pass(frame)
    assert [int(use.num_batches_tracked) for use in own.illuminator.uses] == [1, 1, 1]
    assert int(own.illuminator.conv[1].num_batches_tracked) == 0
    assert int(shared.illuminator.conv[1].num_batches_tracked) == 3  # the published code
    first, second, third = (use.running_mean for use in own.illuminator.uses)
    assert not torch.equal(first, second)
    assert not torch.equal(second, third)


def test_evaluation_repeats_training_where_the_statistics_are_known() -> None:
    """Running statistics of one frame alone make evaluation what training was; shared ones do not."""
    frame = torch.rand(1, 3, 24, 26, generator=torch.Generator().manual_seed(0))
    gaps = {}
    for quirks in (False, True):
        torch.manual_seed(0)
        net = ZeroIG(Settings(reference_quirks=quirks)).illuminator
        torch.nn.init.normal_(net.conv[0].weight, 0, 0.1)
        with torch.no_grad():
            for _ in range(150):
                trained = net.train()(frame)
            gaps[quirks] = (net.eval()(frame) - trained).abs().max().item()
    assert gaps[False] < 1e-3  # the running variance is the unbiased one: 624 pixels, 0.2 % more
    assert gaps[True] > 20 * gaps[False]


def test_initialisation_of_the_illumination_net_is_the_published_one() -> None:
    torch.manual_seed(0)
    net = ZeroTIG().illuminator
    weights = net.conv[0].weight.detach()
    assert abs(weights.std().item() - 0.02) < 2e-4  # 36 864 numbers: the deviation's own is 7e-5
    assert net.conv[0].bias.abs().max() == 0
