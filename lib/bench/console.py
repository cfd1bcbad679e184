"""What the commands share: reading `name=value`, printing columns, telling times."""

from collections.abc import Iterable

import typer

from lib.errors import SpecError


def split_pairs(texts: Iterable[str]) -> dict[str, str]:
    """Values by name of `name=value` texts; SpecError for one without a name or a value."""
    pairs = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise SpecError(f"-p takes name=value: got {text!r}")
        pairs[name.strip()] = value
    return pairs


def print_columns(rows: list[tuple[str, ...]], *, header: tuple[str, ...] = ()) -> None:
    """Print rows in aligned columns."""
    lines = ([header] if header else []) + rows
    if not lines:
        return
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for line in lines:
        typer.echo("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())


def duration(seconds: float) -> str:
    """A time as people say it: 40 s, 3 min, 2 h 10 min."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"
