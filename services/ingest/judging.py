"""What a document is, by its text, where nobody said it: the specialist `document-kind`."""

from __future__ import annotations

import logging
from pathlib import Path

from services.ingest.domain import Guess, kind_of_type
from shared.artefacts import NoModel, newest
from shared.events import Kind
from shared.linear import MANIFEST_FILE, Linear

log = logging.getLogger(__name__)

NAME = "document-kind"
JUDGED = frozenset(
    {
        "application/pdf",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "application/vnd.oasis.opendocument.text",
        "application/rtf",
        "text/html",
        "text/markdown",
        "text/plain",
        "image/jpeg",
        "image/png",
        "image/tiff",
        "text/csv",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "application/vnd.ms-excel",
        "application/vnd.oasis.opendocument.spreadsheet",
    }
)
"""Types that any kind may come in. JSON and XBRL are reports; mails and archives hold others."""
WORKED_ON: tuple[Kind, ...] = ("contract", "report")


class Judge:
    """Says what a document is, and whether a person is to be asked.

    Args:
        model: the linear model; without one the type alone decides.
    """

    def __init__(self, model: Linear | None) -> None:
        self._model = model

    @classmethod
    def load(cls, artefacts: Path) -> Judge:
        """Load the newest version among the artefacts; none is a warning, for types decide then.

        Raises LinearError for a damaged one.
        """
        try:
            folder = newest(artefacts, NAME, MANIFEST_FILE)
        except NoModel as error:
            log.warning("kinds are told by type alone: %s", error.message)
            return cls(None)
        return cls(Linear.load(folder))

    def __call__(self, text: str, media_type: str) -> Guess | None:
        """Judge a text; None where the type decides: one that is of its own kind, and a short text.

        Who is unsure works on it as what is likelier, contract or report, and asks. So it is with
        what seems to be neither, but has words that tell of one: it would be put aside. A text with
        words that the specialist has not met (another language, damaged letters) is taken for what
        its type says, and asked about.
        """
        if self._model is None or media_type not in JUDGED:
            return None
        sure = self._model.manifest.thresholds
        said = self._model(text)
        if said.words < sure["words"]:
            return None
        chances: dict[Kind, float] = {kind: said.chances[kind] for kind in (*WORKED_ON, "other")}
        if said.known < sure["known"]:
            kind = kind_of_type(media_type)
            return Guess(kind, round(chances[kind] * said.known, 4), unsure=True)
        kind = max(chances, key=lambda one: chances[one])
        told = max(said.telling.values(), default=0.0)
        if chances[kind] >= sure[kind] and (kind in WORKED_ON or told < sure["telling"]):
            return Guess(kind, round(chances[kind], 4), unsure=False)
        kind = max(WORKED_ON, key=lambda one: chances[one])
        return Guess(kind, round(chances[kind], 4), unsure=True)


BY_TYPE = Judge(None)
"""Who leaves it to the type."""
