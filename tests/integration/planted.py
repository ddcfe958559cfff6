"""Extraction with a rule that never ends on some texts, for a child process."""

import re
from typing import Any

from services.extraction import bootstrap, handlers
from services.extraction.analysis import ContractAnalysis, analyse
from services.extraction.settings import Settings
from shared.documents import ParsedDocument
from shared.events import DocumentRead
from shared.runtime import Service

MARK = "PLANTED"
SLOW = re.compile(r"(?:a|a)*b")
"""Takes twice as long with each further letter."""


def build(settings: Settings) -> Service:
    """Build extraction with the rule."""
    vars(handlers)["analyse"] = _analyse
    return bootstrap.build(settings)


def _analyse(event: DocumentRead, document: ParsedDocument, *others: Any) -> ContractAnalysis:
    if MARK in document.text:
        SLOW.match("a" * 60)
    return analyse(event, document, *others)
