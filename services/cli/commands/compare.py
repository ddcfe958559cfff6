"""The command `smallprint compare`: a frontier model against our specialist."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from services.cli.deployment.lock import FolderLock
from services.cli.deployment.specialists import ADAPTER, load_specialists
from services.cli.documents.files import STANDARD_INPUT
from services.cli.documents.labelled import chosen_categories, read_definitions, read_labelled
from services.cli.options import one_json, tenant_option
from services.cli.output import comparison
from services.cli.output.lines import OutputWriter
from services.cli.output.progress import Progress

if TYPE_CHECKING:
    from services.cli.documents.labelled import LabelledDocument
    from services.escalation.comparison import Cost, FrontierReader
    from services.escalation.providers import Provider
    from services.extraction.evaluation.metric import Predictions
    from shared.inference import Specialist


@click.command()
@click.argument("labelled", metavar="LABELLED")
@click.option("--provider", required=True, help="A provider in the policy file.")
@click.option(
    "--budget",
    type=click.FloatRange(min=0, max=1_000_000),
    required=True,
    help="Most US$ to spend, all runs together.",
)
@click.option(
    "--policy",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File with the provider (SMALLPRINT_POLICY).",
)
@tenant_option("Tenant whose policy applies.")
@click.option(
    "--adapter", default=ADAPTER, show_default=True, help="The specialist to compare with."
)
@click.option(
    "--category", "categories", multiple=True, help="Only this category; may be repeated."
)
@click.option(
    "--definitions",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="JSON: the question of each category that is not built in.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of answers and ledger (LABELLED-compare; stdin-compare for standard input).",
)
@click.option(
    "--window",
    type=click.IntRange(1_000, 1_000_000),
    default=20_000,
    show_default=True,
    help="Characters of a document in one prompt.",
)
@click.option(
    "--at-once",
    type=click.IntRange(1, 1_000),
    default=50,
    show_default=True,
    help="Categories in one question; 1 pays for the text once for each category.",
)
@click.option(
    "--most-tokens",
    type=click.IntRange(100, 100_000),
    default=8_000,
    show_default=True,
    help="Most tokens of one answer.",
)
@click.option(
    "--workers", type=click.IntRange(1, 64), default=4, show_default=True, help="Calls at once."
)
@click.option(
    "--first", type=click.IntRange(min=1), help="Only this many documents from the start."
)
@click.option("--estimate", is_flag=True, help="Estimate the cost without a call.")
@one_json
def compare(
    labelled: str,
    provider: str,
    budget: float,
    policy: Path | None,
    tenant: str,
    adapter: str,
    categories: Sequence[str],
    definitions: Path | None,
    out: Path | None,
    window: int,
    at_once: int,
    most_tokens: int,
    workers: int,
    first: int | None,
    estimate: bool,
    as_json: bool,
) -> int:
    """Compare a frontier model with smallprint on your contracts.

    LABELLED is JSON lines (with gzip or not), one contract each: `text`, and `annotations` with
    `category`, `start` and `end` of each clause. `id` is optional, as is `family`, which keeps
    similar documents together. Use documents that the specialist was not trained on.

    The model is called with your key, at your cost, within the budget. A quote only counts if it is
    in the document word for word. Both readers are scored by CUAD's metric with 95% intervals, on
    the documents that the model has read. Run an interrupted command again to continue.

    \b
    Examples:
      smallprint compare --provider claude --budget 5 contracts.jsonl --estimate
      smallprint compare --provider claude --budget 5 contracts.jsonl
      smallprint compare --provider claude --budget 5 mine.jsonl --adapter data-retention --json
    """
    from services.escalation.comparison import FrontierReader, ReadingRequest, open_ledger
    from services.escalation.policy.policy import read_policies
    from services.escalation.settings import Settings
    from services.extraction.categories import definitions_of
    from shared.settings import load

    settings = load(Settings)
    own = read_policies(policy or settings.policy).of(tenant)
    asker = own.to_compare(provider, most_tokens)
    documents = read_labelled(labelled)[:first]
    (specialist,) = load_specialists([adapter])
    request = ReadingRequest(
        definitions_of(
            chosen_categories(specialist.labels, categories),
            read_definitions(str(definitions)) if definitions else None,
        ),
        window,
        at_once,
        own.mask,
        settings.escalation_patience,
    )
    name = "stdin" if labelled == STANDARD_INPUT else labelled
    folder = out or Path(f"{name.removesuffix('.gz').removesuffix('.jsonl')}-compare")
    lines = OutputWriter(as_json=as_json, table=comparison.comparison_rows)
    with FolderLock(folder), open_ledger(folder) as ledger:
        reader = FrontierReader(asker, ledger, round(budget * 1_000_000), request)
        if estimate:
            line = _estimated(documents, reader)
        else:
            hour = float(settings.escalation_machine_hour)
            line = _compared(documents, specialist, reader, workers, hour)
    lines.result({"source": labelled, **line})
    return lines.exit_code


def _estimated(documents: Sequence[LabelledDocument], reader: FrontierReader) -> Mapping[str, Any]:
    """The cost of reading if the model quotes each labelled clause."""
    categories = reader.asked.categories
    written = sum(
        len(text)
        for document in documents
        for category, texts in document.answers.items()
        for text in texts
        if category in categories
    )
    texts = [document.text for document in documents]
    cost, reserve = reader.expected(texts, written), reader.room(texts)
    return {
        "documents": {"given": len(documents)},
        "frontier": _asked_of(reader.provider),
        "expected": _cost(cost),
        "budget": {
            "usd": reserve.budget / 1e6,
            "spent_usd": reserve.spent / 1e6,
            "call_usd": reserve.worst / 1e6,
            "least_usd": reserve.least / 1e6,
            "missing": None if reserve.enough else reserve.missing,
        },
    }


def _compared(
    documents: Sequence[LabelledDocument],
    specialist: Specialist,
    reader: FrontierReader,
    workers: int,
    hour_usd: float,
) -> Mapping[str, Any]:
    """Compare specialist and frontier model on the documents that the frontier model has read."""
    from services.escalation.comparison import Left, ProviderReading
    from services.extraction.evaluation.comparison import LabelledDocuments, compare, score

    read, refused, skipped = [], [], 0
    with Progress(len(documents)) as progress:
        texts = [document.text for document in documents]
        for document, answer in zip(documents, reader.read_all(texts, workers), strict=True):
            progress.at(document.id)
            if isinstance(answer, ProviderReading):
                read.append((document, answer))
            elif isinstance(answer, Left):
                skipped += 1
            else:
                refused.append({"id": document.id, "reason": str(answer)})
            progress.step()
    line = {
        "documents": {
            "given": len(documents),
            "read": len(read),
            "left": skipped,
            "refused": refused,
            "learned": sum(document.learned for document, _ in read),
        },
        "stopped": reader.ended,
        "spent_usd": reader.spent().micro_usd / 1e6,
    }
    if not read:
        reason = reader.ended or refused[0]["reason"]
        return {**line, "error": {"type": "nothing_read", "detail": reason}}
    categories = list(reader.asked.categories)
    answers = [
        {name: texts for name, texts in document.answers.items() if name in categories}
        for document, _ in read
    ]
    labelled = LabelledDocuments(categories, answers, [document.group for document, _ in read])
    every, seconds = _specialist_reads([document.text for document, _ in read], specialist)
    least = specialist.manifest.thresholds.get("best_f1", 0.5)
    shown = [
        {name: [one for one in found if one[1] > least] for name, found in of.items()}
        for of in every
    ]
    found = [_by_category((one.category, one.text, 1.0) for one in a.found) for _, a in read]
    result = compare(labelled, score(labelled, shown), score(labelled, found), every)
    own_score, frontier_score = result.pop("ours"), result.pop("theirs")
    waited = {document.text: answer.seconds for document, answer in read}
    return {
        **line,
        "labels": sum(len(texts) for document, _ in read for texts in document.answers.values()),
        **result,
        "specialist": {
            "adapter": specialist.manifest.name,
            "version": specialist.manifest.version,
            **own_score,
            "seconds": seconds,
            "usd": seconds * hour_usd / 3600,
            "hour_usd": hour_usd,
        },
        "frontier": {
            **_asked_of(reader.provider),
            **frontier_score,
            "seconds": sum(waited.values()),
            **_cost(reader.cost([document.text for document, _ in read])),
            "rejected_quotes": sum(answer.rejected for _, answer in read),
            "unusable_answers": sum(answer.unusable for _, answer in read),
        },
    }


def _specialist_reads(
    texts: Sequence[str], specialist: Specialist
) -> tuple[list[Predictions], float]:
    """Every candidate of each text, and the total seconds."""
    from services.extraction.pipeline.search import find_clauses

    read, seconds = [], 0.0
    with Progress(len(texts)) as progress:
        for number, text in enumerate(texts, start=1):
            progress.at(f"{specialist.manifest.name} {number}")
            began = time.monotonic()
            candidates = find_clauses(text, specialist, all_candidates=True)
            seconds += time.monotonic() - began
            read.append(
                _by_category((one.category, one.text, one.confidence) for one in candidates)
            )
            progress.step()
    return read, seconds


def _by_category(clauses: Iterable[tuple[str, str, float]]) -> Predictions:
    listed: dict[str, list[tuple[str, float]]] = {}
    for category, text, confidence in clauses:
        listed.setdefault(category, []).append((text, confidence))
    return listed


def _asked_of(provider: Provider) -> dict[str, Any]:
    price = provider.price
    return {
        "provider": provider.name,
        "model": provider.model,
        "stand_in": provider.stand_in,
        "price": {
            "input": float(price.input),
            "output": float(price.output),
            "as_of": price.as_of,
        },
    }


def _cost(cost: Cost) -> dict[str, Any]:
    return {
        "usd": cost.micro_usd / 1e6,
        "calls": cost.calls,
        "tokens_in": cost.tokens_in,
        "tokens_out": cost.tokens_out,
    }
