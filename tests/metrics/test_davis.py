"""J, F and statistics of DAVIS-2016 against its toolkit's numbers, and by hand."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lib.bench.published import load_tables
from lib.errors import DataMissing, ShapeError
from lib.metrics.davis import (
    MEAN_J,
    Statistics,
    boundary_f,
    boundary_map,
    davis_scores,
    jaccard,
    mean_over_sequences,
    statistics,
)

WIDTH = 854
SEQUENCES = ("blackswan", "bmx-trees", "horsejump-high")


def unpacked(packed: np.ndarray) -> Tensor:
    return torch.from_numpy(np.unpackbits(packed, axis=-1)[..., :WIDTH].astype(bool))


@pytest.mark.parametrize("name", SEQUENCES)
def test_sequences_of_the_toolkit(golden: Callable[[str], Any], name: str) -> None:
    masks, expected = golden("davis/masks.npz"), golden("davis/results.json")[name]
    scores = davis_scores(unpacked(masks[f"{name}_pred"]), unpacked(masks[f"{name}_gt"]))
    assert scores.frames_j == pytest.approx(expected["J"][1:-1], abs=1e-7)
    assert scores.frames_f == pytest.approx(expected["F"][1:-1], abs=1e-12)
    assert scores.f is not None
    for letter, found in (("J", scores.j), ("F", scores.f)):
        for statistic in ("mean", "recall", "decay"):
            assert getattr(found, statistic) == pytest.approx(expected[f"{letter}_{statistic}"], abs=1e-7)
    edge = boundary_map(unpacked(masks[f"{name}_gt"])[1].numpy())
    assert np.array_equal(edge, unpacked(masks[f"{name}_gt_boundary1"]).numpy())


def test_mean_of_sequences_of_the_toolkit(golden: Callable[[str], Any]) -> None:
    results = golden("davis/results.json")
    kinds = ("mean", "recall", "decay")
    found = mean_over_sequences(Statistics(*(results[name][f"J_{kind}"] for kind in kinds)) for name in SEQUENCES)
    expected = results["_mean_of_sequences"]
    assert (found.mean, found.recall, found.decay) == pytest.approx(
        tuple(expected[f"J_{kind}"] for kind in kinds), abs=1e-12
    )


def test_edge_cases_of_the_toolkit(golden: Callable[[str], Any]) -> None:
    masks = golden("davis/masks.npz")
    named = dict(zip(masks["edge_names"].tolist(), torch.from_numpy(masks["edge_masks"]), strict=True))
    cases = golden("davis/results.json")["_edge_cases"]
    assert len(cases) > 5
    for case in cases:
        mask, truth = named[case["pred"]], named[case["gt"]]
        assert jaccard(mask, truth) == pytest.approx(case["J"], abs=1e-7)
        assert boundary_f(mask, truth) == pytest.approx(case["F"], abs=1e-12)
        assert boundary_f(mask, truth, tolerance=2) == pytest.approx(case["F_bound_2px"], abs=1e-12)


def test_statistics_of_the_toolkit(golden: Callable[[str], Any]) -> None:
    for case in golden("davis/results.json")["_statistics_cases"]:
        found = statistics(case["values"])
        assert (found.mean, found.recall, found.decay) == pytest.approx((case["mean"], case["recall"], case["decay"]))


def test_first_and_last_frame_do_not_count() -> None:
    truth = torch.ones(4, 6, 8, dtype=torch.bool)
    masks = truth.clone()
    masks[0] = masks[3] = False
    masks[2, :, 4:] = False
    scores = davis_scores(masks, truth, boundaries=False)
    assert scores.frames_j == (1.0, 0.5)
    assert scores.j == Statistics(0.75, 0.5, 0.5)
    assert scores.f is None


def test_protocol_is_that_of_the_published_table() -> None:
    cells = [cell for cell in load_tables("fodvid")[0].cells if cell.column == MEAN_J.name]
    assert len(cells) == 15
    assert {cell.protocol for cell in cells} == {MEAN_J.protocol}


def test_bad_input() -> None:
    square = torch.ones(6, 8, dtype=torch.bool)
    with pytest.raises(ShapeError, match=r"got \(6, 8\) and \(6, 9\)"):
        jaccard(square, torch.ones(6, 9, dtype=torch.bool))
    with pytest.raises(ShapeError, match="must be bool"):
        boundary_f(square.float(), square)
    with pytest.raises(DataMissing, match="at least three"):
        davis_scores([square, square], [square, square])
    with pytest.raises(ShapeError, match="as many masks"):
        davis_scores([square] * 4, [square] * 5)
    with pytest.raises(DataMissing, match="no sequence"):
        mean_over_sequences([])
