import json
from types import SimpleNamespace

import pytest

from lib.bench import open_run
from lib.errors import SpecError
from lib.paths import paths

VALUES = {
    "profile": "smoke",
    "seed": 3,
    "device": "cpu",
    "threshold": 1,
    "is_fast": True,
    "sizes": [1],
    "rule": "max",
    "data": "",
    "some_other_global": object(),
}
SCENE = SimpleNamespace(name="scene", kind="simulated", licence="MIT", sha256="ab", source="made here")
SCORE = {
    "table": "t",
    "row": "r",
    "column": "c",
    "value": 1.5,
    "unit": "dB",
    "better": "higher",
    "protocol": "mean",
    "data": "scene",
}


@pytest.fixture
def run(toys):
    toys.write()
    return open_run("toy/1_method", VALUES)


def test_parameters_are_picked_from_the_globals_and_typed(run):
    assert list(run.values) == ["profile", "seed", "device", "threshold", "is_fast", "sizes", "rule", "data"]
    assert isinstance(run.values["threshold"], float)


def test_the_spec_is_sorted_text_without_device_and_paths(run, toys, tmp_path):
    assert run.spec().splitlines() == [
        "toy/1_method, profile smoke",
        "  data       embedded",
        "  is_fast    True",
        "  rule       max",
        "  seed       3",
        "  sizes      [1]",
        "  threshold  1.0",
    ]
    mine = open_run("toy/1_method", VALUES | {"data": str(tmp_path)})
    assert str(tmp_path) not in mine.spec()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"threshold": 2}, "threshold must lie within 0..1"),
        ({"profile": "smok"}, "no profile 'smok'; nearest: smoke"),
        ({"seed": "1"}, "seed must be int"),
        ({"data": "no/such"}, "data is no file or folder"),
    ],
)
def test_a_wrong_value_is_refused_as_on_the_command_line(toys, change, said):
    toys.write()
    with pytest.raises(SpecError, match=said):
        open_run("toy/1_method", VALUES | change)


def test_a_missing_parameter_and_another_notebooks_id_are_refused(toys, monkeypatch):
    toys.write()
    toys.write("2_ablation")
    with pytest.raises(SpecError, match="parameter seed has no value; run the parameters cell first"):
        open_run("toy/1_method", {name: value for name, value in VALUES.items() if name != "seed"})
    monkeypatch.setenv("NOCTURNE_RUN_ID", "toy/2_ablation")
    with pytest.raises(SpecError, match="open_run must name its own notebook toy/2_ablation"):
        open_run("toy/1_method", VALUES)


def test_generators_are_new_and_equal(run):
    assert run.generator().initial_seed() == 3
    assert run.generator() is not run.generator()
    assert run.device.type == "cpu"


def test_scores_need_a_known_origin_and_a_finite_number(run):
    with pytest.raises(SpecError, match="no origin 'scene' was added; valid: none"):
        run.add_score(**SCORE)
    run.add_origin(SCENE)
    with pytest.raises(SpecError, match="must be finite: got nan"):
        run.add_score(**SCORE | {"value": float("nan")})
    with pytest.raises(SpecError, match="must be finite"):
        run.add_score(**SCORE, interval=(0, float("inf")))
    with pytest.raises(SpecError, match="no origin 'vgg'"):
        run.add_score(**SCORE, weights="vgg")
    with pytest.raises(SpecError, match="better must be higher, lower or none"):
        run.add_score(**SCORE | {"better": "up"})
    with pytest.raises(SpecError, match="must be benchmark, sample or simulated"):
        run.add_origin(SimpleNamespace(**vars(SCENE) | {"kind": "real"}))


def test_a_cell_that_runs_again_replaces_what_it_noted(run):
    run.add_origin(SCENE)
    run.add_origin(SCENE)
    run.add_score(**SCORE)
    run.add_score(**SCORE | {"value": 2})
    assert [score.value for score in run.scores] == [2.0]
    assert len(run.origins) == 1


def test_finish_writes_everything_into_the_interactive_folder(run):
    from matplotlib.figure import Figure

    figure = Figure()
    figure.subplots().plot([1, 2])
    run.add_figure("line", figure, "A line")
    first = (run.folder / "figures" / "line.png").read_bytes()
    run.add_figure("line", figure, "A line")
    run.add_origin(SCENE)
    run.add_score(**SCORE, interval=(1, 2))
    run.finish()
    assert run.folder == paths().runs / "toy" / "1_method" / "interactive"
    content = json.loads((run.folder / "notebook.json").read_text())
    assert content["figures"] == [{"name": "line", "file": "figures/line.png", "caption": "A line"}]
    assert content["scores"][0]["interval"] == [1.0, 2.0]
    assert (content["device"], content["gpu"]) == ("cpu", "")
    assert (run.folder / "figures" / "line.png").read_bytes() == first


@pytest.mark.parametrize("name", ["", "a/b", "../a", "A line"])
def test_a_figures_name_is_a_plain_word(run, name):
    with pytest.raises(SpecError, match="a figure's name"):
        run.add_figure(name, None, "caption")
