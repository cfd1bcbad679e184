"""Which frames train and which test (sec. 3.2's 2:8), by sequence; by frame, as the paper's numbers suggest, to show
what leaks."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Generator

from lib.errors import SpecError

By = Literal["sequence", "frame"]
TEST_SHARE = 0.2  # sec. 3.2: 2:8


@dataclass(frozen=True)
class Split:
    """Frame numbers of each sequence, in order, that train and that test; together all of them, none twice."""

    train: tuple[tuple[int, ...], ...]
    test: tuple[tuple[int, ...], ...]

    @property
    def shared_sequences(self) -> int:
        """Number of sequences with frames on both sides: what a test score then measures is partly memory."""
        return sum(bool(train) and bool(test) for train, test in zip(self.train, self.test, strict=True))


def split(lengths: list[int], *, test_share: float = TEST_SHARE, by: By = "sequence", seed: int = 0) -> Split:
    """A random split of sequences of these lengths, at least one sequence (or frame) on each side.

    by: "sequence" keeps each sequence whole; "frame" draws single frames. Choice: the paper says "by sequence", but
    its 6785 of 33 925 frames are exactly a fifth, which whole sequences hardly give.
    """
    _check(lengths, test_share)
    generator = Generator().manual_seed(seed)
    places = [(idx, frame) for idx, length in enumerate(lengths) for frame in range(length)]
    units = places if by == "frame" else list(range(len(lengths)))
    num_test = min(max(round(test_share * len(units)), 1), len(units) - 1)
    order = torch.randperm(len(units), generator=generator).tolist()
    chosen = {units[idx] for idx in order[:num_test]}
    tests = [
        tuple(frame for frame in range(length) if ((idx, frame) if by == "frame" else idx) in chosen)
        for idx, length in enumerate(lengths)
    ]
    trains = [tuple(sorted(set(range(length)) - set(test))) for length, test in zip(lengths, tests, strict=True)]
    return Split(tuple(trains), tuple(tests))


def cross_validation(lengths: list[int], *, folds: int = 5, seed: int = 0) -> list[Split]:
    """Splits in which each sequence tests once. Choice: 5 folds, because the paper states none and a fifth tests."""
    _check(lengths, TEST_SHARE)
    if not 2 <= folds <= len(lengths):
        raise SpecError(f"folds must lie within 2..{len(lengths)}, the number of sequences: got {folds}")
    order = torch.randperm(len(lengths), generator=Generator().manual_seed(seed)).tolist()
    splits = []
    for fold in range(folds):
        chosen = set(order[fold::folds])
        whole = [tuple(range(length)) for length in lengths]
        splits.append(
            Split(
                tuple(() if idx in chosen else frames for idx, frames in enumerate(whole)),
                tuple(frames if idx in chosen else () for idx, frames in enumerate(whole)),
            )
        )
    return splits


def _check(lengths: list[int], test_share: float) -> None:
    if len(lengths) < 2 or min(lengths) < 1:
        raise SpecError(f"a split needs at least two sequences with a frame each: got lengths {lengths}")
    if not 0 < test_share < 1:
        raise SpecError(f"test_share must lie between 0 and 1: got {test_share!r}")
