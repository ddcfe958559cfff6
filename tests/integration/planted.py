"""Extraction with a rule that never ends on some texts, for a child process."""

import re
from pathlib import Path
from typing import Any

from services.cli.commands.up import build_readers
from services.extraction import handlers
from services.extraction.analysis import ContractAnalysis, analyse
from shared.documents import ParsedDocument
from shared.events import DocumentRead
from shared.runtime import Service

MARK = "PLANTED"
SLOW = re.compile(r"(?:a|a)*b")
"""Takes twice as long with each further letter."""


def build(data: Path) -> list[Service]:
    """Build the services that work on texts, with the rule in extraction."""
    vars(handlers)["analyse"] = _analyse
    return build_readers(data, None)


def _analyse(event: DocumentRead, document: ParsedDocument, *others: Any) -> ContractAnalysis:
    if MARK in document.text:
        SLOW.match("a" * 60)
    return analyse(event, document, *others)
