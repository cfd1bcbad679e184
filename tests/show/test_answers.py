"""Exercises: whatever a student's function does, the check answers with one sentence."""

import pytest
import torch

from lib.show.answers import Answer, NotYetError, ask, called, graded, number_from, tensor_from


def test_praise_and_hints_become_answers():
    def missed() -> str:
        raise NotYetError("nearly")

    assert repr(graded(lambda: "well done")) == "solved: well done"
    assert graded(missed) == Answer(False, "nearly")


@pytest.mark.parametrize(
    ("answer", "says"),
    [(lambda x: ..., "write the body"), (lambda x: None, "write the body"), (lambda x: 1 / 0, "ZeroDivisionError")],
)
def test_an_unfinished_or_failing_function_is_named(answer, says):
    with pytest.raises(NotYetError, match=says):
        called(answer, 1)


def test_tensors_are_wanted_and_inputs_must_stay():
    given = torch.zeros(2)
    assert torch.equal(tensor_from(lambda x: x + 1, given), torch.ones(2))
    with pytest.raises(NotYetError, match="torch tensor"):
        tensor_from(lambda x: 3, given)
    with pytest.raises(NotYetError, match="inputs must stay"):
        tensor_from(lambda x: x.add_(1), given)
    assert torch.equal(given, torch.zeros(2))


def test_a_number_may_be_a_tensor_of_one_element_but_no_truth_value():
    assert number_from(lambda: torch.tensor([2.5])) == 2.5
    assert number_from(lambda: 3) == 3
    with pytest.raises(NotYetError, match="one number"):
        number_from(lambda: True)


def test_shape_and_value_are_asked_for():
    ask(torch.ones(2), torch.ones(2), "never")
    with pytest.raises(NotYetError, match="shape"):
        ask(torch.ones(2), torch.ones(3), "never")
    with pytest.raises(NotYetError, match="hint"):
        ask(torch.ones(2), torch.zeros(2), "hint")
