"""Weights by name: the folders that are searched, the checksum, the command that cures, and downloads from a file."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from lib.data import weights
from lib.data.weights import download_weights, list_weights, weights_file, weights_folders
from lib.errors import LabError, SpecError, Unavailable

CONTENT = b"weights " * 400_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def named_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """NOCTURNE_WEIGHTS; the cache is an empty folder of this test, too."""
    folder = tmp_path / "named"
    folder.mkdir()
    monkeypatch.setenv("NOCTURNE_OUT", str(tmp_path / "out"))
    monkeypatch.setenv("NOCTURNE_WEIGHTS", str(folder))
    return folder


@pytest.fixture
def write_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named_folder: Path) -> Callable[..., Path]:
    """Puts a manifest of one entry, `toy`, in force; gives back its folder, that of the shipped weights."""

    def write(**entry: Any) -> Path:
        shipped = tmp_path / "shipped"
        shipped.mkdir(exist_ok=True)
        path = shipped / "manifest.yaml"
        fields = {"file": "toy.bin", "sha256": SHA256[:8], "licence": "MIT", "about": "a toy"} | entry
        path.write_text(yaml.safe_dump({"toy": fields}))
        monkeypatch.setattr(weights, "manifest_path", lambda: path)
        weights._manifest.cache_clear()
        return shipped

    return write


def test_the_manifest_says_all_that_a_record_needs() -> None:
    entries = {entry.name: entry for entry in list_weights()}
    assert {"zero_ig", "raft", "raft_small", "arflow", "gmflow", "gmflow_refine", "vgg16", "alexnet"} <= set(entries)
    for entry in entries.values():
        assert entry.licence
        assert entry.about
        assert (len(entry.sha256) >= 8) or not entry.can_download, entry.name
        assert len([it for it in (entry.torchvision, entry.url, entry.ask, entry.trained) if it]) <= 1


def test_torchvision_entries_agree_with_its_addresses() -> None:
    for entry in list_weights():
        if entry.torchvision:
            address = weights._address(entry)
            assert address.endswith(f"/{entry.file}")
            assert f"-{entry.sha256}." in entry.file


def test_what_is_shipped_matches_its_checksum(named_folder: Path) -> None:
    for entry in list_weights():
        if (weights.manifest_path().parent / entry.file).is_file():
            assert entry.sha256, f"{entry.name} is shipped: its sha256 belongs in the manifest"
            assert entry.trained
            assert weights_file(entry.name).path.parent == weights.manifest_path().parent


def test_shipped_comes_first_then_the_named_folder_then_the_cache(
    write_manifest: Callable[..., Path], named_folder: Path
) -> None:
    folders = [write_manifest(url="https://example.invalid/toy.bin"), *weights_folders()[1:]]
    assert folders == weights_folders()
    assert folders[1] == named_folder
    for folder in reversed(folders):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "toy.bin").write_bytes(CONTENT)
        found = weights_file("toy")
        assert found.path == folder / "toy.bin"
        assert (found.sha256, found.licence) == (SHA256, "MIT")


@pytest.mark.parametrize(
    ("entry", "cure"),
    [
        ({"url": "https://example.invalid/toy.bin"}, r"nocturne weights toy --download$"),
        ({"ask": "take toy.bin from its authors"}, r"take toy.bin from its authors.* NOCTURNE_WEIGHTS"),
        ({}, "come with the repository"),
    ],
)
def test_missing_weights_name_the_cure(write_manifest: Callable[..., Path], entry: dict[str, str], cure: str) -> None:
    write_manifest(**entry)
    with pytest.raises(Unavailable, match=f"toy.*not on this machine.*{cure}"):
        weights_file("toy")
    if "url" not in entry:
        with pytest.raises(Unavailable, match=f"cannot be downloaded.*{cure}"):
            download_weights("toy")


def test_a_wrong_file_is_refused_also_after_it_was_right(
    write_manifest: Callable[..., Path], named_folder: Path
) -> None:
    write_manifest(url="https://example.invalid/toy.bin")
    (named_folder / "toy.bin").write_bytes(CONTENT)
    assert weights_file("toy").sha256 == SHA256
    (named_folder / "toy.bin").write_bytes(CONTENT[:-1])
    with pytest.raises(Unavailable, match=f"expected sha256 {SHA256[:8]}, got .*delete the file.*--download"):
        weights_file("toy")
    with pytest.raises(Unavailable, match="delete the file"):
        download_weights("toy")


def test_an_unknown_name_lists_the_known(write_manifest: Callable[..., Path]) -> None:
    write_manifest()
    with pytest.raises(SpecError, match="knows the weights toy: got 'toi'"):
        weights_file("toi")


def test_an_unknown_field_of_the_manifest_is_named(write_manifest: Callable[..., Path]) -> None:
    write_manifest(adress="https://example.invalid/toy.bin")
    with pytest.raises(SpecError, match="toy has unknown fields adress"):
        list_weights()


def test_download_from_a_file(write_manifest: Callable[..., Path], named_folder: Path, tmp_path: Path) -> None:
    published = tmp_path / "published.bin"
    published.write_bytes(CONTENT)
    write_manifest(url=published.as_uri())
    seen: list[tuple[int, int]] = []
    found = download_weights("toy", on_bytes=lambda num_bytes, total: seen.append((num_bytes, total)))
    assert found == weights_file("toy")
    assert found.path == named_folder / "toy.bin"
    assert found.path.read_bytes() == CONTENT
    assert sum(num_bytes for num_bytes, _ in seen) == seen[0][1] == len(CONTENT)
    published.unlink()
    assert download_weights("toy") == found, "what is there is not fetched again"


def test_without_a_named_folder_downloads_go_to_the_cache(
    write_manifest: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NOCTURNE_WEIGHTS")
    (tmp_path / "published.bin").write_bytes(CONTENT)
    write_manifest(url=(tmp_path / "published.bin").as_uri())
    assert download_weights("toy").path == tmp_path / "out" / "cache" / "weights" / "toy.bin"


@pytest.mark.parametrize(
    ("sent", "complaint"),
    [(CONTENT[:-8], "another checksum"), (b"", "another checksum"), (None, "cannot download .*put it as toy.bin")],
)
def test_a_bad_transfer_leaves_nothing(
    write_manifest: Callable[..., Path], named_folder: Path, tmp_path: Path, sent: bytes | None, complaint: str
) -> None:
    if sent is not None:
        (tmp_path / "published.bin").write_bytes(sent)
    write_manifest(url=(tmp_path / "published.bin").as_uri())
    with pytest.raises(Unavailable, match=complaint):
        download_weights("toy")
    assert list(named_folder.iterdir()) == []


def test_a_full_disk_is_told_from_a_broken_transfer(
    write_manifest: Callable[..., Path], small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "published.bin").write_bytes(CONTENT)
    write_manifest(url=(tmp_path / "published.bin").as_uri())
    monkeypatch.setenv("NOCTURNE_WEIGHTS", str(small_disk))
    with pytest.raises(LabError, match="disk is full"):
        download_weights("toy")
    assert list(small_disk.iterdir()) == []


def test_the_command_lists_shows_and_fetches(
    write_manifest: Callable[..., Path],
    named_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    from lib.bench import cli

    def nocturne(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["nocturne", "weights", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capfd.readouterr()
        return int(ended.value.code or 0), said.out + said.err

    (tmp_path / "published.bin").write_bytes(CONTENT)
    write_manifest(url=(tmp_path / "published.bin").as_uri())
    assert nocturne() == (0, "toy  missing  a toy  MIT\n")
    code, said = nocturne("toy")
    assert (code, said) == (
        1,
        "nocturne: the weights toy (toy.bin) are not on this machine; get them with: nocturne weights toy --download\n",
    )
    code, said = nocturne("toy", "--download")
    assert code == 0
    assert str(named_folder / "toy.bin") in said
    assert SHA256 in said
    assert nocturne() == (0, "toy  here  a toy  MIT\n")
    assert nocturne("--download")[0] == 2
    assert nocturne("toi")[0] == 2
