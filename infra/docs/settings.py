"""Write docs/reference/settings.md from the settings classes: part of `make schemas`."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from infra.run_kafka import SERVICES
from services.proxy.settings import OriginSettings
from shared.settings import PREFIX, ROOT, CommonSettings

FILE = ROOT / "docs" / "reference" / "settings.md"
HEAD = """\
# Settings

Every setting is an environment variable. If a value is wrong, the process does not start, and its
message names the setting. `make schemas` writes this page from the settings classes.

Two variables are for commands only: `SMALLPRINT_KEY` holds the key of a running suite, and
`SMALLPRINT_PASSWORD` opens encrypted PDFs.
"""


def classes() -> dict[str, type[CommonSettings]]:
    """The settings class of each program, by name."""
    modules = {name: import_module(f"services.{name}.settings") for name in SERVICES}
    return {
        "every service": CommonSettings,
        **{name: module.Settings for name, module in modules.items()},
        "origin": OriginSettings,
    }


def rendered() -> str:
    """The whole page."""
    parts = [HEAD]
    for name, settings in classes().items():
        rows = [
            f"| `{PREFIX}{field.upper()}` | {_default(info)} | {info.description} |"
            for field, info in settings.model_fields.items()
            if settings is CommonSettings or field not in CommonSettings.model_fields
        ]
        title = name[0].upper() + name[1:]
        parts.append(
            "\n".join(
                [
                    f"\n## {title}\n",
                    "| name | default | meaning |",
                    "| --- | --- | --- |",
                    *rows,
                    "",
                ]
            )
        )
    return "".join(parts)


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is PydanticUndefined:
        return "required"
    if isinstance(value, Path) and value.is_relative_to(ROOT):
        value = value.relative_to(ROOT)
    return "" if value in ("", None) else f"`{value}`"
