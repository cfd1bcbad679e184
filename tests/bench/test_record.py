import json
from dataclasses import replace

import pytest

from lib.bench.record import Record, records, write_json
from lib.errors import DataMissing, LabError, SpecError
from lib.paths import paths


def saved(record: Record, name: str):
    folder = paths().runs / record.notebook / name
    folder.mkdir(parents=True)
    record.save(folder / "record.json")
    return folder


def test_a_record_comes_back_as_it_was_saved(tmp_path, record):
    record.save(tmp_path / "record.json")
    loaded = Record.load(tmp_path / "record.json")
    assert loaded == record
    assert loaded.folder == tmp_path
    assert loaded.paper == "toy"
    assert "folder" not in json.loads((tmp_path / "record.json").read_text())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema_version": 2}, "schema version 2, this version reads 1"),
        ({"extra": 1}, "extra"),
        ({"scores": [{"table": "t"}]}, "lacks a field"),
    ],
)
def test_a_record_of_another_form_is_refused_with_its_reason(tmp_path, record, change, said):
    file = tmp_path / "record.json"
    record.save(file)
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(SpecError, match=said):
        Record.load(file)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}"])
def test_a_damaged_record_is_refused(tmp_path, content):
    (tmp_path / "record.json").write_text(content)
    with pytest.raises(LabError):
        Record.load(tmp_path / "record.json")


def test_an_absent_record_is_missing_data(tmp_path):
    with pytest.raises(DataMissing, match="run the notebook first"):
        Record.load(tmp_path / "record.json")


def test_the_newest_record_of_each_notebook_and_profile_counts(toys, record):
    saved(record, "a")
    saved(replace(record, started="2003-01-01T00:00:00.000+00:00", seed=3), "b")
    saved(replace(record, started="2002-01-01T00:00:00.000+00:00", profile="paper"), "c")
    saved(replace(record, started="2004-01-01T00:00:00.000+00:00", notebook="other/1_method"), "d")
    assert [(it.notebook, it.profile, it.seed) for it in records()] == [
        ("other/1_method", "smoke", 0),
        ("toy/1_method", "smoke", 3),
        ("toy/1_method", "paper", 0),
    ]
    assert {it.paper for it in records("toy")} == {"toy"}
    assert records("none") == []


def test_unfinished_and_damaged_folders_are_no_records(toys, record, caplog):
    saved(record, ".partial-1-aa-host")
    folder = saved(record, "a")
    (folder / "record.json").write_text("{")
    assert records() == []
    assert "is not a record" in caplog.text


def test_a_write_that_fails_leaves_the_old_file_and_no_half(tmp_path):
    file = tmp_path / "a.json"
    write_json(file, {"a": 1})
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(file, {"a": float("nan")})
    assert json.loads(file.read_text()) == {"a": 1}
    assert list(tmp_path.iterdir()) == [file]
