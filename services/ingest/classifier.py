"""Predicts the kind of a document from its text with the specialist `document-kind`."""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from pathlib import Path

from services.ingest.domain import MIXED_TYPES, Classification, kind_of_type
from shared.artefacts.loader import NoModel, newest
from shared.documents import ParsedDocument
from shared.documents.sniffing import name_warning
from shared.errors import NextToNoText
from shared.events import Kind
from shared.features.linear import Linear, LinearManifest

log = logging.getLogger(__name__)

NAME = "document-kind"
FEWEST_WORDS = 5
"""A document with fewer words is rejected."""
_WORD = re.compile(r"[^\W\d_]+")
WORKED_ON: tuple[Kind, ...] = ("contract", "report")


class DocumentClassifier:
    """Predicts the kind of a document, and whether a person must confirm it.

    Args:
        model: the linear model; None: the media type decides.
    """

    def __init__(self, model: Linear | None) -> None:
        self._model = model

    @classmethod
    def load(cls, artefacts: Path) -> DocumentClassifier:
        """Load the newest version; without one the media type decides, with a warning.

        Raises LinearError for a damaged artefact.
        """
        try:
            folder = newest(artefacts, NAME, LinearManifest.FILE)
        except NoModel as error:
            log.warning("the media type alone decides the kind: %s", error.message)
            return cls(None)
        return cls(Linear.load(folder))

    def classify(self, reading: ParsedDocument, name: str) -> Classification | None:
        """Predict the kind of a document; None where the media type decides.

        If the name disagrees with the content, the kind is unsure.

        Raises:
            NextToNoText: The document has too few words.
        """
        require_text(reading)
        found = self(reading.text, reading.media_type)
        if found and found.kind in WORKED_ON and name_warning(reading.media_type, name):
            return replace(found, unsure=True)
        return found

    @property
    def version(self) -> str:
        """Name and version of the model."""
        return f"{NAME} {self._model.manifest.version if self._model else 'by media type'}"

    def __call__(self, text: str, media_type: str) -> Classification | None:
        """Predict the kind of a text; None where the media type decides.

        An unsure document is processed as the likelier of contract and report. So is a document
        that is likely `other`, but has words typical of one of them. A short text, or one with many
        unknown words (another language, damaged letters), gets the kind of its type, unsure. A
        short table is a report.
        """
        if self._model is None or media_type not in MIXED_TYPES:
            return None
        sure = self._model.manifest.thresholds
        prediction = self._model(text)
        short = prediction.words < sure["words"]
        if short and kind_of_type(media_type) == "report":
            return None
        chances: dict[Kind, float] = {
            kind: prediction.chances[kind] for kind in (*WORKED_ON, "other")
        }
        if short or prediction.known < sure["known"]:
            kind = kind_of_type(media_type)
            return Classification(kind, round(chances[kind] * prediction.known, 4), unsure=True)
        kind = max(chances, key=lambda one: chances[one])
        strongest = max(prediction.telling.values(), default=0.0)
        if chances[kind] >= sure[kind] and (kind in WORKED_ON or strongest < sure["telling"]):
            return Classification(kind, round(chances[kind], 4), unsure=False)
        kind = max(WORKED_ON, key=lambda one: chances[one])
        return Classification(kind, round(chances[kind], 4), unsure=True)


def require_text(reading: ParsedDocument) -> None:
    """Raise NextToNoText for a document with too few words, unless some of it is unread.

    Tables, mails and archives may have few words.
    """
    media_type = reading.media_type
    if reading.failed or media_type not in MIXED_TYPES or kind_of_type(media_type) == "report":
        return
    words = len(_WORD.findall(reading.text))
    if words < FEWEST_WORDS:
        raise NextToNoText(
            f"it has next to no text ({words} word{'' if words == 1 else 's'}): is it the right "
            "file?"
        )


BY_TYPE = DocumentClassifier(None)
"""Leaves the kind to the media type."""
