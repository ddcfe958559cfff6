"""The `--help` of every command."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from services import cli
from tests.support import ROOT
from tests.unit.cli.builders import Run


def _commands(group: click.Group, *names: str) -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        yield " ".join((*names, name)), command
        if isinstance(command, click.Group):
            yield from _commands(command, *names, name)


def test_every_option_says_what_it_is_for() -> None:
    options = [
        (name, one)
        for name, command in _commands(cli.cli)
        for one in command.params
        if isinstance(one, click.Option)
    ]
    assert len(options) > 100
    assert [(name, one.name) for name, one in options if not one.help] == []
    of_files = {name for name, one in options if (one.help or "").endswith("lines, one per file.")}
    assert of_files == {"extract", "text", "triage", "statements", "batch", "watch", "upload"}


def test_commands_that_ask_a_suite_share_their_options() -> None:
    asking = {}
    for name, command in _commands(cli.cli):
        shown = {one.name: one.help for one in command.params if isinstance(one, click.Option)}
        if "url" in shown:
            asking[name] = tuple(shown.get(one) for one in ("url", "data", "key"))
    assert len(asking) > 10
    assert len(set(asking.values())) == 1
    assert None not in asking["upload"]


@pytest.mark.parametrize("command", ["", *(name for name, _ in _commands(cli.cli))])
def test_help_says_what_a_command_does(run: Run, command: str) -> None:
    code, out, _ = run(*command.split(), "--help")
    assert (code, "Usage: smallprint" in out) == (0, True)
    assert len(out.splitlines()[2].strip()) > 20
    if " " not in command:
        assert f"smallprint {command}".strip() in out.split("Example")[1]


def test_every_command_has_a_section_and_a_summary_that_fits_80_columns(run: Run) -> None:
    _, out, _ = run("--help", COLUMNS=80)
    shown = out.split("Options:")[1]
    assert [name for name in cli.cli.commands if f"\n  {name} " not in shown] == []
    short = {name: one.get_short_help_str(1_000) for name, one in _commands(cli.cli)}
    longest = max(map(len, cli.cli.commands))
    assert [text for text in short.values() if longest + len(text) > 80 - 6] == []


@pytest.mark.parametrize(
    ("alias", "name"), [("up", "serve"), ("dlq", "dead-letters"), ("dlq ls", "dead-letters list")]
)
def test_older_names_work_and_are_not_listed(run: Run, alias: str, name: str) -> None:
    of_alias, of_name = (run(*words.split(), "--help") for words in (alias, name))
    assert of_alias[1].splitlines()[1:] == of_name[1].splitlines()[1:]
    assert f"\n  {alias.split()[-1]} " not in run(*name.split()[:-1], "--help")[1]


def test_help_loads_nothing_heavy() -> None:
    program = (
        "import sys; import services.cli; "
        "print([m for m in sys.modules if m.split('.')[0] in "
        "('fastapi', 'sqlalchemy', 'numpy', 'onnxruntime', 'pydantic', 'httpx', 'uvicorn', 'rich') "
        "or m.startswith('services.') "
        "and not m.startswith('services.cli.') "
        "and m != 'services.cli'])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert ast.literal_eval(done.stdout) == [], done.stderr
