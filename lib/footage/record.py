"""What a run over footage was asked for: its input, settings and code, as text that a later call compares."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any

import lib
from lib.data.atomic import appears_whole

Facts = dict[str, str]


def facts(inputs: Mapping[str, Path], settings: Mapping[str, Any]) -> Facts:
    """Everything that the result depends on, by name.

    inputs: files and folders by name; they are known by name, size and time of change, not by content, which would take
    as long as reading them. settings: values by name; the fields of a dataclass stand for themselves.
    """
    found = {name: _of_input(path) for name, path in inputs.items()}
    for name, value in settings.items():
        if is_dataclass(value):
            found |= {one.name: repr(getattr(value, one.name)) for one in fields(value)}
        else:
            found[name] = repr(value)
    return found | {"code": code_version()}


def differences(then: Facts, now: Facts) -> list[str]:
    """What is not as it was, each as "name is now X, was Y"; inputs, code and long values without them."""
    names = sorted(name for name in then.keys() | now.keys() if then.get(name) != now.get(name))
    said = []
    for name in names:
        old, new = then.get(name, "unset"), now.get(name, "unset")
        is_short = max(len(old), len(new)) < 40 and name != "code"
        said.append(f"{name} is now {new}, was {old}" if is_short else f"{name} has changed")
    return said


def read_json(path: Path) -> Any:
    """What a file holds, or None where it is absent or no JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def write_json(path: Path, value: Any) -> None:
    """Whole or not at all."""
    with appears_whole(path) as part:
        part.write_text(json.dumps(value), encoding="utf-8")


@cache
def code_version() -> str:
    """Of this project's code, whatever its version says, and of the packages that compute and encode."""
    import av
    import torch

    root = Path(lib.__file__).parent
    digest = hashlib.sha256()
    # the bench runs notebooks; nothing of it is in a result
    for file in sorted(path for path in root.rglob("*.py") if "bench" not in path.relative_to(root).parts):
        digest.update(file.read_bytes())
    return f"{lib.__version__}, torch {torch.__version__}, av {av.__version__}, {digest.hexdigest()[:16]}"


def _of_input(path: Path) -> str:
    """Names, sizes and times of change of a file or of a folder's files, as one sum with the name in front."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    lines = []
    for file in files:
        if file.is_file():
            found = file.stat()
            lines.append(f"{file.name} {found.st_size} {found.st_mtime_ns}")
    return f"{path.name} {hashlib.sha256(chr(10).join(lines).encode()).hexdigest()}"
