import errno
from pathlib import Path

import pytest

from lib.data.atomic import appears_whole
from lib.errors import DataMissing, LabError


def test_file_appears_on_success_and_replaces_the_old_one(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with appears_whole(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def fail_inside(path, error, *, as_folder):
    with appears_whole(path) as partial:
        if as_folder:
            partial.mkdir()
            (partial / "1.png").write_bytes(b"half")
        else:
            partial.write_text("half")
        raise error("stop")


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, LabError, SystemExit])
@pytest.mark.parametrize("as_folder", [False, True])
def test_nothing_is_left_after_an_exception(tmp_path, error, as_folder):
    with pytest.raises(error, match="stop"):
        fail_inside(tmp_path / "a.txt", error, as_folder=as_folder)
    assert list(tmp_path.iterdir()) == []


def test_missing_parent_folder_is_named(tmp_path):
    with pytest.raises(DataMissing, match=r"nowhere does not exist"), appears_whole(tmp_path / "nowhere" / "a.txt"):
        pass


def test_read_only_folder_is_one_sentence(read_only_folder):
    path = read_only_folder / "a.txt"
    with pytest.raises(LabError, match=r"read-only|may not be written"), appears_whole(path) as partial:
        partial.write_text("x")


def test_full_disk_is_one_sentence_and_leaves_nothing(small_disk):
    path = small_disk / "a.bin"
    with pytest.raises(LabError, match="disk is full"), appears_whole(path) as partial:
        partial.write_bytes(bytes(1 << 20))
    assert list(small_disk.iterdir()) == []


def test_a_folder_that_cannot_be_written_shows_before_the_work(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "touch", refuse)
    worked = []
    with pytest.raises(LabError, match="may not be written; choose another one"), appears_whole(tmp_path / "out.mp4"):
        worked.append(True)
    assert not worked
    assert list(tmp_path.iterdir()) == []
