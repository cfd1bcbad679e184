"""The house rules that no single room can check: paths, environments, sizes, and who may import whom."""

import ast
import json
import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]

MACHINE_PATH = re.compile(r"(?<![\w.$}])/(?:home|root|Users|work|tmp)/[\w.-]")
MAX_MODULE_LINES = 600
MAX_NOTEBOOK_BYTES = 1_500_000
PAPERS = {"context_fusion", "zero_tig", "fodvid", "ir_tracking", "context_reg"}
SHARED_ROOMS = {"flow", "solvers", "features", "metrics", "data"}
COMPOSITIONS = {"night_watch"}  # put the papers together; nobody imports them


def committed_files() -> list[Path]:
    """Files that git tracks and that are still there."""
    try:
        listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs a git checkout: clone the repository instead of unpacking an archive")
    return [path for name in listing.split("\0") if name and (path := ROOT / name).is_file()]


def text_of(path: Path) -> str | None:
    """The text of a file, or None for a binary one."""
    content = path.read_bytes()
    return None if b"\0" in content[:4096] else content.decode("utf-8", errors="replace")


def all_requirements() -> list[Requirement]:
    """What pyproject asks for: build, run time and every extra."""
    extras = [line for lines in PROJECT["optional-dependencies"].values() for line in lines]
    return [Requirement(line) for line in [*PYPROJECT["build-system"]["requires"], *PROJECT["dependencies"], *extras]]


def locked() -> dict[str, str]:
    """Package name -> exact version in requirements.lock."""
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    pins = [Requirement(line) for line in lines if line.strip() and not line.lstrip().startswith("#")]
    assert all(re.fullmatch(r"==[^*]+", str(pin.specifier)) for pin in pins), "the lock holds one exact version a line"
    return {canonicalize_name(pin.name): str(pin.specifier).removeprefix("==") for pin in pins}


