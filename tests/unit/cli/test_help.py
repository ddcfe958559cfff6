"""What `--help` says of every command."""

from __future__ import annotations

from collections.abc import Iterator

import click

from services import cli


def _commands(group: click.Group, *names: str) -> Iterator[tuple[str, click.Command]]:
    """Every command with its whole name."""
    for name, command in group.commands.items():
        yield " ".join((*names, name)), command
        if isinstance(command, click.Group):
            yield from _commands(command, *names, name)


def test_every_option_says_what_it_is_for() -> None:
    """And only where many files are given, a line of JSON is one a file."""
    options = [
        (name, one)
        for name, command in _commands(cli.cli)
        for one in command.params
        if isinstance(one, click.Option)
    ]
    assert len(options) > 100
    assert [(name, one.name) for name, one in options if not one.help] == []
    of_files = {name for name, one in options if (one.help or "").endswith("lines, one a file.")}
    assert of_files == {"extract", "text", "triage", "statements", "batch", "watch", "upload"}


def test_whoever_asks_a_suite_says_where_it_is_in_the_same_words() -> None:
    """By its folder or its address, with a key, in every command that takes an address."""
    asking = {}
    for name, command in _commands(cli.cli):
        shown = {one.name: one.help for one in command.params if isinstance(one, click.Option)}
        if "url" in shown:
            asking[name] = tuple(shown.get(one) for one in ("url", "data", "key"))
    assert asking.keys() == {"upload", "search", "reports", "costs", "status"}
    assert len(set(asking.values())) == 1
    assert None not in asking["upload"]
