"""What checking a report took, for the books: seconds of this machine, and the tokens that a
frontier model would have read and written, as specialists of contracts count them.

The text counts once, whatever was looked for in it. What is written are the messages of findings,
and the sentences that say something of the filer.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Callable
from typing import BinaryIO

from services.triage.domain import Model
from services.triage.results import Outcome
from shared.events import AdapterVersion
from shared.inference import BaseError

MOST_COUNTED = 1_000_000
"""Bytes of a text of which tokens are counted, some 250 pages. What is behind them, in data of many
filings, is taken to have as many tokens for each byte: counting it would take longer than reading.
"""

log = logging.getLogger(__name__)


def tokens_of(source: BinaryIO, size: int, count: Callable[[str], int]) -> int:
    """Return how many tokens a text has.

    Args:
        source: the text in UTF-8.
        size: its bytes.
        count: counts the tokens of a text.
    """
    head = source.read(MOST_COUNTED)
    counted = count(head.decode("utf-8", "ignore"))
    return counted if len(head) >= size else round(counted * size / len(head))


def read_by(
    model: Model,
    seconds: float,
    text: tuple[BinaryIO, int],
    outcome: Outcome,
    count: Callable[[str], int],
) -> tuple[AdapterVersion, ...]:
    """Return what checked a report and what that took; nothing where tokens can't be counted.

    Args:
        model: what judged it.
        seconds: that all of triage took, by the clock.
        text: of the document in UTF-8, and how many bytes it has.
        outcome: what was found.
        count: counts the tokens of a text.
    """
    said = [found.finding.message for found in outcome.findings]
    said += [flag["text"] for flag in outcome.flags]
    written = "\n".join(said).encode("utf-8", "replace")
    try:
        tokens = tokens_of(*text, count)
        quoted = tokens_of(io.BytesIO(written), len(written), count)
    except BaseError as error:
        log.warning("what a report cost is not noted: %s", error.message)
        return ()
    reader = AdapterVersion(
        name=model.name, version=model.version, seconds=seconds, tokens=tokens, quoted=quoted
    )
    return (reader,)
