"""Groups of commands: with sections, with other names, with a default."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click


class AliasedGroup(click.Group):
    """A group whose commands also have older or shorter names, which no list shows.

    Args:
        aliases: the names of commands by their aliases.
    """

    def __init__(self, *args: Any, aliases: Mapping[str, str], **options: Any) -> None:
        super().__init__(*args, **options)
        self.aliases = aliases

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command with this name or alias."""
        return super().get_command(ctx, self.aliases.get(cmd_name, cmd_name))


class SectionedGroup(AliasedGroup):
    """A group that lists its commands in sections.

    Args:
        sections: commands by the titles of their sections.
    """

    def __init__(
        self, *args: Any, sections: Mapping[str, Sequence[click.Command]], **options: Any
    ) -> None:
        commands = [command for section in sections.values() for command in section]
        super().__init__(*args, commands=commands, **options)
        self.sections = sections

    def format_commands(self, _context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the sections, with their summaries below one another."""
        width = max(map(len, self.commands))
        for title, commands in self.sections.items():
            with formatter.section(title):
                formatter.write_dl(
                    [(f"{one.name:<{width}}", one.get_short_help_str(100)) for one in commands]
                )


class DefaultGroup(click.Group):
    """A group that runs its first command if no command is named."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Add the name of the first command if none is named."""
        if args and args[0] not in (*self.commands, *ctx.help_option_names):
            args = [next(iter(self.commands)), *args]
        return super().parse_args(ctx, args)
