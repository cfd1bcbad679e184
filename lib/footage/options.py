"""The options that all papers share, and options whose help is the comment beside a field of the settings."""

import ast
import inspect
import io
import textwrap
import tokenize
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import typer

from lib.errors import SpecError

Out = Annotated[
    Path,
    typer.Argument(
        metavar="OUT",
        help="Result: .mp4, .webm or a new folder of pictures; .png, .jpg or .webp for one picture. Without sound.",
        show_default=False,
    ),
]
Preview = Annotated[
    bool,
    typer.Option(
        "--preview", help="Only a few frames, before and after side by side, in OUT's name with .preview.png; seconds."
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Replace files that exist already; folders never are.")]
Device = Annotated[str, typer.Option(help="auto | cpu | cuda | cuda:N | mps.")]


def setting(
    settings: type,
    field: str,
    *,
    flag: str | None = None,
    default: str | bool = True,
    note: str = "",
    min: int | None = None,
) -> Any:
    """Option for a field of a settings dataclass; its help is the field's comment, with the choices there are.

    flag: its name where the parameter's won't do. default: what is shown as default; True: the parameter's own.
    note: what only the command adds. min: least value.
    """
    text = comment(settings, field)
    kind = get_type_hints(settings)[field]
    if get_origin(kind) is Literal:
        text += f": {' | '.join(str(choice) for choice in get_args(kind))}"
    if note:
        text += f"; {note}"
    parts: tuple[str, ...] = () if flag is None else (flag,)
    return typer.Option(*parts, help=_sentence(text), show_default=default, min=min)


def comment(settings: type, field: str) -> str:
    """What stands beside a field of a dataclass, after the #; else in the lines of comment right above it.

    Raises SpecError where the class has no such field or it has no comment.
    """
    for owner in settings.__mro__:
        if field in vars(owner).get("__annotations__", {}):
            found = _comments(owner).get(field)
            if found:
                return found
            raise SpecError(f"{owner.__name__}.{field} needs a comment beside it: its option's help is made of it")
    raise SpecError(f"{settings.__name__} has no field {field!r}")


def _comments(owner: type) -> dict[str, str]:
    """Comment by field of a class, from its source."""
    source = textwrap.dedent(inspect.getsource(owner))
    lines = source.splitlines()
    text_by_line = {
        token.start[0]: token.string.lstrip("# ").strip()
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    (definition,) = ast.parse(source).body
    assert isinstance(definition, ast.ClassDef)
    found = {}
    for node in definition.body:
        if not (isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)):
            continue
        numbers = list(range(node.lineno, (node.end_lineno or node.lineno) + 1))
        if not any(number in text_by_line for number in numbers):
            above = node.lineno - 1
            while lines[above - 1].lstrip().startswith("#"):
                numbers.insert(0, above)
                above -= 1
        found[node.target.id] = " ".join(text_by_line[number] for number in numbers if number in text_by_line)
    return found


def _sentence(text: str) -> str:
    """With a capital letter and a full stop; a symbol of one letter stays as it is."""
    word = text.split()[0]
    start = text[0].upper() if word.isalpha() and word.islower() and len(word) > 1 else text[0]
    return start + text[1:] + ("" if text.endswith(".") else ".")
