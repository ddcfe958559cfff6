"""The command `smallprint mcp`: a server for assistants."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import click

from services.cli.options import load_settings, suite_options
from services.cli.output.lines import print_hint, write_rows


@click.command()
@suite_options
@click.option(
    "--allow-upload",
    "uploads",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Also let the assistant upload files of this folder; not with --http.",
)
@click.option("--http", is_flag=True, help="Serve HTTP on this machine; each request needs a key.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8410,
    show_default=True,
    help="Port for --http; 0: any free one.",
)
def mcp(
    url: str | None,
    data: Path | None,
    key: str | None,
    uploads: Path | None,
    http: bool,
    port: int,
) -> None:
    """Let an assistant read a running suite (MCP).

    The assistant starts this command, and talks to it by the Model Context Protocol. The tools only
    read, with the tenant and scopes of the key. With --http each request brings its own key, as a
    bearer token. On a terminal the command prints the settings for your assistant instead.

    \b
    Examples:
      smallprint mcp --data ~/smallprint-data
      smallprint mcp --allow-upload ~/contracts
      smallprint mcp --http --port 8410
    """
    from services.cli.assistants.server import HOST, PATH, serve_http, serve_stdio
    from services.cli.deployment.address import address, configured_url
    from services.cli.deployment.connection import connect
    from shared.logs import configure_logs

    if http and uploads:
        raise click.UsageError(
            "--allow-upload reads files of this machine, so it only works for an assistant that "
            "starts this command, and not with --http"
        )
    settings = load_settings(data)
    if not http and sys.stdin.isatty():
        named = url or configured_url(data)
        where = ["--url", named] if named else ["--data", str(settings.data.resolve())]
        print_hint("Put this into the settings of your assistant:")
        write_rows([_assistant_settings(where, uploads)], whole=True)
        return
    configure_logs("smallprint", "WARNING", settings.log_format)
    if not http:
        serve_stdio(partial(connect, url, key, data, retries=1), uploads)
        return

    def announce(real_port: int) -> None:
        click.echo(f"smallprint answers at http://{HOST}:{real_port}{PATH} (Ctrl-C stops it)")

    serve_http(lambda: url or configured_url(data) or address(data), port, announce)


def _assistant_settings(where: list[str], uploads: Path | None) -> str:
    """The settings of an assistant that starts this command, as JSON."""
    folder = ["--allow-upload", str(uploads.resolve())] if uploads else []
    server: dict[str, Any] = {
        "command": str(Path(sys.executable).parent / "smallprint"),
        "args": ["mcp", *where, *folder],
    }
    if "--url" in where:
        server["env"] = {"SMALLPRINT_KEY": "sp_…"}
    return json.dumps({"mcpServers": {"smallprint": server}}, indent=2, ensure_ascii=False)
