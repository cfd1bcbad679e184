"""HTML pages: the templates of this package, and writing a page whole or not at all."""

import os
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from lib.errors import Unavailable


def template(name: str) -> Template:
    """A template of `lib/bench/templates`; everything put into it is escaped, a missing name is an error."""
    environment = Environment(
        loader=PackageLoader("lib.bench"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)


def write_page(path: Path, text: str) -> None:
    """Write UTF-8 text through a temporary file beside the target, so that a reader never sees half of it.

    Raises Unavailable where the folder can't be made or the file can't be written.
    """
    half = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            half.write_text(text, encoding="utf-8")
            os.replace(half, path)
        finally:
            half.unlink(missing_ok=True)
    except OSError as error:
        raise Unavailable(f"can't write {path}: {error.strerror}; choose another folder with --out") from error
