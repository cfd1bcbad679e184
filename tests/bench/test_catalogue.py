import os

import pytest

from lib.bench.catalogue import find_notebook, list_notebooks, values_from_text
from lib.errors import SpecError

TEACH = "profile: teach\nthreshold: 0.5\n"


def test_notebooks_are_listed_by_id_with_title_and_profiles(toys):
    toys.write("2_ablation")
    toys.write("1_method", profiles={"paper": "profile: paper\n", "teach": TEACH})
    first, second = list_notebooks()
    assert (first.id, first.paper, first.name, first.title) == ("toy/1_method", "toy", "1_method", "Toy 1_method")
    assert first.profiles == ["smoke", "teach", "paper"]
    assert second.profiles == ["smoke"]


def test_checkpoint_copies_are_not_notebooks(toys):
    folder = toys.write().path.parent
    for place in (folder, folder.parent):  # of a notebook of a paper, and of one of none
        copy = place / ".ipynb_checkpoints" / "1_method-checkpoint.ipynb"
        copy.parent.mkdir()
        copy.write_text("{}")
    assert [notebook.id for notebook in list_notebooks()] == ["toy/1_method"]


def test_a_notebook_is_found_by_id_or_by_file(toys):
    notebook = toys.write()
    assert find_notebook("toy/1_method") == notebook
    assert find_notebook("notebooks/toy/1_method.ipynb") == notebook
    with pytest.raises(SpecError, match=r"no notebook 'toy/1_methd'; nearest: toy/1_method"):
        find_notebook("toy/1_methd")


def test_values_come_from_defaults_then_profile_then_overrides(toys):
    notebook = toys.write(profiles={"teach": TEACH})
    assert notebook.resolve("smoke", {})["threshold"] == 0.1
    assert notebook.resolve("teach", {})["threshold"] == 0.5
    values = notebook.resolve("teach", {"threshold": 1})
    assert (values["threshold"], values["profile"]) == (1.0, "teach")


@pytest.mark.parametrize(
    ("profile", "overrides", "said"),
    [
        ("teech", {}, "toy/1_method has no profile 'teech'; nearest: teach"),
        ("smoke", {"treshold": 0.1}, "toy/1_method has no parameter 'treshold'; nearest: threshold"),
        ("smoke", {"zzz": 0.1}, "no parameter 'zzz'; valid: profile, seed, device, threshold"),
        ("smoke", {"threshold": 2}, "toy/1_method: threshold must lie within 0..1: got 2.0"),
        ("smoke", {"profile": "teach"}, "--profile NAME"),
        ("smoke", {"data": "no/such"}, "toy/1_method: data is no file or folder: got 'no/such'"),
    ],
)
def test_a_wrong_request_is_one_sentence_with_the_nearest_names(toys, profile, overrides, said):
    notebook = toys.write(profiles={"teach": TEACH})
    with pytest.raises(SpecError) as error:
        notebook.resolve(profile, overrides)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("treshold: 0.5", "no parameter 'treshold'; nearest: threshold"),
        ("threshold: 1e-3", "threshold must be float: got '1e-3' (str)"),
        ("[1, 2]", "must be a flat list"),
        ("profile: paper", "with `profile: teach`"),
        ("a: [", "is not YAML"),
    ],
)
def test_a_wrong_profile_file_is_one_sentence(toys, text, said):
    notebook = toys.write(profiles={"teach": text})
    with pytest.raises(SpecError) as error:
        notebook.resolve("teach", {})
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_an_empty_profile_is_the_defaults(toys):
    assert toys.write(profiles={"teach": ""}).resolve("teach", {})["threshold"] == 0.1


def test_paths_count_from_the_caller_or_from_the_notebook(toys, tmp_path, monkeypatch):
    notebook = toys.write(profiles={"paper": "data: here.txt\n"})
    (notebook.path.parent / "here.txt").write_text("a")
    (tmp_path / "mine.txt").write_text("b")
    monkeypatch.chdir(tmp_path)
    assert notebook.resolve("paper", {})["data"] == str(notebook.path.parent / "here.txt")
    assert notebook.resolve("smoke", {"data": "mine.txt"})["data"] == os.path.join(tmp_path, "mine.txt")
    assert notebook.resolve("smoke", {})["data"] == ""


def test_command_line_text_is_typed_by_the_schema(toys):
    notebook = toys.write()
    values = values_from_text(notebook, {"is_fast": "false", "sizes": "[3]", "threshold": "1"})
    assert values == {"is_fast": False, "sizes": [3], "threshold": 1.0}
    with pytest.raises(SpecError, match="toy/1_method: is_fast must be bool"):
        values_from_text(notebook, {"is_fast": "1"})
    with pytest.raises(SpecError, match="nearest: seed"):
        values_from_text(notebook, {"sed": "1"})
