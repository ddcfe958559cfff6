"""The specialists of this machine, as several commands take them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shared.inference import Specialist
    from shared.settings import CommonSettings

ADAPTER = "contract-clauses"


def load_specialists(names: Sequence[str]) -> list[Specialist]:
    """The specialists of these names, on one base. Raises SuiteError for one that is not there."""
    from services.extraction.pipeline import require_ranking
    from shared.inference import Specialists
    from shared.settings import CommonSettings, load

    settings = load(CommonSettings)
    specialists = Specialists(
        settings.artefacts_folder,
        settings.threads,
        settings.arithmetic,
        settings.adapters_folder,
    )
    found = [specialists.get(name) for name in names]
    for specialist in found:
        require_ranking(specialist)
    return found


def installed(settings: CommonSettings) -> Callable[[str], Specialist | None]:
    """Gives the specialist of a name; None if it is not installed any more."""
    from shared.inference import MissingAdapter, Specialists

    specialists = Specialists(
        settings.artefacts_folder, settings.threads, settings.arithmetic, settings.adapters_folder
    )

    def get(name: str) -> Specialist | None:
        try:
            return specialists.get(name)
        except MissingAdapter:
            return None

    return get
