"""The command `smallprint compare`: a frontier model beside our specialist."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from services.cli.specialists import ADAPTER, load_specialists
from shared.cli.lines import Lines

if TYPE_CHECKING:
    from services.escalation.comparing import Cost, FrontierReader
    from services.escalation.providers import Provider
    from services.extraction.metric import Predictions
    from shared.cli.labelled import LabelledDocument
    from shared.inference import Specialist


@click.command()
@click.argument("labelled", metavar="LABELLED")
@click.option("--provider", required=True, help="One that the policy's file names.")
@click.option(
    "--budget",
    type=click.FloatRange(min=0, max=1_000_000),
    required=True,
    help="US$ that it may cost in all, also when it goes on another time.",
)
@click.option(
    "--policy",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File with the provider (SMALLPRINT_POLICY).",
)
@click.option("--tenant", default="default", show_default=True, help="Whose policy counts.")
@click.option("--adapter", default=ADAPTER, show_default=True, help="The specialist beside it.")
@click.option("--category", "categories", multiple=True, help="Only this one; may be repeated.")
@click.option(
    "--definitions",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="JSON: what each category asks, where it is none of those that came along.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of its answers and ledger (LABELLED-compare beside it).",
)
@click.option(
    "--window",
    type=click.IntRange(1_000, 1_000_000),
    default=20_000,
    show_default=True,
    help="Characters of a document that are sent at once.",
)
@click.option(
    "--at-once",
    type=click.IntRange(1, 1_000),
    default=50,
    show_default=True,
    help="Categories of one question; 1 asks each by itself, and pays for the text each time.",
)
@click.option(
    "--most-tokens",
    type=click.IntRange(100, 100_000),
    default=8_000,
    show_default=True,
    help="Tokens of one answer.",
)
@click.option(
    "--workers", type=click.IntRange(1, 64), default=4, show_default=True, help="Calls at once."
)
@click.option("--first", type=click.IntRange(min=1), help="Only so many documents, the first ones.")
@click.option(
    "--batch",
    is_flag=True,
    help="By the provider's batch interface: half the price, answers within a day.",
)
@click.option(
    "--every",
    type=click.FloatRange(0.01, 3600),
    default=60.0,
    show_default=True,
    help="Seconds between two looks at a batch.",
)
@click.option(
    "--estimate", is_flag=True, help="Say what it would cost, by rules of thumb, and ask nobody."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line.")
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
    batch: bool,
    every: float,
    estimate: bool,
    as_json: bool,
) -> int:
    """Let a frontier model read labelled contracts, and put it beside our specialist.

    LABELLED is JSON lines, packed with gzip or not, a contract each: `text`, `annotations` with
    `category`, `start` and `end` of each clause, and perhaps `id` and `family`, which keeps alike
    documents together. Take documents that the specialist has not learned from.

    The model is asked with your own key, at your cost, never beyond the budget; each quote counts
    only if the document has it word for word. Both are judged on the documents that the model has
    read, by CUAD's metric, with 95% intervals. Once stopped, the same command goes on.

    \b
    Examples:
      smallprint compare --provider claude --budget 5 contracts.jsonl --estimate
      smallprint compare --provider claude --budget 5 contracts.jsonl
      smallprint compare --provider claude --budget 5 mine.jsonl --adapter data-retention --json
      smallprint compare --provider claude --budget 5 contracts.jsonl --batch
    """
    from services.escalation.comparing import Asked, BatchReader, FrontierReader, open_ledger
    from services.escalation.policy import read_policies
    from services.escalation.settings import Settings
    from services.extraction.definitions import definitions_of
    from shared.cli import comparison
    from shared.cli.labelled import chosen, read_definitions, read_labelled
    from shared.cli.lock import FolderLock
    from shared.settings import load

    settings = load(Settings)
    own = read_policies(policy or settings.policy_file).of(tenant)
    asker = own.to_compare(provider, most_tokens, batch=batch)
    documents = read_labelled(labelled)[:first]
    (specialist,) = load_specialists([adapter])
    asked = Asked(
        definitions_of(
            chosen(specialist.labels, categories),
            read_definitions(str(definitions)) if definitions else None,
        ),
        window,
        at_once,
        own.mask,
        settings.escalation_patience,
    )
    folder = out or Path(f"{labelled.removesuffix('.gz').removesuffix('.jsonl')}-compare")
    lines = Lines(as_json=as_json, table=comparison.shown)
    with FolderLock(folder), open_ledger(folder) as ledger:
        money = round(budget * 1_000_000)
        reader = (
            BatchReader(asker, ledger, money, asked, every=every, tell=_said)
            if batch
            else FrontierReader(asker, ledger, money, asked)
        )
        if estimate:
            line = _estimated(documents, reader)
        else:
            hour = float(settings.escalation_machine_hour)
            line = _compared(documents, specialist, reader, workers, hour)
    lines.result({"source": labelled, **line})
    return lines.exit_code


def _said(line: str) -> None:
    """Where something waits for hours, how far it is."""
    click.echo(line, err=True)


def _estimated(documents: Sequence[LabelledDocument], reader: FrontierReader) -> Mapping[str, Any]:
    """What reading would cost, if each clause of the labels was quoted."""
    chosen = reader.asked.categories
    written = sum(
        len(text)
        for document in documents
        for category, texts in document.answers.items()
        for text in texts
        if category in chosen
    )
    texts = [document.text for document in documents]
    cost, room = reader.expected(texts, written), reader.room(texts)
    return {
        "documents": {"given": len(documents)},
        "frontier": _asked_of(reader.provider),
        "expected": _cost(cost),
        "budget": {
            "usd": room.budget / 1e6,
            "spent_usd": room.spent / 1e6,
            "call_usd": room.worst / 1e6,
            "least_usd": room.least / 1e6,
            "missing": None if room.enough else room.missing,
        },
    }


def _compared(
    documents: Sequence[LabelledDocument],
    specialist: Specialist,
    reader: FrontierReader,
    workers: int,
    hour_usd: float,
) -> Mapping[str, Any]:
    """What both readers make of the documents that the frontier model has read."""
    from services.escalation.comparing import Answered, BatchReader, Left
    from services.extraction.comparison import Labelled, compare, score
    from shared.cli.progress import Progress

    read, refused, left = [], [], 0
    batches = isinstance(reader, BatchReader)
    with Progress(len(documents)) as progress:
        texts = [document.text for document in documents]
        for document, answer in zip(documents, reader.read_all(texts, workers), strict=True):
            progress.at(document.id)
            if isinstance(answer, Answered):
                read.append((document, answer))
            elif isinstance(answer, Left):
                left += 1
            else:
                refused.append({"id": document.id, "reason": str(answer)})
            progress.step()
    told = {
        "documents": {
            "given": len(documents),
            "read": len(read),
            "left": left,
            "refused": refused,
            "learned": sum(document.learned for document, _ in read),
        },
        "stopped": reader.ended,
        "spent_usd": reader.spent().micro_usd / 1e6,
    }
    if not read:
        reason = reader.ended or refused[0]["reason"]
        return {**told, "error": {"type": "nothing_read", "detail": reason}}
    categories = list(reader.asked.categories)
    answers = [
        {name: texts for name, texts in document.answers.items() if name in categories}
        for document, _ in read
    ]
    labelled = Labelled(categories, answers, [document.group for document, _ in read])
    every, seconds = _specialist_reads([document.text for document, _ in read], specialist)
    least = specialist.manifest.thresholds.get("best_f1", 0.5)
    shown = [
        {name: [one for one in found if one[1] > least] for name, found in of.items()}
        for of in every
    ]
    found = [_by_category((one.category, one.text, 1.0) for one in a.found) for _, a in read]
    result = compare(labelled, score(labelled, shown), score(labelled, found), every)
    ours, theirs = result.pop("ours"), result.pop("theirs")
    waited = {document.text: answer.seconds for document, answer in read}
    return {
        **told,
        "labels": sum(len(texts) for document, _ in read for texts in document.answers.values()),
        **result,
        "specialist": {
            "adapter": specialist.manifest.name,
            "version": specialist.manifest.version,
            **ours,
            "seconds": seconds,
            "usd": seconds * hour_usd / 3600,
            "hour_usd": hour_usd,
        },
        "frontier": {
            **_asked_of(reader.provider),
            **theirs,
            "seconds": None if batches else sum(waited.values()),
            **_cost(reader.cost([document.text for document, _ in read])),
            "rejected_quotes": sum(answer.rejected for _, answer in read),
            "unusable_answers": sum(answer.unusable for _, answer in read),
        },
    }


def _specialist_reads(
    texts: Sequence[str], specialist: Specialist
) -> tuple[list[Predictions], float]:
    """Every candidate of each text, and the seconds that all of them took."""
    from services.extraction.pipeline import find_clauses
    from shared.cli.progress import Progress

    read, seconds = [], 0.0
    with Progress(len(texts)) as progress:
        for number, text in enumerate(texts, start=1):
            progress.at(f"{specialist.manifest.name} {number}")
            began = time.monotonic()
            found = find_clauses(text, specialist, all_candidates=True)
            seconds += time.monotonic() - began
            read.append(_by_category((one.category, one.text, one.confidence) for one in found))
            progress.step()
    return read, seconds


def _by_category(found: Iterable[tuple[str, str, float]]) -> Predictions:
    listed: dict[str, list[tuple[str, float]]] = {}
    for category, text, confidence in found:
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
