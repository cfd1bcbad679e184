"""Checks of exercises: each says in one sentence how far a student's function is, and never raises because of it."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

TOLERANCE = 1e-4


@dataclass(frozen=True)
class Answer:
    """Whether an exercise is solved, and what to look at next; a notebook shows it as one line."""

    solved: bool
    says: str

    def __repr__(self) -> str:
        return f"{'solved' if self.solved else 'not yet'}: {self.says}"


class NotYetError(Exception):
    """An answer that is not right yet; its text is the hint."""


def graded(examine: Callable[[], str]) -> Answer:
    """The answer of a check that returns praise or raises NotYetError."""
    try:
        return Answer(True, examine())
    except NotYetError as hint:
        return Answer(False, str(hint))


def called(answer: Callable[..., object], *inputs: object) -> object:
    """What the student's function returns."""
    try:
        result = answer(*inputs)
    except Exception as error:  # it may fail in any way, and the notebook must go on
        said = str(error).splitlines()[0] if str(error) else "no message"
        raise NotYetError(f"your function raised {type(error).__name__}: {said}") from error
    if result is None or result is ...:
        raise NotYetError("write the body of the function")
    return result


def tensor_from(answer: Callable[..., object], *inputs: object) -> Tensor:
    """What the student's function gives for copies of the inputs, as a float tensor without gradient."""
    copies = [item.clone() if isinstance(item, Tensor) else item for item in inputs]
    result = called(answer, *copies)
    if not isinstance(result, Tensor):
        raise NotYetError(f"a torch tensor is wanted: got {type(result).__name__}")
    tensors = [(item, copy) for item, copy in zip(inputs, copies, strict=True) if isinstance(item, Tensor)]
    if not all(torch.equal(item, copy) for item, copy in tensors if isinstance(copy, Tensor)):
        raise NotYetError("the inputs must stay as they are: make new tensors instead of changing them in place")
    return result.detach().float()


def number_from(answer: Callable[..., object], *inputs: object) -> float:
    """What the student's function gives, as a number."""
    result = called(answer, *(item.clone() if isinstance(item, Tensor) else item for item in inputs))
    if isinstance(result, Tensor) and result.numel() == 1:
        return float(result.detach())
    if isinstance(result, bool) or not isinstance(result, int | float):
        raise NotYetError(f"one number is wanted: got {type(result).__name__}")
    return float(result)


def near(first: Tensor, second: Tensor) -> bool:
    """Whether two tensors have one shape and differ by rounding alone."""
    return first.shape == second.shape and bool(torch.allclose(first, second, atol=TOLERANCE))


def ask(ours: Tensor, wanted: Tensor, hint: str) -> None:
    """Passes what is near to the wanted tensor; the hint, or the shape, is what a NotYetError says."""
    if ours.shape != wanted.shape:
        raise NotYetError(f"the result has shape {tuple(ours.shape)}, expected {tuple(wanted.shape)}")
    if not near(ours, wanted):
        raise NotYetError(hint)
