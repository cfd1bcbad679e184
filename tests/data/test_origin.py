import hashlib

import pytest

from lib.data.origin import file_sha256, folder_sha256
from lib.errors import DataMissing


def test_file_sha256_is_that_of_its_bytes(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"night" * 1_000_000)
    assert file_sha256(path) == hashlib.sha256(b"night" * 1_000_000).hexdigest()


def test_folder_sha256_lists_files_by_sorted_path(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "2.txt").write_bytes(b"two")
    (tmp_path / "a.txt").write_bytes(b"one")
    (tmp_path / ".litter").write_bytes(b"x")
    lines = "".join(f"{hashlib.sha256(c).hexdigest()}  {n}\n" for c, n in ((b"one", "a.txt"), (b"two", "b/2.txt")))
    assert folder_sha256(tmp_path) == hashlib.sha256(lines.encode()).hexdigest()


def test_folder_sha256_sees_a_renamed_file(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"one")
    before = folder_sha256(tmp_path)
    (tmp_path / "a.txt").rename(tmp_path / "b.txt")
    assert folder_sha256(tmp_path) != before


def test_missing_file_empty_folder_and_file_as_folder_are_data_missing(tmp_path):
    with pytest.raises(DataMissing, match="cannot read"):
        file_sha256(tmp_path / "none")
    with pytest.raises(DataMissing, match="holds no file"):
        folder_sha256(tmp_path)
    with pytest.raises(DataMissing, match="not a folder"):
        folder_sha256(tmp_path / "none")
