import json
import math
from pathlib import Path

import pytest

from lib.bench.schema import parse_parameters, read_schema
from lib.errors import SpecError

HEAD = 'profile: str = "smoke"\nseed: int = 0\ndevice: str = "auto"\n'


def one(line: str):
    (parameter,) = parse_parameters(line, where="toy").values()
    return parameter


def test_a_full_line_gives_type_default_help_unit_and_range():
    parameter = one("threshold: float = 0.25  # edge threshold, grey levels, 0..1")
    assert (parameter.type, parameter.default, parameter.help, parameter.unit) == (
        "float",
        0.25,
        "edge threshold",
        "grey levels",
    )
    assert (parameter.low, parameter.high, parameter.range) == (0, 1, "0..1")


@pytest.mark.parametrize(
    ("comment", "help_", "unit", "range_"),
    [
        ("", "", "", ""),
        ("# only help", "only help", "", ""),
        ("# help, px", "help", "px", ""),
        ("# help, -1..5", "help", "", "-1..5"),
        ("# help, s, 0..inf", "help", "s", "0..inf"),
        ("# help, 1e-3..2.5", "help", "", "0.001..2.5"),
        ("# help, 1 | 2 | 4", "help", "", "1 | 2 | 4"),
    ],
)
def test_unit_and_range_may_be_left_out(comment, help_, unit, range_):
    parameter = one(f"n: int = 1  {comment}")
    assert (parameter.help, parameter.unit, parameter.range) == (help_, unit, range_)


def test_text_of_a_default_may_hold_a_hash_and_letters_beyond_ascii():
    parameter = one('label: str = "é # 1"  # label')
    assert (parameter.default, parameter.help) == ("é # 1", "label")


@pytest.mark.parametrize(
    "line",
    [
        "threshold = 0.1",
        "threshold: float",
        "threshold: float = 0.1  # with t = 0.1",
        'name: str = "a=b"',
        "sizes: list = [1,\n 2]",
        "threshold: float = 1 / 3",
        "print('hello')",
        "n: int = 1  # one, two, three, 0..4",
    ],
)
def test_a_line_against_the_convention_is_shown_with_the_form_to_use(line):
    with pytest.raises(SpecError, match=r"toy: write one `name: type = literal  # help, unit, range` per line"):
        parse_parameters(line, where="toy")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("n: int | None = 1", "n has type int | None; valid: str, int, float, bool, list, dict"),
        ("n: int = 1.5", "default of n must be int: got 1.5 (float)"),
        ("n: int = 7  # count, 0..5", "default of n must lie within 0..5: got 7"),
        ("n: int = 1  # file, path", "n is a path and must be str: got int"),
        ("n: int = ", "the parameters cell is not Python"),
    ],
)
def test_a_wrong_declaration_says_what_is_wrong(line, said):
    with pytest.raises(SpecError) as error:
        parse_parameters(line, where="toy")
    assert said in str(error.value)


def test_an_int_becomes_a_float_where_one_is_asked_for():
    value = one("threshold: float = 0.1").check(1)
    assert value == 1.0
    assert isinstance(value, float)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("n: int = 1", True),
        ("n: int = 1", 1.0),
        ("n: int = 1", "1"),
        ("x: float = 1.0", True),
        ("x: float = 1.0", "1e-3"),
        ("x: float = 1.0", math.nan),
        ("x: float = 1.0", math.inf),
        ("b: bool = True", 1),
        ("b: bool = True", "true"),
        ("s: str = ''", 1),
        ("s: str = ''", Path("x")),
        ("v: list = []", (1, 2)),
        ("v: list = []", [math.nan]),
        ("v: list = []", [{1, 2}]),
        ("v: list = []  # sizes, 0..1", [0.5, 2]),
        ("v: list = []  # sizes, 0..1", [True]),
        ("v: list = []  # sizes, 0..1", ["a"]),
        ("d: dict = {}  # weights, 0..1", {"a": 2}),
        ("s: str = 'a'  # rule, a | b", "c"),
        ("n: int = 1  # levels, 1 | 2", 3),
        ("device: str = 'auto'", "gpu"),
        ("device: str = 'auto'", "cuda:x"),
    ],
)
def test_a_value_of_another_type_or_out_of_range_is_refused(line, value):
    with pytest.raises(SpecError, match=line.split(":")[0]):
        one(line).check(value)


@pytest.mark.parametrize(
    ("line", "text", "value"),
    [
        ("b: bool = False", "true", True),
        ("b: bool = True", "False", False),
        ("n: int = 0", "-3", -3),
        ("x: float = 0.0", "1e-3", 1e-3),
        ("x: float = 0.0", "2", 2.0),
        ("s: str = ''", "true", "true"),
        ("s: str = ''", "a=b", "a=b"),
        ("v: list = []", "[1, 2.5]", [1, 2.5]),
        ("d: dict = {}", '{"a": 1}', {"a": 1}),
        ("device: str = 'auto'", "cuda:1", "cuda:1"),
    ],
)
def test_text_of_the_command_line_becomes_the_declared_type(line, text, value):
    got = one(line).from_text(text)
    assert got == value
    assert type(got) is type(value)


@pytest.mark.parametrize(
    ("line", "text", "said"),
    [
        ("b: bool = False", "yes", "b must be bool (true or false): got 'yes'"),
        ("n: int = 0", "1.5", "n must be int: got '1.5'"),
        ("x: float = 0.0", "abc", "x must be float: got 'abc'"),
        ("v: list = []", "1,2", "v must be list (a JSON list such as [1, 2]): got '1,2'"),
        ("v: list = []", '{"a": 1}', "v must be list (a JSON list such as [1, 2]): got {'a': 1} (dict)"),
        ("s: str = 'max'  # rule, max | threshold", "treshold", "nearest: threshold"),
    ],
)
def test_wrong_text_says_what_is_wanted(line, text, said):
    with pytest.raises(SpecError) as error:
        one(line).from_text(text)
    assert said in str(error.value)


def test_papermill_sees_the_same_parameters(toys):
    import papermill

    path = toys.write().path
    seen = papermill.inspect_notebook(str(path).replace("{", "{{").replace("}", "}}"))
    ours = read_schema(path)
    assert list(seen) == list(ours)
    assert [it["inferred_type_name"] for it in seen.values()] == [it.type for it in ours.values()]


def test_the_first_three_and_the_number_of_parameters_are_fixed(toys):
    with pytest.raises(SpecError, match="must declare profile, seed and device first"):
        read_schema(toys.write(parameters="seed: int = 0\n").path)
    many = HEAD + "".join(f"n{i}: int = {i}\n" for i in range(10))
    with pytest.raises(SpecError, match="at most 12 parameters"):
        read_schema(toys.write(parameters=many).path)


@pytest.mark.parametrize("content", ["", "not json", "[]", '{"cells": [{}]}', json.dumps({"worksheets": []})])
def test_a_file_that_is_no_notebook_is_one_sentence(tmp_path, content):
    path = tmp_path / "a.ipynb"
    path.write_text(content)
    with pytest.raises(SpecError, match=r"a\.ipynb is not a notebook"):
        read_schema(path)


def test_a_notebook_without_a_parameters_cell_is_one_sentence(tmp_path):
    path = tmp_path / "a.ipynb"
    path.write_text('{"cells": []}')
    with pytest.raises(SpecError, match="no cell tagged 'parameters'"):
        read_schema(path)
