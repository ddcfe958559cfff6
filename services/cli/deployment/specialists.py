"""Load the specialists of this machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shared.inference import Specialist, Specialists
    from shared.settings import CommonSettings

ADAPTER = "contract-clauses"


def all_specialists(settings: CommonSettings) -> Specialists:
    """The installed specialists, on one base. Raises SuiteError if the base is damaged."""
    from shared.inference import Specialists

    return Specialists(
        settings.artefacts_folder, settings.threads, settings.arithmetic, settings.adapters_folder
    )


def load_specialists(names: Sequence[str]) -> list[Specialist]:
    """The specialists with these names, on one base. Raises SuiteError for an unknown name."""
    from services.extraction.pipeline.search import require_ranking
    from shared.settings import CommonSettings, load

    specialists = all_specialists(load(CommonSettings))
    chosen = [specialists.get(name) for name in names]
    for specialist in chosen:
        require_ranking(specialist)
    return chosen


def installed(settings: CommonSettings) -> Callable[[str], Specialist | None]:
    """A function that gives a specialist by name; None if it is not installed."""
    from shared.inference import MissingAdapter

    specialists = all_specialists(settings)

    def get(name: str) -> Specialist | None:
        try:
            return specialists.get(name)
        except MissingAdapter:
            return None

    return get
