from dataclasses import replace

import pytest

from lib.bench.views import runs_frame, scores_frame
from lib.errors import SpecError
from lib.paths import paths


@pytest.fixture
def runs(record):
    """Three runs of two papers: only those of `toy` have a tau."""
    toy = [
        replace(record, key=key * 64, parameters={"profile": "smoke", "seed": 0, "tau": tau, "sizes": [1, 2]})
        for key, tau in (("a", 0.1), ("b", 0.3))
    ]
    other = replace(record, key="c" * 64, notebook="other/1_method", parameters={"profile": "smoke", "seed": 1})
    return [*toy, other]


@pytest.mark.parametrize(
    ("where", "keys"),
    [
        ("", "abc"),
        ("paper == 'toy' and tau > 0.2", "b"),
        ("tau > 0.2 or paper == 'other'", "bc"),
        ("not tau > 0.2", "ac"),
        ("paper in ['toy', 'none']", "ab"),
        ("tau * 10 - 1 <= 0", "a"),
        ("0.05 < tau < 0.2", "a"),
        ("sizes == '[1, 2]'", "ab"),
        ("wall_time_s < -1", ""),
    ],
)
def test_an_expression_chooses_runs(runs, where, keys):
    assert "".join(key[0] for key in runs_frame(where, runs=runs)["key"]) == keys


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("tua > 0.2", "--where: no run has 'tua'; nearest: tau"),
        ("tau >", "--where takes an expression such as \"paper == 'fodvid' and tau > 0.2\": got 'tau >'"),
        ("tau", "--where takes a comparison"),
        ("tau = 0.2", "--where takes an expression such as"),
        ("__import__('os').system('true') == 0", "--where takes comparisons of columns"),
        ("paper.str.len() > 2", "--where takes comparisons of columns"),
        ("@runs == 1", "--where takes an expression"),
        ("`tau` > 1", "--where takes an expression"),
        ("[it for it in (1, 2)] == 1", "--where takes comparisons of columns"),
        ("paper > 3", "--where can't be applied to these columns"),
        ("tau > 'high'", "--where can't be applied to these columns"),
    ],
)
def test_an_expression_that_can_not_be_meant_is_one_sentence(runs, where, said):
    with pytest.raises(SpecError) as error:
        runs_frame(where, runs=runs)
    assert str(error.value).startswith(said)
    assert "\n" not in str(error.value)


def test_scores_are_one_line_each_with_the_columns_of_their_run(runs):
    frame = scores_frame("tau == 0.3 and column == 'c'", runs=runs)
    assert frame[["key", "table", "value", "unit", "tau"]].to_numpy().tolist() == [["b" * 12, "t", 1.5, "dB", 0.3]]


def test_no_runs_are_an_empty_view_and_no_error(toys):
    assert len(runs_frame()) == 0
    assert len(runs_frame("paper == 'toy'")) == 0


def test_the_command_shows_key_settings_and_what_the_expression_names(toys, nocturne, runs):
    for run in runs:
        folder = paths().runs / run.notebook / run.key[:12]
        folder.mkdir(parents=True)
        replace(run, changed=[name for name in ("tau",) if name in run.parameters]).save(folder / "record.json")
    said = nocturne("runs", "--where", "tau > 0.2")
    head, line, count = said.out.splitlines()
    assert head.split() == ["key", "notebook", "profile", "seed", "changed", "started", "wall_time_s", "tau"]
    assert line.split()[:5] == ["b" * 12, "toy/1_method", "smoke", "0", "tau=0.3"]
    assert (count, said.err, said.code) == ("1 runs", "", 0)
    assert nocturne("runs", "--scores").out.splitlines()[-1] == "3 scores"
    header, *lines = nocturne("runs", "--format", "csv").out.splitlines()
    assert header.startswith("key,paper,notebook,profile,seed,")
    assert len(lines) == 3
    assert nocturne("runs", "--where", "tua > 0").err == "nocturne: --where: no run has 'tua'; nearest: tau\n"
    assert nocturne("runs", "--format", "xml").code == 2
