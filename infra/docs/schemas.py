"""Write OpenAPI beside each service, AsyncAPI beside the events, and the generated reference pages.

`make schemas` runs it. Tests compare each file with the code, by `openapi_of` for a service.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

from infra.docs import clause_types, command_line, http_routes, roles
from infra.docs import settings as settings_page
from shared.events import asyncapi
from shared.settings import load
from shared.web.openapi import openapi_document

SERVICES = Path(__file__).resolve().parents[2] / "services"


def openapi_of(service: str) -> str:
    """The OpenAPI document of a service, which is built with an empty folder."""
    settings = import_module(f"services.{service}.settings").Settings
    build = import_module(f"services.{service}.bootstrap").build
    with tempfile.TemporaryDirectory() as folder:
        built = build(load(settings, data=Path(folder), bus_url="memory:"))
        try:
            return openapi_document(built.app)
        finally:
            built.close()


def main() -> int:
    """Write all of them, and print the changed ones."""
    wanted = {
        path.parent / "openapi.json": openapi_of(path.parent.name)
        for path in sorted(SERVICES.glob("*/bootstrap.py"))
    }
    wanted[asyncapi.FILE] = asyncapi.rendered()
    _write(wanted)
    pages = (
        settings_page,
        command_line,
        http_routes,
        roles,
        clause_types,
    )  # the routes come from the new files
    _write({page.FILE: page.rendered() for page in pages})
    return 0


def _write(wanted: Mapping[Path, str]) -> None:
    for path, text in wanted.items():
        if not path.is_file() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
            print(f"written: {path.relative_to(SERVICES.parent)}", file=sys.stderr)


if __name__ == "__main__":
    raise SystemExit(main())
