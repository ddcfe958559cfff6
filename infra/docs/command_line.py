"""Write docs/reference/command-line.md from click's help: part of `make schemas`."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path

import click

from services.cli import cli

FILE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "command-line.md"
HEAD = """\
# Command line

`smallprint` is in `.venv/bin` after `make setup`. Most commands work without a running suite.
`smallprint COMMAND --help` prints the same text as this page. A PATH of `-` is standard input.
[Exit codes](exit-codes.md) and [result formats](formats.md) have pages of their own. `make schemas`
writes this page.
"""


def rendered() -> str:
    """Return the whole page."""
    return HEAD + "".join(map(_section, _commands(click.Context(cli, info_name="smallprint"))))


def _commands(context: click.Context) -> Iterator[click.Context]:
    """Yield a context for each command. A group comes before its commands."""
    group = context.command
    assert isinstance(group, click.Group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None or command.hidden:
            continue
        inner = click.Context(command, info_name=name, parent=context)
        yield inner
        if isinstance(command, click.Group):
            yield from _commands(inner)


def _section(context: click.Context) -> str:
    command = context.command
    usage = " ".join((context.command_path, *command.collect_usage_pieces(context)))
    paragraphs = inspect.cleandoc(command.help or "").split("\n\n")
    parts = [f"\n## `{context.command_path}`", f"```text\n{usage}\n```", *map(_block, paragraphs)]
    if rows := [row for option in command.params if (row := _row(option, context))]:
        parts.append("\n".join(["| option | meaning |", "| --- | --- |", *rows]))
    return "\n\n".join(parts) + "\n"


def _block(paragraph: str) -> str:
    """A paragraph in Markdown. One that begins with a backspace is a code block."""
    if not paragraph.startswith("\b"):
        return paragraph
    head, *lines = paragraph.removeprefix("\b\n").splitlines()
    language = "sh" if head == "Examples:" else "text"
    body = inspect.cleandoc("\n" + "\n".join(lines))
    return f"{head}\n\n```{language}\n{body}\n```"


def _row(option: click.Parameter, context: click.Context) -> str | None:
    """A row of the table. It omits what our option classes add about this machine."""
    if not isinstance(option, click.Option):
        return None
    record = click.Option.get_help_record(option, context)
    if record is None:
        return None
    names, meaning = (" ".join(text.replace("|", "\\|").split()) for text in record)
    return f"| `{names}` | {meaning.replace('<', '&lt;')} |"