def imported_rooms(module: Path) -> set[tuple[str, ...]]:
    """Dotted names below `lib` that a module imports, at any depth of the code: ("context_fusion", "fit"), ..."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {tuple(name.split(".")[1:]) for name in names if name.startswith("lib.")}


def run_make(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """make in another folder, without what an outer `make test` hands down to its children."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(
        ["make", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_committed_files_hold_no_machine_paths() -> None:
    found = []
    for path in committed_files():
        for number, line in enumerate((text_of(path) or "").splitlines(), start=1):
            if hit := MACHINE_PATH.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {hit.group()}")
    assert not found, "\n".join(found)


def test_no_module_is_longer_than_the_limit() -> None:
    lengths = {path: len((text_of(path) or "").splitlines()) for path in committed_files() if path.suffix == ".py"}
    assert lengths
    assert not {str(path.relative_to(ROOT)): n for path, n in lengths.items() if n > MAX_MODULE_LINES}


def test_committed_notebooks_are_small_and_hold_no_errors() -> None:
    for path in committed_files():
        if path.suffix != ".ipynb":
            continue
        assert path.stat().st_size < MAX_NOTEBOOK_BYTES, path.name
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        outputs = [output for cell in cells for output in cell.get("outputs", [])]
        assert not [output for output in outputs if output["output_type"] == "error"], path.name
        assert not [output for output in outputs if output.get("name") == "stderr"], path.name


def test_environment_installs_what_pyproject_lists() -> None:
    environment: dict[str, Any] = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    *conda, pip_section = environment["dependencies"]
    python = next(line.split("=")[-1] for line in conda if line.startswith("python="))
    (editable,) = pip_section["pip"]
    assert environment["name"] == PROJECT["name"]
    assert {re.split("[=<> ]", line)[0] for line in conda} == {"python", "pip"}
    assert SpecifierSet(PROJECT["requires-python"]).contains(python)
    assert editable.startswith("-e .")
    assert Requirement(f"project{editable.removeprefix('-e .')}").extras == set(PROJECT["optional-dependencies"])


def test_lock_holds_every_requirement_within_its_range() -> None:
    versions = locked()
    requirements = all_requirements()
    assert not [str(r) for r in requirements if canonicalize_name(r.name) not in versions]
    assert not [str(r) for r in requirements if not r.specifier.contains(versions[canonicalize_name(r.name)])]


def test_lock_names_no_index() -> None:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert not re.findall(r"^\s*--|://", text, flags=re.MULTILINE)


@pytest.mark.parametrize(("package", "version"), [("torch", "2.11.0"), ("torchvision", "0.26.0")])
def test_ranges_admit_the_oldest_supported_torch(package: str, version: str) -> None:
    (requirement,) = [Requirement(line) for line in PROJECT["dependencies"] if Requirement(line).name == package]
    assert requirement.specifier.contains(version)
    assert SpecifierSet(PROJECT["requires-python"]).contains("3.12")


def test_version_is_the_same_everywhere() -> None:
    import lib

    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert lib.__version__ == PROJECT["version"] == citation["version"]
    assert citation["license"] == PROJECT["license"] == "MIT"


def test_imports_point_one_way() -> None:
    """Papers import shared rooms only; bench and show name no paper; shared rooms know neither papers nor bench.

    A composition may import papers, not the bench; nothing imports a composition.
    """
    wrong = []
    for module in sorted((ROOT / "lib").glob("*/**/*.py")):
        room = module.relative_to(ROOT / "lib").parts[0]
        imported = {name[0] for name in imported_rooms(module)} - {room}
        forbidden = (
            (PAPERS | {"bench"}) & imported
            if room in PAPERS | SHARED_ROOMS | {"show", "footage"}
            else PAPERS & imported
        )
        if room in SHARED_ROOMS:
            forbidden |= {"show"} & imported
        if room in COMPOSITIONS:
            forbidden = {"bench"} & imported
        forbidden |= COMPOSITIONS & imported
        wrong += [f"{module.relative_to(ROOT)} imports lib.{name}" for name in sorted(forbidden)]
    assert not wrong, "\n".join(wrong)


def test_ci_calls_make_test() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "make test" in script


def test_makefile_answers_an_old_python_in_one_sentence(tmp_path: Path) -> None:
    old = tmp_path / "python3"
    old.write_text('#!/bin/sh\n[ "$1" = -V ] && echo "Python 3.9.2" && exit 0\nexit 1\n', encoding="utf-8")
    old.chmod(0o755)
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        (tmp_path / name).write_text((ROOT / name).read_text(encoding="utf-8"), encoding="utf-8")
    answer = run_make("install", f"PYTHON={old}", folder=tmp_path)
    assert answer.returncode != 0
    first, *rest = answer.stderr.strip().splitlines()
    assert first.startswith("Nocturne needs Python 3.11 or newer")
    assert "Python 3.9.2" in first
    assert all(line.startswith("make") for line in rest)
    assert not (tmp_path / ".venv").exists()


def test_makefile_installs_again_only_when_lock_or_pyproject_are_newer(tmp_path: Path) -> None:
    stamp = tmp_path / ".venv" / ".installed"
    stamp.parent.mkdir()
    for path in (tmp_path / "Makefile", tmp_path / "requirements.lock", tmp_path / "pyproject.toml", stamp):
        path.write_text((ROOT / "Makefile").read_text(encoding="utf-8") if path.name == "Makefile" else "")

    def needs_install() -> bool:
        return run_make("--question", "install", folder=tmp_path).returncode == 1

    installed_at = stamp.stat().st_mtime
    for name in ("requirements.lock", "pyproject.toml"):
        os.utime(tmp_path / name, (installed_at - 10, installed_at - 10))
    assert not needs_install()
    for name in ("requirements.lock", "pyproject.toml"):
        os.utime(tmp_path / name, (installed_at + 10, installed_at + 10))
        assert needs_install(), name
        os.utime(tmp_path / name, (installed_at - 10, installed_at - 10))
    stamp.unlink()
    assert needs_install()
