"""Help texts come from the settings: comments beside fields, choices of their types, shown defaults."""

from dataclasses import dataclass
from typing import Annotated, Literal

import pytest
import typer
from typer.testing import CliRunner

from lib.errors import SpecError
from lib.footage import setting
from lib.footage.options import comment


@dataclass(frozen=True)
class Base:
    """Settings to inherit from."""

    shared: float = 0.5  # share of the whole, 0..1


@dataclass(frozen=True)
class Settings(Base):
    """Settings with every kind of comment."""

    beside: int = 3  # steps of 2 x + 1, sec. 4
    # above, in two lines,
    # because it is long
    above: int = 4
    kind: Literal["hard", "soft"] = "soft"  # of the edge
    long: tuple[int, ...] = (
        1,  # first line
        2,  # and second
    )
    bare: str = "# no comment"


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("shared", "share of the whole, 0..1"),
        ("beside", "steps of 2 x + 1, sec. 4"),
        ("above", "above, in two lines, because it is long"),
        ("kind", "of the edge"),
        ("long", "first line and second"),
    ],
)
def test_comments_of_fields(field: str, text: str) -> None:
    assert comment(Settings, field) == text


def test_fields_without_comment_and_names_that_are_none() -> None:
    with pytest.raises(SpecError, match=r"Settings\.bare needs a comment"):
        comment(Settings, "bare")
    with pytest.raises(SpecError, match="no field 'absent'"):
        comment(Settings, "absent")


def test_options_say_choices_defaults_and_limits() -> None:
    command = typer.Typer()

    @command.command()
    def run(
        beside: Annotated[int, setting(Settings, "beside", note="0 for none", min=0)] = Settings.beside,
        kind: Annotated[str, setting(Settings, "kind", flag="--edge")] = Settings.kind,
        shared: Annotated[float | None, setting(Settings, "shared", default="half of it")] = None,
    ) -> None:
        typer.echo(f"{beside} {kind} {shared}")

    text = CliRunner().invoke(command, ["--help"], env={"COLUMNS": "200", "TERMINAL_WIDTH": "200"}).output
    assert "Steps of 2 x + 1, sec. 4; 0 for none. [default: 3]" in text
    assert "--edge" in text
    assert "Of the edge: hard | soft. [default: soft]" in text
    assert "Share of the whole, 0..1. [default: (half of it)]" in text
    assert CliRunner().invoke(command, []).output == "3 soft None\n"
    assert CliRunner().invoke(command, ["--beside", "-1"]).exit_code == 2
