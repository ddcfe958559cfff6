"""Write infra/settings.md from the settings classes: part of `make schemas`."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from pydantic_core import PydanticUndefined

from infra.origin import OriginSettings
from infra.run_kafka import SERVICES
from shared.settings import PREFIX, CommonSettings

FILE = Path(__file__).with_name("settings.md")
HEAD = """\
# All settings

Written by `make schemas` from the settings classes. Each is an environment variable; a wrong value
stops the start with a message that names it. Secrets are never in this table's defaults.
"""


def classes() -> dict[str, type[CommonSettings]]:
    """The settings class of everything that is started, by its name."""
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
            f"| `{PREFIX}{field.upper()}` | {_default(info.default)} | {info.description} |"
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


def _default(value: object) -> str:
    if value is PydanticUndefined:
        return "required"
    return "" if value in ("", None) else f"`{value}`"
