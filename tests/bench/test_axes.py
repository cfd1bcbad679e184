import pytest

from lib.bench.axes import axis_from_text, axis_from_yaml, cells_of, zip_from_text
from lib.bench.schema import parse_parameters
from lib.errors import SpecError

SCHEMA = parse_parameters(
    """\
tau: float = 0.2  # threshold, 0..1
count: int = 3  # how many, 1..20
is_fast: bool = True  # short way
rule: str = "max"  # rule, max | mean
note: str = ""  # anything
sizes: list = [1]  # windows, px, 1..9
more: dict = {}  # others
""",
    where="toy",
)


@pytest.mark.parametrize(
    ("name", "text", "values"),
    [
        ("tau", "0:0.4:0.05", [0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4]),
        ("tau", "0:1:0.3", [0.0, 0.3, 0.6, 0.9]),
        ("tau", "0.9:0.5:-0.2", [0.9, 0.7, 0.5]),
        ("tau", "0.2, 0.7,0.2", [0.2, 0.7, 0.2]),
        ("tau", "1", [1.0]),
        ("count", "1:7:3", [1, 4, 7]),
        ("count", "5,2", [5, 2]),
        ("is_fast", "true,false", [True, False]),
        ("rule", "max,mean", ["max", "mean"]),
        ("note", '"a,b",c:d', ["a,b", "c:d"]),
        ("note", "", [""]),
        ("sizes", "[1,2],[3]", [[1, 2], [3]]),
        ("more", '{"a": 1},{}', [{"a": 1}, {}]),
    ],
)
def test_a_text_stands_for_these_values(name, text, values):
    found = axis_from_text(SCHEMA[name], text)
    assert found == values
    assert [type(value) for value in found] == [type(value) for value in values]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("tau", "0:2:0.5", r"tau must lie within 0\.\.1: got 1\.5"),
        ("tau", "0:1", "tau takes first:last:step, as in 0:0.4:0.05: got '0:1'"),
        ("tau", "0:1:0", "the step must be finite, not 0, and lead from first to last"),
        ("tau", "0:1:-0.1", "lead from first to last"),
        ("tau", "0:1:nan", "the step must be finite"),
        ("tau", "0:1:1e-9", "tau has 1000000001 values, at most 100000"),
        ("tau", "0.1,high", "tau must be float: got 'high'"),
        ("count", "1:3:0.5", r"count must be int: got '1\.5'"),
        ("count", "0,1", r"count must lie within 1\.\.20: got 0"),
        ("rule", "max,median", "rule must be one of max | mean: got 'median'"),
        ("is_fast", "1", "is_fast must be bool"),
        ("sizes", "[1],2", "sizes must be list"),
        ("sizes", "[1", "sizes takes JSON values with commas between them"),
        ("sizes", "[10]", r"sizes must lie within 1\.\.9: got 10"),
    ],
)
def test_what_the_parameter_does_not_admit_is_said(name, text, said):
    with pytest.raises(SpecError, match=said.replace("|", r"\|")):
        axis_from_text(SCHEMA[name], text)


def test_a_file_gives_lists_or_texts():
    assert axis_from_yaml(SCHEMA["tau"], "0:0.2:0.1") == [0.0, 0.1, 0.2]
    assert axis_from_yaml(SCHEMA["tau"], [0, 0.5]) == [0.0, 0.5]
    assert axis_from_yaml(SCHEMA["sizes"], [[1], [2, 3]]) == [[1], [2, 3]]
    for wrong in (0.5, [], {"a": 1}):
        with pytest.raises(SpecError, match=r"tau takes a list of values or a text such as 0:0\.4:0\.05"):
            axis_from_yaml(SCHEMA["tau"], wrong)


def test_axes_make_a_grid_in_their_order():
    assert cells_of({"a": [1, 2], "b": ["x", "y"]}) == [
        {"a": 1, "b": "x"},
        {"a": 1, "b": "y"},
        {"a": 2, "b": "x"},
        {"a": 2, "b": "y"},
    ]
    assert cells_of({"a": [1, 1, True]}) == [{"a": 1}, {"a": True}]
    assert cells_of({}) == [{}]


def test_zipped_axes_step_together_within_the_grid():
    cells = cells_of({"a": [1, 2], "s": [0, 1], "b": ["x", "y"]}, [["a", "b"]])
    assert [tuple(cell.values()) for cell in cells] == [(1, 0, "x"), (1, 1, "x"), (2, 0, "y"), (2, 1, "y")]
    assert list(cells[0]) == ["a", "s", "b"]
    assert len(cells_of({"a": [1, 1], "b": ["x", "y"]}, [["a", "b"]])) == 2
    assert zip_from_text("a, b") == ["a", "b"]


@pytest.mark.parametrize(
    ("zips", "said"),
    [
        ([["a", "c"]], "--zip names 'c', which is no axis of this sweep"),
        ([["a"]], "--zip takes two or more axes"),
        ([["a", "a"]], "--zip takes two or more axes"),
        ([["a", "b"], ["b", "d"]], "each in one group only"),
        ([["a", "d"]], "need equally many values: a has 2, d has 3"),
    ],
)
def test_groups_that_can_not_step_together_are_said(zips, said):
    with pytest.raises(SpecError, match=said):
        cells_of({"a": [1, 2], "b": [1, 2], "d": [1, 2, 3]}, zips)


def test_too_many_cells_are_refused_before_any_is_made():
    with pytest.raises(SpecError, match="the axes make 1000000 cells"):
        cells_of({"a": list(range(1000)), "b": list(range(1000))})
