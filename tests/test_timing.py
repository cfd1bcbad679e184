"""Races: medians, ratios, absent peers named, groups judged by their geometric mean."""

import time

import torch

from lib.timing import Race, run_races


def test_races_print_a_table_and_name_what_is_absent(capsys):
    threads = torch.get_num_threads()
    races = [
        Race("quick work", lambda: time.sleep(0.001), "slow peer", lambda: time.sleep(0.01), 2.0, "group"),
        Race("other work", lambda: time.sleep(0.001), "slow peer", lambda: time.sleep(0.01), 2.0, "group"),
        Race("alone", lambda: None, "absent peer", "not installed", 3.0, check=lambda: "error 0"),
        Race("published", lambda: time.sleep(0.001), "paper", 1.0, 30.0),
        Race("impossible", "no GPU here", "peer", 1.0, 2.0),
    ]
    results = run_races(races, rounds=3)
    assert [result.ratio is None for result in results] == [False, False, True, False, True]
    assert results[0].ratio is not None
    assert 2 < results[0].ratio < 20
    text = capsys.readouterr().out
    assert "peer not run: not installed" in text
    assert "error 0" in text
    assert "not run: no GPU here" in text
    assert "geometric mean, group" in text
    assert "goal 2x: met" in text
    assert torch.get_num_threads() == threads


def test_every_row_of_the_speed_table_runs_and_agrees_with_its_peer():
    from lib.context_fusion import speed
    from lib.solvers.poisson import solve_poisson

    small = speed.random_picture(20, 31, seed=0)
    div = small - small.mean((-2, -1), keepdim=True)
    torch.testing.assert_close(
        solve_poisson(div), torch.from_numpy(speed.scipy_poisson(div.numpy())), atol=1e-5, rtol=0
    )
    solve = speed._pyamg_poisson(div)
    if not isinstance(solve, str):
        by_pyamg = torch.stack([torch.from_numpy(plane).view(20, 31) for plane in solve()])
        by_pyamg = by_pyamg - by_pyamg.mean((-2, -1), keepdim=True)
        torch.testing.assert_close(by_pyamg.float(), solve_poisson(div), atol=1e-3, rtol=0)


def test_a_slow_peer_runs_in_fewer_rounds(capsys):
    calls = {"ours": 0, "peer": 0}

    def count(name):
        calls[name] += 1

    race = Race("work", lambda: count("ours"), "slow", lambda: count("peer"), 2, peer_rounds=1)
    (result,) = run_races([race], rounds=3)
    assert calls == {"ours": 4, "peer": 2}  # one warm-up each
    assert result.ratio is not None
