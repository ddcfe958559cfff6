"""The command `smallprint`, and the embedded edition. Only this file and upkeep.py, which has the
commands of operators, import several services.

Commands import what they need when they run, so that `--help` answers at once.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Self

import click

from services import upkeep
from services.status import no_suite, status
from shared.cli.batch import Batch, CannotStart, Work
from shared.cli.lines import (
    NONE_WORKED,
    Lines,
    OutputClosed,
    discard_output,
    error_line,
    plain,
    to_json,
    write,
)
from shared.cli.options import PORT, as_json, data_option, key_option, url_option
from shared.cli.options import given as _given
from shared.errors import SuiteError, UnsupportedType
from shared.private import private_files
from shared.version import VERSION
from shared.web.scopes import ALL, SCOPES, ordered

if TYPE_CHECKING:
    from services.escalation.comparing import Cost, FrontierReader
    from services.escalation.providers import Provider
    from services.extraction.metric import Predictions
    from services.extraction.trying import Past, Tally
    from services.extraction.watch.calibrating import Refit
    from services.ingest.keys import KeyRing
    from services.triage.domain import Verdict
    from services.triage.guarantee import Promise
    from services.triage.history import History
    from services.triage.naming import Naming
    from services.triage.narrative.flags import Words
    from services.triage.reading.document import Reported
    from services.triage.reading.report import Linkbases
    from services.triage.statements import BadFiling, Filing
    from shared.asking import AskRules
    from shared.cli.checks import Check
    from shared.cli.labelled import LabelledDocument
    from shared.cli.parts import WithParts
    from shared.documents import Reading
    from shared.documents.sandbox import Reader
    from shared.inference import Specialist, Specialists
    from shared.policy import RiskRules
    from shared.runtime import Service
    from shared.settings import CommonSettings
    from shared.storage import Store

ADAPTER = "contract-clauses"
INTERRUPTED, CLOSED = 130, 141
"""Exit codes of a process that Ctrl-C ended, and of one whose reader has gone."""


class AdapterOption(click.Option):
    """The option `--adapter`; its help names the adapters that there are."""

    def get_help_record(self, context: click.Context) -> tuple[str, str] | None:
        """See click.Option."""
        from shared.artefacts import adapter_names
        from shared.settings import CommonSettings, load

        record = super().get_help_record(context)
        with suppress(SuiteError):  # a wrong setting is no reason not to help
            settings = load(CommonSettings)
            found = adapter_names(settings.artefacts_folder, settings.adapters_folder)
            names = ", ".join(map(plain, found))
            if record and names:
                return record[0], f"{record[1]} There is: {names}."
        return record


adapter_option = click.option(
    "--adapter",
    "adapters",
    multiple=True,
    default=(ADAPTER,),
    cls=AdapterOption,
    show_default=True,
    help="The specialist that reads; several, if it is repeated.",
)
paths_argument = click.argument("paths", nargs=-1, required=True, metavar="PATH...")
password_option = click.option(
    "--password",
    envvar="SMALLPRINT_PASSWORD",
    help="Opens encrypted PDFs; better given as SMALLPRINT_PASSWORD.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(VERSION, prog_name="smallprint")
def cli() -> None:
    """Find the clauses in contracts and the breaks in financial reports, on this machine alone.

    smallprint points at passages and figures; it gives no legal or audit advice.

    \b
    Examples:
      smallprint extract lease.pdf
      smallprint extract *.pdf --json > clauses.jsonl
      smallprint batch ~/contracts
      smallprint watch ~/inbox
      smallprint teach data-retention examples.jsonl
      smallprint triage filings.jsonl --json
      smallprint up
      smallprint status
    """


for _command in (*upkeep.COMMANDS, status):
    cli.add_command(_command)


def main() -> int:
    """Run the command. Returns the exit code: 0 all worked, 1 some failed, 2 none did."""
    try:
        with private_files():
            result = cli.main(prog_name="smallprint", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return NONE_WORKED
    except SuiteError as error:
        click.echo(f"smallprint: {plain(error.message)}", err=True)
        return NONE_WORKED
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except (OutputClosed, BrokenPipeError):
        discard_output()
        return CLOSED
    return result if isinstance(result, int) else 0


# Documents on the command line


@cli.command()
@paths_argument
@as_json
@url_option
@key_option
@click.option("--kind", type=click.Choice(["contract", "report", "other"]), help="What they are.")
@click.option(
    "--adapter",
    "adapters",
    multiple=True,
    help="A specialist of the suite that is to read them if they are contracts; may be repeated.",
)
@password_option
def upload(
    paths: Sequence[str],
    as_json: bool,
    url: str,
    key: str,
    kind: Any,
    adapters: Sequence[str],
    password: str | None,
) -> int:
    """Upload documents to a running suite; a large one goes on where its connection broke off.

    With --json one line a file: `source`, `id`, `state` and so on, as the suite answers.

    \b
    Examples:
      SMALLPRINT_KEY=sp_... smallprint upload lease.pdf
      smallprint upload *.pdf --url https://papers.example --json
      smallprint upload terms.html --adapter contract-clauses --adapter unfair-terms
    """
    from smallprint import ApiError, Client

    from shared.cli import tables

    lines = Lines(as_json=as_json, table=tables.uploaded)
    with Client(url, key) as client:

        def send(path: str) -> Iterator[Mapping[str, Any]]:
            try:
                document = client.upload(path, kind=kind, password=password, adapters=adapters)
            except ApiError as error:
                yield {"source": path, "error": {"type": error.code, "detail": error.detail}}
            except OSError as error:
                detail = f"the file can't be read: {error.strerror or error}"
                yield {"source": path, "error": {"type": "unreadable_file", "detail": detail}}
            else:
                yield {"source": path, "id": document.id, "state": document.state}

        each_file(paths, lines, send)
    return lines.exit_code


@cli.command()
@click.argument("words", nargs=-1, required=True, metavar="WORDS...")
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines, one a place.")
@url_option
@key_option
@click.option(
    "--in",
    "within",
    type=click.Choice(["text", "clauses"]),
    default="text",
    show_default=True,
    help="Where to look.",
)
@click.option("--category", help="Clauses of this category, verbatim.")
@click.option("--kind", type=click.Choice(["contract", "report", "other"]), help="Of documents.")
@click.option("--document", help="Id of the only document to look in.")
@click.option(
    "--most",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="Print no more places than these.",
)
def search(
    words: Sequence[str],
    as_json: bool,
    url: str,
    key: str,
    within: Any,
    category: str | None,
    kind: Any,
    document: str | None,
    most: int,
) -> int:
    """Search the documents of a running suite: pages, or clauses, that have all of the words.

    Words in quotes stand side by side; a star stands for any ending. With --json one line a place:
    `document_id`, `page`, `text`, `highlights` and so on, as the suite answers.

    \b
    Examples:
      smallprint search indemnification delaware
      smallprint search '"change of control"' --in clauses
      smallprint search 'terminat*' --category "Governing Law" --json
    """
    from itertools import islice

    from smallprint import ApiError, Client

    from shared.cli import tables

    filters = {"within": within, "category": category, "kind": kind, "document": document}
    try:
        with Client(url, key) as client:
            found = list(islice(client.search(" ".join(words), **filters), most + 1))
    except ApiError as error:
        raise no_suite(error, url) from None
    for hit in found[:most]:
        if as_json:
            write(to_json(asdict(hit)))
        else:
            write("".join(f"{row}\n" for row in tables.hit(hit)).encode("utf-8", "replace"))
    if not found:
        click.echo("nothing was found", err=True)
    elif len(found) > most:
        click.echo(f"there is more: --most {10 * most}, or fewer with other words", err=True)
    return 0


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines, one a report.")
@url_option
@key_option
@click.option("--flagged", is_flag=True, default=None, help="Only those that are flagged.")
@click.option("--least", type=click.FloatRange(0, 1), help="Only from this risk on.")
@click.option(
    "--most",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="Print no more reports than these.",
)
def reports(
    as_json: bool, url: str, key: str, flagged: bool | None, least: float | None, most: int
) -> int:
    """List the reports of a running suite by risk, the riskiest first.

    Risk says where to look first; it is no verdict. With --json one line a report: `document_id`,
    `name`, `risk`, `flagged` and so on, as the suite answers.

    \b
    Examples:
      smallprint reports
      smallprint reports --flagged --json
      smallprint reports --least 0.2 --most 100
    """
    from itertools import islice

    from smallprint import ApiError, Client

    from shared.cli import tables

    try:
        with Client(url, key) as client:
            found = list(islice(client.reports(flagged=flagged, least=least), most + 1))
    except ApiError as error:
        raise no_suite(error, url) from None
    if as_json:
        for report in found[:most]:
            write(to_json({**asdict(report), "updated": _moment(report.updated)}))
    else:
        rows = tables.reports(found[:most])
        write("".join(f"{row}\n" for row in rows).encode("utf-8", "replace"))
        click.echo(tables.DISCLAIMER, err=True)
    if not found:
        click.echo("no report fits", err=True)
    elif len(found) > most:
        click.echo(f"there are more: --most {10 * most}", err=True)
    return 0


@cli.command()
@click.option(
    "--by",
    type=click.Choice(["provider", "model", "day", "kind", "document", "adapter", "tenant"]),
    default="day",
    show_default=True,
    help="What is added up.",
)
@click.option(
    "--model", help="Whose price says what it would have cost had a frontier model read it all."
)
@click.option(
    "--all-tenants", is_flag=True, help="Of every tenant, from the data folder, without a key."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line.")
@url_option
@click.option("--key", envvar="SMALLPRINT_KEY", help="A key of it; better as SMALLPRINT_KEY.")
@click.option(
    "--resume",
    metavar="PROVIDER",
    help="Let a stopped provider go on, in the data folder, once you have looked at its own bill.",
)
@data_option
def costs(
    by: Any,
    model: str | None,
    all_tenants: bool,
    as_json: bool,
    url: str,
    key: str | None,
    resume: str | None,
    data: Path | None,
) -> int:
    """What the work of a running suite cost, and what it would have cost at a frontier model.

    Calls to frontier models are those of the ledger: they count with their worst case until the
    provider has told its bill; what may have been billed, but was never told, counts so for good.
    Specialists cost the time that they took, at the price of the machine's hour.

    \b
    Examples:
      smallprint costs
      smallprint costs --by document --json
      smallprint costs --by adapter --model claude-sonnet-5
      smallprint costs --all-tenants --data var/data
      smallprint costs --resume claude
    """
    from smallprint import ApiError, Client

    from shared.cli import tables

    if resume:
        _resume(resume, data)
        return 0
    if all_tenants:
        _costs_of_tenants(data, as_json=as_json)
        return 0
    if not key:
        raise SuiteError("a key is needed: give --key, or set SMALLPRINT_KEY")
    try:
        with Client(url, key) as client:
            found = client.costs(by, model)
    except ApiError as error:
        raise no_suite(error, url) from None
    if as_json:
        stopped = [{**asdict(stop), "since": _moment(stop.since)} for stop in found.stopped]
        write(to_json({**asdict(found), "stopped": stopped}))
    else:
        write("".join(f"{row}\n" for row in tables.costs(found)).encode("utf-8", "replace"))
    return 0


def _costs_of_tenants(data: Path | None, *, as_json: bool) -> None:
    """What each tenant cost, which only whoever has the database may know."""
    from services.escalation.audit import tenants
    from services.escalation.settings import Settings
    from shared.cli import tables
    from shared.settings import load

    hour = float(load(Settings).escalation_machine_hour)
    with escalation_store(data) as store, store.read() as session:
        lines = [
            {
                "tenant": one.tenant,
                "calls": one.calls,
                "usd": one.micro_usd / 1e6,
                "documents": one.work.documents,
                "seconds": one.work.seconds,
                "machine_usd": one.work.seconds * hour / 3600,
            }
            for one in tenants(session)
        ]
    if as_json:
        write(to_json({"tenants": lines, "hour_usd": hour}))
    else:
        rows = tables.costs_of_tenants(lines, hour)
        write("".join(f"{row}\n" for row in rows).encode("utf-8", "replace"))


def _resume(provider: str, data: Path | None) -> None:
    """Take a provider off the list of the stopped ones. Raises SuiteError if it is not there."""
    from services.escalation.ledger import Ledger

    with escalation_store(data) as store:
        stop = Ledger(store).resume(provider)
    if stop is None:
        raise SuiteError(f"{plain(provider)} is not stopped: smallprint costs lists who is")
    since = f"{stop.since:%Y-%m-%d %H:%M} UTC"
    click.echo(
        f"{plain(provider)} may be asked again; it was stopped since {since}, by its bill for the "
        f"call {plain(stop.call_id)}, which the log of escalation and the ledger name so",
        err=True,
    )


@contextmanager
def escalation_store(data: Path | None) -> Iterator[Store]:
    """The database of escalation, also beside a running suite. Raises SuiteError without one."""
    from services.escalation.bootstrap import open_store
    from services.escalation.settings import Settings
    from shared.cli.files import require_database
    from shared.settings import load

    settings = load(Settings, **_given(data=data))
    if not settings.escalation_database_url:
        require_database(settings.data / "escalation.db", create=False)
    store = open_store(settings)
    try:
        store.migrate()
        yield store
    finally:
        store.close()


@cli.command()
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
        money = int(budget * 1_000_000)
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
    cost = reader.expected([document.text for document in documents], written)
    return {
        "documents": {"given": len(documents)},
        "frontier": _asked_of(reader.provider),
        "expected": _cost(cost),
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
            "seconds": None if batches else sum(answer.seconds for _, answer in read),
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


@cli.command()
@paths_argument
@as_json
@adapter_option
@click.option("--all", "every", is_flag=True, help="Every candidate above 0.001, not the likely.")
@click.option(
    "--max-wrong",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="R",
    help="Route clauses: of those accepted at most a share R is wrong, the others need a person.",
)
@password_option
def extract(
    paths: Sequence[str],
    as_json: bool,
    adapters: Sequence[str],
    every: bool,
    max_wrong: float | None,
    password: str | None,
) -> int:
    """Find the clauses of contracts (PDF, DOCX, ODT, RTF, HTML, text, scans), also in archives.

    \b
    Examples:
      smallprint extract lease.pdf
      smallprint extract a.pdf b.txt --json
      smallprint extract lease.pdf --max-wrong 0.05
      smallprint extract lease.pdf --all --json | jq '.clauses[] | select(.confidence > 0.9)'
    """
    from shared.cli import tables

    lines = Lines(as_json=as_json, table=tables.clauses)
    with Finder(adapters, every=every, max_wrong=max_wrong) as finder:
        each_file(paths, lines, lambda path: finder.file(path, password))
    if not as_json and lines.worked:
        click.echo(tables.DISCLAIMER, err=True)
    return lines.exit_code


@cli.command()
@click.argument("path")
@as_json
@password_option
def text(path: str, as_json: bool, password: str | None) -> int:
    """Print the text of a document exactly as offsets count it (UTF-8, nothing added).

    With --json it is one line with `text`; what lies in a mail or archive is in its `parts`.

    \b
    Examples:
      smallprint text lease.pdf > lease.txt
      smallprint text lease.eml --json | jq -r '.parts[].text'
    """
    from shared.cli.files import read_file

    with open_reader() as reader:
        data = read_file(path, reader.limits.max_bytes)
        if as_json:
            lines = Lines(as_json=True, table=lambda _line: ())
            each_file([path], lines, lambda _: iter([_text_line(reader, path, data, password)]))
            return lines.exit_code
        reading = reader.read(data, name=Path(path).name, password=password)
        held = _names_in(reader, reading, data, path)
    for warning in reading.warnings:
        click.echo(f"smallprint: {plain(warning)}", err=True)
    for failed in reading.failed:
        click.echo(f"smallprint: page {failed.number}: {plain(failed.reason)}", err=True)
    if not reading.page_count:
        raise SuiteError(f"an archive has no text of its own, --json prints what it holds: {held}")
    if held:
        click.echo(f"smallprint: not printed, but with --json: {plain(held)}", err=True)
    write(reading.text.encode("utf-8", "surrogatepass"))
    return 0


def _text_line(reader: Reader, path: str, data: bytes, password: str | None) -> Mapping[str, Any]:
    def own(source: str, data: bytes) -> Mapping[str, Any]:
        reading = reader.read(data, name=Path(source).name, password=password)
        line = {"source": source, "document": _document(reading, data), "text": reading.text}
        return {**line, "warnings": list(reading.warnings)}

    return with_parts(reader).line(path, data, own)


def _names_in(reader: Reader, reading: Reading, data: bytes, path: str) -> str:
    """What lies in a document, at most some of it; empty for most."""
    from shared.documents import CONTAINERS

    if reading.media_type not in CONTAINERS:
        return ""
    names = [part.name for part in reader.unpack(data, name=Path(path).name)]
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")


def with_parts(reader: Reader) -> WithParts:
    """Does with what lies in mails and archives what is done with files."""
    from shared.cli.parts import WithParts

    return WithParts(
        lambda data, name, depth: reader.unpack(data, name=name, depth=depth), reader.limits
    )


def _document(reading: Reading, data: bytes) -> dict[str, Any]:
    from shared.cli.files import sha256

    return {
        "sha256": sha256(data),
        "media_type": reading.media_type,
        "pages": reading.page_count,
        "failed_pages": [
            {"page": page.number, "code": page.code, "reason": page.reason}
            for page in reading.failed
        ],
        "read": [
            {"page": page.number, "method": page.method, "confidence": page.confidence}
            for page in reading.pages
        ],
    }


@cli.command()
@paths_argument
@click.option(
    "--history",
    type=click.Path(exists=True),
    help="Earlier reports of the same companies: a folder, or a file such as JSON lines.",
)
@click.option(
    "--max-wrong",
    type=click.FloatRange(min=0, max=1, min_open=True, max_open=True),
    help="Of the findings that need no person at most this share may be wrong: adds a `route`.",
)
@click.option(
    "--broken",
    type=click.FloatRange(min=0, max=1, min_open=True, max_open=True),
    help="With --max-wrong: the share of your filings that have an error.",
)
@as_json
@password_option
def triage(
    paths: Sequence[str],
    history: str | None,
    max_wrong: float | None,
    broken: float | None,
    as_json: bool,
    password: str | None,
) -> int:
    """Find what does not add up in reports, also in those that lie in mails and archives.

    Reports are PDF, HTML with or without inline XBRL, workbooks, text, XBRL instances, JSON, JSON
    lines and CSV. `smallprint statements` prints what is read of them.

    \b
    Examples:
      smallprint triage annual-report.pdf 10-k.html
      smallprint triage filings.jsonl balance_sheet.csv --json
      smallprint triage 10-k-2023.html --history earlier-10-ks

    With --history, what a report says of earlier periods is held against what the same company said
    then; a company is told by the name that its report states.

    With --max-wrong 0.05 each finding has a `route`, `accept` or `review`: of those that are
    accepted at most 5% are wrong, with 95% confidence, if the share of filings with an error is as
    --broken says. Where that can't be promised it says why.
    """
    from shared.cli import tables

    if broken is not None and max_wrong is None:
        raise click.UsageError("--broken goes with --max-wrong")
    if history is not None and max_wrong is not None:
        raise click.UsageError(
            "--max-wrong goes without --history: nothing is known of how often such findings err"
        )
    lines = Lines(as_json=as_json, table=tables.findings)
    with Reports() as reports:
        if max_wrong is not None:
            reports.promise(max_wrong, broken)
        if history is not None:
            for said in reports.learn_history(history, password):
                click.echo(plain(said), err=True)
        each_file(paths, lines, lambda path: reports.file(path, password))
    if not as_json and lines.worked:
        click.echo(tables.DISCLAIMER, err=True)
    return lines.exit_code


@cli.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False))
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the results (FOLDER-results beside it).",
)
@click.option(
    "--resume/--anew", default=True, help="Go on where it stopped (default), or do all again."
)
@as_json
@adapter_option
@password_option
def batch(
    folder: str,
    out: Path | None,
    resume: bool,
    as_json: bool,
    adapters: Sequence[str],
    password: str | None,
) -> int:
    """Work on every document below FOLDER: one JSON result a file, and a summary.

    Contracts (PDF, DOCX, ODT, RTF, HTML, text) are read for clauses, reports (JSON, JSON lines,
    CSV) for what does not add up; a mail or archive has one result, with what lies in it in
    `parts`. A file of JSON lines has one result as well, with a line in it for each filing. A
    maildir is a folder of mails. A batch that was cut off goes on where it stopped; what failed is
    tried again, and is listed in the summary.

    \b
    Examples:
      smallprint batch ~/contracts
      smallprint batch ~/contracts --out ~/results --anew
      smallprint batch ~/contracts --adapter contract-clauses --adapter unfair-terms
    """
    from shared.cli.files import Results, files_below

    where = Path(folder).resolve()
    results = Results(out or where.with_name(f"{where.name}-results"), Path(folder))
    sources = list(files_below(folder, results.folder))
    if not sources:
        raise SuiteError(f"there is no file in {folder}")
    results.require_writable()
    lines = Lines(as_json=as_json, table=lambda _line: ())
    with documents_of_all_kinds(adapters, password) as work:
        done = Batch(work, results, resume)
        each_file(sources, lines, done.file)
        each_file(done.elsewhere, lines, done.rest)
    results.summarise(done.summary())
    if not as_json:
        write("".join(f"{row}\n" for row in done.shown()).encode("utf-8", "replace"))
    return int(lines.exit_code)


@contextmanager
def documents_of_all_kinds(adapters: Sequence[str], password: str | None) -> Iterator[Work]:
    """Reads contracts for clauses and reports for what does not add up, also within mails and
    archives.
    """
    with Finder(adapters, every=False) as finder:
        reports = Reports(finder.reader)

        def result(source: str, data: bytes) -> Mapping[str, Any]:
            if is_report(source, data):
                return reports.result(source, data)
            return finder.result(source, data, password)

        def maker(source: str, data: bytes) -> str:
            if holds_others(source, data):
                return f"{finder.maker}, {reports.maker}"
            return (reports if is_report(source, data) else finder).maker

        yield Work(
            finder.most_bytes, maker, lambda path, data: finder.parts.line(path, data, result)
        )


@cli.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False))
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the receipts (FOLDER/results).",
)
@click.option(
    "--settle",
    type=click.FloatRange(0, 3600),
    default=2.0,
    show_default=True,
    help="Seconds for which a file must not change before it is taken.",
)
@click.option(
    "--poll",
    type=click.FloatRange(0.1, 86_400),
    default=10.0,
    show_default=True,
    help="Seconds between two looks where no change is noticed, as on network folders.",
)
@as_json
@adapter_option
@password_option
def watch(
    folder: str,
    out: Path | None,
    settle: float,
    poll: float,
    as_json: bool,
    adapters: Sequence[str],
    password: str | None,
) -> int:
    """Work on every document that comes into FOLDER, as `batch` does, until Ctrl-C.

    A file is taken once it is whole: not changed for some seconds, and not open for writing as far
    as this machine knows. What worked is moved to FOLDER/done, what did not to FOLDER/failed, each
    with a receipt in FOLDER/results that has the result, or why there is none. Names are kept; a
    second lease.pdf becomes lease-2.pdf. Move a failed file back, and it is tried again.

    Several watchers share a folder if they have the same folder of receipts. One that is killed
    goes on where it was. Hidden files, and those of unfinished downloads (.part, .crdownload,
    .tmp), are left alone. The mails of a maildir go to its folders done and failed.

    \b
    Examples:
      smallprint watch ~/inbox
      smallprint watch /mnt/scans --poll 30 --out ~/scans-results --json
    """
    from shared.cli import tables
    from shared.cli.files import Results
    from shared.cli.notices import Notices
    from shared.cli.watching import Stop, Watcher

    def tell(text: str) -> None:
        click.echo(f"smallprint: {plain(text)}", err=True)

    results = Results(out or Path(folder, "results"), Path(folder))
    results.require_writable()
    lines = Lines(as_json=as_json, table=tables.watched)
    with documents_of_all_kinds(adapters, password) as work:
        watcher = Watcher(Path(folder), work, results, settle=settle, tell=tell)
        with Notices(Path(folder), *watcher.own, tell=tell) as notices:
            stop = Stop(lambda: tell("finishing the document in hand …"))
            tell(f"waits for documents in {folder} (Ctrl-C stops it)")
            while not stop():
                each_file(watcher.whole(), lines, lambda path: () if stop() else watcher.file(path))
                notices.wait(watcher.next_look(poll), stop)
    tell(f"{watcher.done} worked, {watcher.failed} failed")
    return 0


@cli.command()
@paths_argument
@click.option("--concepts", is_flag=True, help="Show what each line is taken for (--json has it).")
@as_json
@password_option
def statements(paths: Sequence[str], concepts: bool, as_json: bool, password: str | None) -> int:
    """Print the statements that were read of reports, with the place of every value.

    Balance sheet, income statement and cash flow statement of HTML, inline XBRL, PDF, workbooks
    and plain text; of an XBRL instance if its linkbases (…_pre.xml, …_lab.xml) lie beside it. What
    --json prints can be given to `smallprint triage` again, which reads the same files itself. Each
    line has the us-gaap concept that it is taken for, with a confidence.

    \b
    Examples:
      smallprint statements annual-report.pdf
      smallprint statements scan.pdf --concepts
      smallprint statements 10-k.html --json > filing.jsonl
    """
    from shared.cli import tables

    lines = Lines(as_json=as_json, table=partial(tables.statements, concepts=concepts))
    namer = open_namer() if as_json or concepts else None
    with open_reader() as reader:
        each_file(paths, lines, lambda path: _statement_lines(reader, path, password, namer))
    return lines.exit_code


def open_namer() -> Naming | None:
    """What names the lines of statements, None where it is not installed.

    Raises NamesError for a damaged one.
    """
    from services.triage.together import find_naming
    from shared.inference import lazily
    from shared.settings import CommonSettings, load

    settings = load(CommonSettings)
    specialists = lazily(settings.artefacts_folder, settings.threads, settings.arithmetic)
    return find_naming(settings.artefacts_folder, lambda: specialists().base)


def _statement_lines(
    reader: Reader, path: str, password: str | None, namer: Naming | None
) -> Iterator[Mapping[str, Any]]:
    """One line a filing; data of programs, which can be thousands, are named quickly.

    Raises UnreadableDocument for a document without statements.
    """
    from services.triage.statements import BadFiling, report_type
    from shared.cli.files import read_file

    if namer and report_type("", path):
        namer = namer.quick
    for found in reported(reader, path, read_file(path, reader.limits.max_bytes), password):
        if isinstance(found, BadFiling):
            yield _bad_filing(path, found)
        else:
            form = namer.show(found.filing, found.form) if namer else found.form
            yield {"source": path, **form}


def reported(
    reader: Reader, source: str, data: bytes | BinaryIO, password: str | None = None
) -> Iterator[Reported | BadFiling]:
    """The filings of one file. Raises UnreadableDocument if there is nothing to check in it."""
    from services.triage.reading.document import read_document
    from services.triage.statements import report_type
    from shared.documents import sniff

    name = Path(source).name
    whole = data if isinstance(data, bytes) else b""
    yield from read_document(
        data,
        report_type("", source) or sniff(whole, source),
        name,
        reading=lambda: reader.read(whole, name=name, password=password),
        facts=reader.facts,
        beside=_linkbases(source, reader.limits.max_bytes),
    )


def _bad_filing(source: str, filing: BadFiling) -> Mapping[str, Any]:
    error = {"type": "unreadable_document", "detail": filing.message}
    return {"source": source, "id": filing.id, "error": error}


def _linkbases(path: str, most: int) -> Linkbases | None:
    """The presentation and labels that lie beside an instance, by the names that filers use."""
    from services.triage.reading.report import Linkbases
    from shared.cli.files import read_file

    stem = Path(path).with_suffix("")
    stems = [stem, stem.with_name(stem.name.removesuffix("_htm"))]
    found = {
        part: next((p for s in stems if (p := s.with_name(f"{s.name}_{part}.xml")).is_file()), None)
        for part in ("pre", "lab")
    }
    if Path(path).suffix.lower() not in (".xml", ".xbrl") or not found["pre"]:
        return None
    labels = read_file(str(found["lab"]), most) if found["lab"] else None
    return Linkbases(read_file(str(found["pre"]), most), labels)


def each_file(
    paths: Sequence[str],
    lines: Lines,
    work: Callable[[str], Iterable[Mapping[str, Any]]],
) -> None:
    """Print what `work` makes of each file, in order; a file that fails does not stop the next."""
    from shared.cli.progress import Progress

    with Progress(len(paths)) as progress:
        for path in paths:
            progress.at(path)
            for line in _with_errors(path, work):
                progress.clear()
                lines.result(line)
            progress.step()


def _with_errors(
    path: str, work: Callable[[str], Iterable[Mapping[str, Any]]]
) -> Iterator[Mapping[str, Any]]:
    try:
        yield from work(path)
    except (OutputClosed, CannotStart):
        raise  # not this file's fault: every other would fail as well
    except Exception as error:  # noqa: BLE001 - one bad file must not cost the others
        yield error_line(path, error)


@dataclass(frozen=True)
class Answer:
    """What is said of one contract."""

    clauses: Sequence[Mapping[str, Any]] = ()
    presence: Sequence[Mapping[str, Any]] = ()
    warnings: Sequence[str] = ()
    risks: Sequence[Mapping[str, Any]] = ()


class Finder:
    """Reads contracts and finds their clauses by one specialist or several, on one base. The model
    is loaded with the first document.
    """

    def __init__(
        self, adapters: Sequence[str], *, every: bool, max_wrong: float | None = None
    ) -> None:
        self.adapters = tuple(dict.fromkeys(adapters))
        self.every = every
        self.max_wrong = max_wrong
        self.reader = open_reader()
        self.parts = with_parts(self.reader)
        self._most_characters = most_characters()
        self._specialists: list[Specialist] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.reader.close()

    @property
    def most_bytes(self) -> int:
        """Bytes that one document may have."""
        return self.reader.limits.max_bytes

    @property
    def maker(self) -> str:
        """The specialists, their versions and their base."""
        models = self._models()
        names = " and ".join(f"{model['adapter']} {model['version']}" for model in models)
        return f"{names} on {models[0]['base'][:12]}"

    def file(self, path: str, password: str | None) -> Iterator[Mapping[str, Any]]:
        """The one line about a file. Raises UnsupportedType for a report."""
        from shared.cli.files import read_file

        def contract(source: str, data: bytes) -> Mapping[str, Any]:
            if can_be_checked(source, data):
                raise UnsupportedType(
                    "this is a report (JSON, JSON lines, CSV): use `smallprint triage`",
                    document=source,
                )
            return self.result(source, data, password)

        yield self.parts.line(path, read_file(path, self.most_bytes), contract)

    def result(self, path: str, data: bytes, password: str | None) -> Mapping[str, Any]:
        """What is in one document itself. Raises UnreadableDocument, or CannotStart without a
        model.
        """
        from services.extraction.domain import refuse_too_long

        began = time.monotonic()
        reading = self.reader.read(data, name=Path(path).name, password=password)
        refuse_too_long(reading.text, self._most_characters)
        read = time.monotonic()
        models = self._models()
        loaded = time.monotonic()
        answer = self._clauses(reading) if reading.page_count else Answer()
        found = time.monotonic()
        return {
            "source": path,
            "document": _document(reading, data),
            "clauses": answer.clauses,
            "presence": answer.presence,
            "model": models[0],
            "models": models,
            **({} if self.max_wrong is None else {"risks": answer.risks}),
            "warnings": [*reading.warnings, *answer.warnings],
            "timings": _timings(read=read - began, find=found - loaded),
        }

    def _clauses(self, reading: Reading) -> Answer:
        from services.extraction.domain import searched
        from services.extraction.pipeline import search
        from services.extraction.routing import routes, stated_risk
        from services.extraction.values import value_json
        from shared.policy import RiskRules

        clauses: list[dict[str, Any]] = []
        presence = []
        warnings: dict[str, None] = {}
        risks = []
        rules = RiskRules(max_wrong=self.max_wrong)
        for specialist in self._get_specialists():
            name = {"adapter": specialist.manifest.name}
            found = search(reading.text, specialist, reading.furniture, all_candidates=self.every)
            stated = stated_risk(specialist, found, rules)
            clauses += (
                {
                    "category": clause.category,
                    "text": clause.text,
                    "start": clause.start,
                    "end": clause.end,
                    "page": reading.page_at(clause.start),
                    "confidence": clause.confidence,
                    "value": value_json(clause.category, clause.text, clause.start),
                    **name,
                    **({"route": route} if stated else {}),
                }
                for clause, route in zip(
                    found.clauses, routes(found.clauses, reading, stated), strict=True
                )
            )
            if stated:
                risks.append({**name, **stated.to_json()})
            presence += [{**asdict(line), **name} for line in searched(found, reading).categories]
            warnings |= dict.fromkeys(found.warnings)
        clauses.sort(key=lambda clause: (clause["start"], clause["end"]))
        return Answer(clauses, presence, tuple(warnings), risks)

    def _models(self) -> list[dict[str, str]]:
        """What reads, in the order it was named."""
        manifests = [specialist.manifest for specialist in self._get_specialists()]
        return [
            {"base": one.base_sha256, "adapter": one.name, "version": one.version}
            for one in manifests
        ]

    def _get_specialists(self) -> list[Specialist]:
        if not self._specialists:
            try:
                self._specialists = load_specialists(self.adapters)
            except SuiteError as error:
                raise CannotStart(error.message) from error
        return self._specialists


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


def open_reader() -> Reader:
    """Reads documents in a child process, within the limits that ingest has."""
    from services.ingest.settings import Settings
    from shared.documents.sandbox import Reader
    from shared.settings import load

    return Reader(load(Settings).limits)


def most_characters() -> int:
    """Characters that the text of one contract may have, as extraction has it."""
    from services.extraction.settings import Settings
    from shared.settings import load

    return load(Settings).extraction_max_characters


def is_report(path: str, data: bytes) -> bool:
    """Whether a file is a report by its type, as uploads without a kind are.

    Raises UnreadableDocument for what is neither.
    """
    from services.ingest.domain import kind_of_type
    from shared.documents import sniff

    return can_be_checked(path, data) or kind_of_type(sniff(data, path)) == "report"


def can_be_checked(path: str, data: bytes) -> bool:
    """Whether triage makes statements of a file of that type. Raises UnreadableDocument."""
    from services.triage.statements import report_type
    from shared.documents import sniff

    return report_type(sniff(data, path), path) is not None


def holds_others(path: str, data: bytes) -> bool:
    """Whether a file is a mail or archive. Raises UnreadableDocument for what can't be read."""
    from shared.documents import CONTAINERS, sniff

    return sniff(data, path) in CONTAINERS


LEFT_OUT_NAMED = 3
"""Earlier reports that can't be used which are named; the others are counted."""


class Reports:
    """Reads filings and judges them.

    Args:
        reader: opens mails and archives; one of its own if none is given.

    Raises RiskError, PeersError or FlagsError for a damaged specialist; where there is none rules
    decide, and there are no signals and no narrative flags.
    """

    def __init__(self, reader: Reader | None = None) -> None:
        from services.triage.narrative.model import Narrative
        from services.triage.risk import Judge, model_of
        from services.triage.signals.peers import Peers
        from shared.settings import CommonSettings, load

        artefacts = load(CommonSettings).artefacts_folder
        self._judge, self._peers = Judge.found(artefacts), Peers.found(artefacts)
        self._narrative = Narrative.found(artefacts)
        self._model = model_of(self._judge)
        self._history: History | None = None
        self._promised: Promise | None = None
        self._own = None if reader else open_reader()
        self._reader = reader or self._own or open_reader()
        self.most_bytes = self._reader.limits.max_bytes

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._own:
            self._own.close()

    def promise(self, max_wrong: float, broken: float | None) -> None:
        """Say of each finding whether it needs a person, for a stated risk."""
        from services.triage.guarantee import promise, read_calibration
        from shared.policy import RiskRules

        known = self._judge.guarantee if self._judge else None
        calibration = read_calibration(known) if known else None
        self._promised = promise(calibration, max_wrong, RiskRules().level, broken)

    @property
    def maker(self) -> str:
        """The release, what judges, its version, and that of what is usual."""
        beside = (one.model for one in (self._peers, self._narrative) if one)
        models = [self._model, *beside]
        return f"triage {VERSION} by {', '.join(f'{m.name} {m.version}' for m in models)}"

    def learn_history(self, path: str, password: str | None = None) -> Iterator[str]:
        """Read earlier reports, those of a folder and of the folders in it, but for hidden ones;
        says in a line each what could not be read, what names no company, and how many are known.
        """
        from services.triage.history import History
        from services.triage.statements import BadFiling
        from shared.cli.files import files_below, open_file, read_stream

        self._history, known = History(), 0
        unread, unnamed = [], []
        for file in files_below(path) if Path(path).is_dir() else [path]:
            try:
                with open_file(file) as stream:
                    streamed = file.lower().endswith((".jsonl", ".ndjson"))
                    data = stream if streamed else read_stream(stream, file, self.most_bytes)
                    for one in reported(self._reader, file, data, password):
                        if isinstance(one, BadFiling):
                            unread.append(f"{file}: {one.message}")
                        elif self._history.add(one.filing):
                            known += 1
                        else:
                            unnamed.append(f"{file}: {one.filing.id}")
            except SuiteError as error:
                unread.append(f"{file}: {error.message}")
        yield from _left_out(unread, "of the earlier reports can't be read")
        yield from _left_out(unnamed, "of the earlier filings name no company or no day")
        yield f"{known} earlier filings of {len(self._history.of_filer)} companies"

    def _judged(self, filing: Filing) -> Verdict:
        from services.triage.history import with_history
        from services.triage.judgement import FLAGGED, triage_filing

        verdict = triage_filing(filing, self._judge)
        if self._history is None:
            return verdict
        flagged_from = self._judge.flagged if self._judge else FLAGGED
        return with_history(filing, verdict, self._history.before(filing), flagged_from)

    def file(self, path: str, password: str | None = None) -> Iterator[Mapping[str, Any]]:
        """One line a filing; a mail or archive is one line with `parts`.

        JSON lines are read as they stream, for such files may be long.
        """
        from services.triage.statements import NDJSON, report_type
        from shared.cli.files import open_file, read_stream
        from shared.documents import CONTAINERS, sniff

        with open_file(path) as stream:
            if report_type("", path) == NDJSON:
                yield from self._lines(path, stream)
                return
            data = read_stream(stream, path, self.most_bytes)
        if not report_type("", path) and sniff(data, path) in CONTAINERS:
            yield with_parts(self._reader).line(path, data, self.result)
        else:
            yield from self._lines(path, data, password)

    def result(self, source: str, data: bytes) -> Mapping[str, Any]:
        """All filings of one document as one result; a mail's or archive's own is nothing.

        Raises UnreadableDocument if there is none.
        """
        from services.triage.statements import report_type
        from shared.documents import CONTAINERS, sniff
        from shared.errors import UnreadableDocument

        if not report_type("", source) and sniff(data, source) in CONTAINERS:
            return {"source": source}
        lines = self._lines(source, data)
        filings = [{k: v for k, v in line.items() if k != "source"} for line in lines]
        if all("error" in one and not one.get("narrative_flags") for one in filings):
            reasons = "; ".join(filing["error"]["detail"] for filing in filings)
            raise UnreadableDocument(reasons or "there is no filing in it", document=source)
        return {"source": source, "filings": filings}

    def _lines(
        self, source: str, data: bytes | BinaryIO, password: str | None = None
    ) -> Iterator[Mapping[str, Any]]:
        """One line a filing; the error line of a document without statements has what it says of
        its filer in words.
        """
        from services.triage.reading.report import NoStatements
        from shared.cli.lines import error_line

        try:
            yield from self._filings(source, data, password)
        except NoStatements as error:
            words = self._words(error.reading)
            if not words.flags:
                raise
            flags = [flag.to_json() for flag in words.flags]
            line = error_line(source, error)
            yield {**line, "warnings": list(words.warnings), "narrative_flags": flags}

    def _filings(
        self, source: str, data: bytes | BinaryIO, password: str | None
    ) -> Iterator[Mapping[str, Any]]:
        from services.triage.guarantee import routed
        from services.triage.signals.signals import signals_of
        from services.triage.statements import BadFiling

        began = time.monotonic()
        for found in reported(self._reader, source, data, password):
            read = time.monotonic()
            if isinstance(found, BadFiling):
                yield _bad_filing(source, found)
            else:
                verdict = self._judged(found.filing)
                unusual = signals_of(found.filing, self._peers) if self._peers else ()
                words = self._words(found.reading)
                now = time.monotonic()
                timings = _timings(read=read - began, find=now - read)
                signals = [signal.to_json() for signal in unusual]
                shown = (
                    routed(verdict, found.filing, self._promised, found.reading)
                    if self._promised
                    else verdict.to_json()
                )
                yield {
                    "source": source,
                    **shown,
                    "warnings": [*shown["warnings"], *words.warnings],
                    "signals": signals,
                    "narrative_flags": [flag.to_json() for flag in words.flags],
                    "timings": timings,
                }
            began = time.monotonic()

    def _words(self, reading: Reading | None) -> Words:
        """What the sentences around the statements say of the filer; nothing in data."""
        from services.triage.narrative.flags import Words, words_of

        if reading is None or self._narrative is None:
            return Words()
        return words_of(reading, self._narrative)


def _left_out(some: Sequence[str], why: str) -> Iterator[str]:
    """One line for all that is left out, with the first of it; none for nothing."""
    if some:
        more = f"; and {len(some) - LEFT_OUT_NAMED} more" if len(some) > LEFT_OUT_NAMED else ""
        yield f"{len(some)} {why}, and are left out: {'; '.join(some[:LEFT_OUT_NAMED])}{more}"


def _timings(**seconds: float) -> dict[str, float]:
    parts = {name: round(value, 6) for name, value in seconds.items()}
    return {**parts, "total": round(sum(seconds.values()), 6)}


# Specialists of one's own


@cli.command()
@click.argument("name", required=False)
@click.argument("examples", required=False, metavar="[EXAMPLES]")
@click.option("--replace", is_flag=True, help="Put a new version in the place of NAME.")
@click.option("--list", "show", is_flag=True, help="List what was taught on this machine.")
@click.option("--remove", metavar="NAME", help="Remove what was taught under NAME.")
@as_json
def teach(
    name: str | None,
    examples: str | None,
    replace: bool,
    show: bool,
    remove: str | None,
    as_json: bool,
) -> int:
    """Teach a specialist for a clause type of your own: NAME, from 20 to 500 EXAMPLES.

    EXAMPLES is a file of JSON lines: {"text": ..., "spans": [{"start": 12, "end": 80}]}, in Unicode
    code points. Give texts without such a clause as well, with "spans": []. What has the same
    "document" is never learned from and judged by at once. What is reported was measured on
    examples that were left out; nothing leaves this machine.

    \b
    Examples:
      smallprint teach data-retention examples.jsonl
      smallprint extract lease.pdf --adapter data-retention
      smallprint teach --list
    """
    from shared.settings import CommonSettings, load

    settings = load(CommonSettings)
    if sum((bool(name or examples), show, remove is not None)) != 1 or bool(name) != bool(examples):
        raise click.UsageError("give NAME and EXAMPLES, or --list, or --remove NAME")
    if show:
        _list_taught(settings, as_json=as_json)
    elif remove is not None:
        from services.extraction.teaching import remove_taught

        remove_taught(remove, settings.adapters_folder)
        click.echo(f"{plain(remove)} is removed", err=True)
    elif name and examples:
        return _teach(name, examples, settings, replace=replace, as_json=as_json)
    return 0


def _teach(
    name: str, examples: str, settings: CommonSettings, *, replace: bool, as_json: bool
) -> int:
    from services.extraction.teaching import teach
    from services.extraction.teaching.examples import MOST_BYTES, read_examples
    from shared.cli import tables
    from shared.cli.files import read_file
    from shared.cli.progress import Stages

    def report() -> Mapping[str, Any]:
        given = read_examples(read_file(examples, MOST_BYTES), examples)
        with Stages() as stages:
            return teach(
                name,
                given,
                settings.artefacts_folder,
                settings.adapters_folder,
                threads=settings.threads,
                arithmetic=settings.arithmetic,
                replace=replace,
                tell=stages.at,
            )

    lines = Lines(as_json=as_json, table=tables.taught)
    try:
        lines.result({"source": examples, **report()})
    except SuiteError as error:
        if not as_json:
            about = f"{examples}: " if error.document else ""
            raise SuiteError(f"{about}{error.message}") from None
        lines.result(error_line(examples, error))
    return lines.exit_code


def _list_taught(settings: CommonSettings, *, as_json: bool) -> None:
    from services.extraction.teaching import taught_adapters
    from shared.cli import tables

    lines = Lines(as_json=as_json, table=tables.taught_line)
    for line in taught_adapters(settings.adapters_folder):
        lines.result(line)
    if not lines.worked:
        where = plain(str(settings.adapters_folder))
        click.echo(f"nothing was taught yet (it would lie in {where})", err=True)


# The embedded edition


@cli.command()
@click.option(
    "--port", type=click.IntRange(0, 65535), default=PORT, show_default=True, help="0: any."
)
@data_option
@as_json
def up(port: int, data: Path | None, as_json: bool) -> int:
    """Serve everything in this one process, on this machine alone, until Ctrl-C.

    Prints the address, and at the first start of a data folder its first key, which is shown only
    this once. With --json that is one JSON line {"url", "key"} and nothing else.

    \b
    Examples:
      smallprint up
      smallprint up --port 9000 --data ~/smallprint-data
    """
    from shared import tracing
    from shared.cli.lock import FolderLock
    from shared.logs import configure_logs
    from shared.runtime.embedded import migrate_all, serve
    from shared.settings import CommonSettings, load

    settings = load(CommonSettings, **_given(data=data))
    quiet = settings.log_level == "INFO" and sys.stderr.isatty()
    configure_logs("smallprint", "WARNING" if quiet else settings.log_level)
    with FolderLock(settings.data), tracing.collected(settings.traces):
        _warn_without_model(settings.artefacts_folder)
        services = build_services(data)
        migrate_all(services)

        def started(real_port: int) -> None:
            # Only now: a first key that was made before nobody could listen would be lost.
            keys = services[0].app.state.keys
            first = keys.first_key()
            key = first.secret if first else None
            host = "127.0.0.1" if settings.host in ("0.0.0.0", "::", "") else settings.host  # noqa: S104
            try:
                _announce(f"http://{host}:{real_port}", key, as_json=as_json)
            except BaseException:
                if first:
                    keys.unmake(first.key.id)  # nobody has seen it: the next start makes another
                raise

        serve(services, settings.host, port, started, _say_finishing)
    return 0


def _say_finishing() -> None:
    with suppress(OSError):  # nobody need be there to read it
        click.echo("smallprint: finishing the document in hand …", err=True)


def _warn_without_model(artefacts: Path) -> None:
    """Reports and review work without a model; contracts will end as failed."""
    from shared.inference.adapters import base_folder, newest_version

    try:
        base_folder(artefacts)
        newest_version(artefacts, ADAPTER)
    except SuiteError as error:
        click.echo(f"smallprint: contracts will fail: {plain(error.message)}", err=True)


def build_services(data: Path | None = None) -> list[Service]:
    """All services with real parts, for one process; ingest, which owns the keys, comes first."""
    from services.escalation import bootstrap as escalation
    from services.escalation.settings import Settings as EscalationSettings
    from services.extraction import bootstrap as extraction
    from services.extraction.settings import Settings as ExtractionSettings
    from services.ingest import bootstrap as ingest
    from services.ingest.settings import Settings as IngestSettings
    from services.review import bootstrap as review
    from services.review.settings import Settings as ReviewSettings
    from services.triage import bootstrap as triage
    from services.triage.settings import Settings as TriageSettings
    from shared.inference import lazily
    from shared.settings import CommonSettings, load

    given = _given(data=data)
    common = load(CommonSettings, **given)
    if "rate_requests" not in common.model_fields_set:
        given["rate_requests"] = 0  # whoever asks here is the machine's own user
    first = ingest.build(load(IngestSettings, **given))
    keys = first.app.state.keys
    base = lazily(
        common.artefacts_folder, common.threads, common.arithmetic, common.adapters_folder
    )
    return [
        first,
        extraction.build(load(ExtractionSettings, **given), keys=keys, specialists=base),
        triage.build(load(TriageSettings, **given), keys=keys, specialists=base),
        review.build(load(ReviewSettings, **given), keys=keys),
        escalation.build(load(EscalationSettings, **given), keys=keys),
    ]


def _announce(url: str, key: str | None, *, as_json: bool) -> None:
    from shared.cli.tables import DISCLAIMER

    if as_json:
        write(to_json({"url": url, **_given(key=key)}))
        return
    rows = [f"smallprint {VERSION} serves at {url} (Ctrl-C stops it)"]
    if key:
        rows.append(f"the first key, shown only this once: {key}")
    else:
        rows.append("sign in with a key you have, or make one: smallprint keys new NAME")
    write("".join(f"{row}\n" for row in [*rows, DISCLAIMER]).encode())


# Keys


@cli.group()
def keys() -> None:
    """Make, list and revoke the keys of a data folder, which standard error names.

    \b
    Examples:
      smallprint keys new alice
      smallprint keys list --data ~/smallprint-data
      smallprint keys revoke 0123456789abcdef
    """


@keys.command("new")
@click.argument("name")
@click.option("--tenant", default="default", show_default=True, help="Whose documents it opens.")
@click.option(
    "--scope", "scopes", multiple=True, type=click.Choice(list(SCOPES)), help="All, by default."
)
@data_option
@as_json
def keys_new(
    name: str, tenant: str, scopes: tuple[str, ...], data: Path | None, as_json: bool
) -> None:
    """Make a key for NAME, the actor of what is done with it; it can't be shown again.

    \b
    Scopes, of which one option each:
      documents:read   documents, their text, pages and statements, and search
      documents:write  upload, delete, cancel, give another kind, have read again
      results:read     clauses, findings and all else that was found, asked and spent
      review           the queue, decisions and exports
      admin            keys, webhooks, and how long documents are kept
    An analyst needs documents:read and review. Without results:read nobody can tell which items
    are there to check what was accepted without a person.
    """
    with key_ring(data, create=True) as ring:
        new = ring.create(tenant, name, scopes=scopes or None)
    if as_json:
        shown = {
            "id": new.key.id,
            "name": new.key.name,
            "tenant": new.key.tenant,
            "scopes": ordered(new.key.scopes),
        }
        write(to_json({**shown, "key": new.secret}))
    else:
        write(f"{new.secret}\n".encode())
        click.echo("Keep it: it can't be shown again.", err=True)


@keys.command("list")
@click.option("--tenant", help="Of this tenant alone.")
@data_option
@as_json
def keys_list(tenant: str | None, data: Path | None, as_json: bool) -> None:
    """List the keys, oldest first; never their secrets."""
    with key_ring(data) as ring:
        found = ring.list(tenant)
    for key in found:
        if as_json:
            line = {
                "id": key.id,
                "name": key.name,
                "tenant": key.tenant,
                "scopes": ordered(key.scopes),
                "created": _moment(key.created),
                "last_used": _moment(key.last_used),
                "revoked": _moment(key.revoked),
            }
            write(to_json(line))
        else:
            state = "revoked" if key.revoked else f"last used {_moment(key.last_used) or 'never'}"
            may = "" if key.scopes == ALL else f"  {' '.join(ordered(key.scopes))}"
            row = f"{key.id}  {plain(key.tenant)}  {plain(key.name)}  {state}{may}\n"
            write(row.encode("utf-8", "replace"))


@keys.command("revoke")
@click.argument("key_id", metavar="ID")
@data_option
def keys_revoke(key_id: str, data: Path | None) -> None:
    """End a key and its sessions; other processes notice within a minute."""
    with key_ring(data) as ring:
        ring.revoke(key_id)
    click.echo(f"{plain(key_id)} is revoked", err=True)


@contextmanager
def key_ring(data: Path | None, *, create: bool = False) -> Iterator[KeyRing]:
    """The keys of a data folder; works beside a running `smallprint up`.

    Raises SuiteError for a folder that has none, unless they are to be made there.
    """
    from services.ingest.keys import KeyRing
    from services.ingest.settings import Settings
    from services.ingest.store import MIGRATIONS
    from shared.cli.files import require_database
    from shared.settings import load
    from shared.storage import Store

    settings = load(Settings, **_given(data=data))
    url = settings.database("ingest", settings.ingest_database_url)
    if settings.ingest_database_url:
        where = "the database that SMALLPRINT_INGEST_DATABASE_URL names"
    else:
        where = str(settings.data)
        require_database(settings.data / "ingest.db", create=create)
    click.echo(f"keys of {plain(where)}", err=True)
    store = Store(url, "ingest", MIGRATIONS)
    try:
        store.migrate()
        yield KeyRing(store, settings.ingest_session)
    finally:
        store.close()


def _moment(time: datetime | None) -> str | None:
    return time.astimezone(UTC).isoformat(timespec="seconds") if time else None


# The machine


@cli.group()
def policy() -> None:
    """Policies: what may be accepted, and who may be asked.

    \b
    Examples:
      smallprint policy try careful.toml
      smallprint policy try careful.toml --tenant acme --json
    """


@policy.command("try")
@click.argument("file", metavar="POLICY", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--tenant", default="default", show_default=True, help="Whose documents are tried.")
@data_option
@as_json
def policy_try(file: Path, tenant: str, data: Path | None, as_json: bool) -> int:
    """Try the POLICY file on the documents of a data folder, beside the policy in force.

    Each document counts as it was read: what would be accepted, and what people would be asked.
    Expected errors are those among the accepted, by the specialist's calibration set; beside them
    is how many of the accepted people have rejected or corrected. Nothing is changed, and a suite
    may be running.
    """
    from services.escalation.policy import read_policies
    from services.escalation.settings import Settings
    from services.extraction.routing import refuse_unknown_categories
    from shared.asking import read_askers
    from shared.cli import policies
    from shared.inference.adapters import labels_in
    from shared.policy import read_risks
    from shared.settings import load

    settings = load(Settings, **_given(data=data))
    paths = (settings.policy_file, file)
    # The whole of both: also what is said of providers.
    versions = [read_policies(path).version(tenant) for path in paths]
    now, new = (read_risks(path) for path in paths)
    asks = [read_askers(path).of(tenant) for path in paths]
    known = labels_in(settings.artefacts_folder, settings.adapters_folder)
    refuse_unknown_categories(new.categories, known)
    lines = Lines(as_json=as_json, table=policies.shown)
    line = _tried_policies(settings, tenant, (now.of(tenant), new.of(tenant)), asks)
    for name, version in zip(("now", "tried"), versions, strict=True):
        line[name]["version"] = {"digest": version.digest, "label": version.label}
    lines.result({"source": str(file), "tenant": tenant, **line})
    return lines.exit_code


def _tried_policies(
    settings: CommonSettings, tenant: str, rules: Sequence[RiskRules], asks: Sequence[AskRules]
) -> Mapping[str, Any]:
    """What the policy in force and another one do with the documents of a tenant."""
    from services.extraction.settings import Settings as Extraction
    from services.extraction.store import MIGRATIONS as OF_EXTRACTION
    from services.extraction.trying import past, tried
    from services.extraction.watch.store import Watches
    from services.review.handlers import document_reading
    from services.review.settings import Settings as Review
    from services.review.store import MIGRATIONS as OF_REVIEW
    from services.review.store import find_document, verdicts
    from shared.settings import load
    from shared.storage import MissingBlob, open_blobs
    from shared.storage.secret import draw_key

    given = _given(data=settings.data)
    extraction_url = load(Extraction, **given).extraction_database_url
    review_url = load(Review, **given).review_database_url
    blobs = open_blobs(settings.blobs_url, settings.blobs, "review")
    with (
        _stored(settings, "extraction", extraction_url, OF_EXTRACTION) as extracted,
        _stored(settings, "review", review_url, OF_REVIEW) as review,
        review.read() as session,
    ):
        decided = verdicts(session, tenant)
        counted = [0, 0, 0]

        def reading_of(document_id: str) -> Reading | None:
            document = find_document(session, tenant, document_id)
            try:
                return document_reading(document, blobs) if document else None
            except MissingBlob:
                return None

        def documents() -> Iterator[Past]:
            for one in past(extracted, tenant, reading_of):
                mine = [clause.id for clause in one.clauses]
                counted[0] += 1
                counted[1] += len(mine)
                counted[2] += sum(clause_id in decided for clause_id in mine)
                yield one

        with extracted.read() as of_extraction:
            key, local = draw_key(of_extraction), Watches(of_extraction, tenant).local
            policies = list(zip(rules, asks, strict=True))
            tallies = tried(documents(), policies, _installed(settings), decided, key, local)
    shown = [_tally(own, tally) for own, tally in zip(rules, tallies, strict=True)]
    counts = dict(zip(("documents", "clauses", "decided"), counted, strict=True))
    return {**counts, "now": shown[0], "tried": shown[1]}


def _tally(rules: RiskRules, tally: Tally) -> dict[str, Any]:
    """What a policy does, with what it says."""
    from services.review.priority import SECONDS, WORDS_A_MINUTE

    seconds = tally.reviewed * SECONDS + tally.words_reviewed / WORDS_A_MINUTE * 60
    return {
        "max_wrong": rules.max_wrong,
        "level": rules.level,
        "accepted": tally.accepted,
        "escalated": tally.escalated,
        "reviewed": tally.reviewed,
        "sampled": tally.sampled,
        "review_hours": seconds / 3600,
        "cost_usd": tally.usd,
        "expected_errors": tally.expected_errors,
        "expected_errors_interval": tally.errors_within(),
        "expected_errors_by_category": {
            category: {"expected_errors": errors, "accepted": accepted}
            for category, (errors, accepted) in tally.errors_by_category().items()
        },
        "accepted_and_decided": tally.decided,
        "changed": tally.changed,
        "why_not": dict(tally.why_not),
    }


@cli.command()
@click.argument("adapter", default=ADAPTER)
@click.option("--tenant", default="default", show_default=True, help="Whose decisions count.")
@click.option(
    "--max-wrong",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="The risk to try it for; by default the policy's, the only one that can be applied.",
)
@click.option(
    "--with-shipped",
    is_flag=True,
    help="Count what came with the specialist too, as if your documents were like those.",
)
@click.option("--apply", "step", flag_value="apply", help="Let it hold from now on.")
@click.option("--undo", "step", flag_value="undo", help="Let what was before the last one hold.")
@click.option("--loosen", metavar="WHY", help="Accept again what was tightened, for this reason.")
@click.option("--by", "actor", help="Who does it; by default whoever is logged in here.")
@data_option
@as_json
def calibrate(
    adapter: str,
    tenant: str,
    max_wrong: float | None,
    with_shipped: bool,
    step: str | None,
    loosen: str | None,
    actor: str | None,
    data: Path | None,
    as_json: bool,
) -> int:
    """Refit what ADAPTER accepts from what people decided here, and show before and after.

    Documents count of which all is decided; of what was accepted the checks stand for the rest.
    Nothing changes without --apply, which --undo takes back; the suite may be running. What checks
    have tightened is loosened by --apply, or by --loosen without a calibration.

    \b
    Examples:
      smallprint calibrate
      smallprint calibrate --apply --by ann
      smallprint calibrate --undo
      smallprint calibrate --loosen "the checks of March were decided by mistake"
    """
    import getpass

    from services.extraction.settings import Settings
    from services.extraction.store import MIGRATIONS
    from services.extraction.watch import calibrating
    from services.extraction.watch.store import Watches
    from shared.cli import calibrations
    from shared.errors import InvalidRequest
    from shared.settings import load

    if loosen and step:
        raise click.UsageError("--loosen stands alone")
    settings = load(Settings, **_given(data=data))
    who = actor or getpass.getuser()
    lines = Lines(as_json=as_json, table=calibrations.shown)
    told: dict[str, Any] = {"source": adapter, "adapter": adapter, "tenant": tenant}
    with _stored(settings, "extraction", settings.extraction_database_url, MIGRATIONS) as store:
        if loosen or step == "undo":
            with store.write() as session:
                watches = Watches(session, tenant)
                if loosen:
                    calibrating.loosen(watches, adapter, loosen, who)
                    said = f"{adapter} accepts again what was promised for"
                else:
                    number = calibrating.undo(watches, adapter, who)
                    said = f"calibration {number} of {adapter} is undone"
            done = "loosened" if loosen else "undone"
            lines.result({**told, "done": done, "said": said})
            return lines.exit_code
        rules = _rules(settings, tenant)
        if step == "apply" and max_wrong not in (None, rules.max_wrong):
            stated = "no max_wrong" if rules.max_wrong is None else f"max_wrong {rules.max_wrong:g}"
            raise InvalidRequest(
                f"the policy states {stated} for tenant {tenant}, and what is applied is held to "
                f"that: state {max_wrong:g} there first, or apply without --max-wrong"
            )
        if max_wrong is not None:
            rules = rules.model_copy(update={"max_wrong": max_wrong})
        made = _refitted(settings, store, tenant, adapter, rules, with_shipped)
        done, said = "tried", "nothing was changed: --apply lets it hold"
        if step == "apply":
            with store.write() as session:
                number = calibrating.apply(Watches(session, tenant), made, who)
            done = "applied"
            said = f"calibration {number} holds from the next document on; --undo takes it back"
    lines.result({**told, **made.to_json(), "done": done, "said": said})
    return lines.exit_code


def _rules(settings: CommonSettings, tenant: str) -> RiskRules:
    """What the policy lets the machine accept of a tenant."""
    from shared.policy import PolicySettings, read_risks
    from shared.settings import load

    policy = load(PolicySettings, **_given(data=settings.data)).policy_file
    return read_risks(policy).of(tenant)


def _refitted(
    settings: CommonSettings,
    store: Store,
    tenant: str,
    adapter: str,
    rules: RiskRules,
    with_shipped: bool,
) -> Refit:
    """What the decisions of a tenant make of a specialist's calibration."""
    from services.extraction.store import Extractions
    from services.extraction.watch import calibrating
    from services.extraction.watch.store import Watches
    from shared.inference import MissingAdapter

    expert = _installed(settings)(adapter)
    if expert is None:
        raise MissingAdapter(f"there is no specialist {adapter!r}")
    name, version = expert.manifest.name, expert.manifest.version
    with store.read() as session:
        kept, watches = Extractions(session, tenant), Watches(session, tenant)
        read = [
            (document, one.passes, kept.all_clauses(document))
            for document in kept.extracted()
            if (one := kept.get(document))
        ]
        decided = watches.decided(name, version)
        found, unfinished = calibrating.complete(read, decided, name, version)
        local = watches.local(name, version)
    return calibrating.refit(expert, local, rules, found, unfinished, with_shipped)


@contextmanager
def _stored(settings: CommonSettings, service: str, url: str, migrations: Path) -> Iterator[Store]:
    """The database of a service, to be read. Raises SettingsError if it is not there."""
    from shared.errors import SettingsError
    from shared.storage import Store

    if not url and not (settings.data / f"{service}.db").is_file():
        raise SettingsError(
            f"no suite has worked in {settings.data}: there is no {service}.db; name its data "
            "folder with --data"
        )
    store = Store(settings.database(service, url), service, migrations)
    try:
        store.must_be_current()
        yield store
    finally:
        store.close()


def _installed(settings: CommonSettings) -> Callable[[str], Specialist | None]:
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


@cli.command()
@data_option
@click.option("--port", type=click.IntRange(1, 65535), default=PORT, show_default=True)
@as_json
def doctor(data: Path | None, port: int, as_json: bool) -> int:
    """Check this machine, the models and the data folder, and say how to mend what is wrong.

    Exits with 0 if nothing has to be mended.

    \b
    Examples:
      smallprint doctor
      smallprint doctor --json | jq '.checks[] | select(.state == "wrong")'
    """
    from shared.cli import checks
    from shared.settings import CommonSettings, load

    settings = load(CommonSettings, **_given(data=data))
    found = [
        checks.python(),
        checks.packages(),
        *checks.optional_packages(),
        checks.recognition(),
        checks.network(),
        *_check_models(settings),
        _check_judge(settings.artefacts_folder),
        _check_order(settings.artefacts_folder),
        _check_peers(settings.artefacts_folder),
        _check_narrative(settings.artefacts_folder),
        _check_names(settings.artefacts_folder),
        checks.data_folder(settings.data),
        checks.disk(settings.data),
        checks.port(port),
    ]
    content = checks.content(found)
    if as_json:
        write(to_json({"content": content, "checks": [asdict(check) for check in found]}))
    else:
        rows = [*checks.shown(found), checks.ending(found)]
        write("".join(f"{row}\n" for row in rows).encode())
    return 0 if content else 1


def _check_models(settings: CommonSettings) -> Iterator[Check]:
    """Base and adapters against their hashes, then ten lines of a contract through all of it."""
    from shared.cli.checks import Check, restore_models
    from shared.inference import Specialists
    from shared.inference.adapters import adapter_names

    mend = restore_models()
    try:
        specialists = Specialists(
            settings.artefacts_folder,
            settings.threads,
            settings.arithmetic,
            settings.adapters_folder,
        )
        for name in adapter_names(settings.artefacts_folder):
            yield _check_adapter(specialists, name)
    except SuiteError as error:
        yield Check("models", "wrong", error.message, mend)
        return
    for name in adapter_names(settings.adapters_folder):
        try:
            yield _check_adapter(specialists, name)
        except SuiteError as error:
            again = (
                f"smallprint teach {name} EXAMPLES --replace, or smallprint teach --remove {name}"
            )
            yield Check("adapter", "wrong", error.message, again)
    yield Check("base", "good", f"{specialists.base.sha256[:12]}, hash agrees")
    yield _probe(specialists)


def _check_adapter(specialists: Specialists, name: str) -> Check:
    from services.extraction.pipeline import require_ranking
    from shared.cli.checks import Check

    specialist = specialists.get(name)
    require_ranking(specialist)
    manifest = specialist.manifest
    count = len(manifest.labels)
    labels = f"{count} label{'' if count == 1 else 's'}"
    return Check("adapter", "good", f"{name} {manifest.version}, {labels}, hashes agree")


def _check_names(artefacts: Path) -> Check:
    """What names the lines of statements against its hashes; without it they have no concepts."""
    from services.triage.naming import NAME, Namer
    from shared.cli.checks import Check, restore_models

    try:
        namer = Namer.found(artefacts)
    except SuiteError as error:
        return Check("names", "wrong", error.message, restore_models())
    if namer is None:
        return Check("names", "note", f"no {NAME}: lines have no concepts", restore_models())
    beside = " with its adapter" if namer.reader else ""
    return Check("names", "good", f"{NAME} {namer.model.version}{beside}, hashes agree")


def _check_judge(artefacts: Path) -> Check:
    """What judges reports against its hashes; without it rules do."""
    from services.triage.risk import NAME, Judge
    from shared.cli.checks import Check, restore_models

    try:
        judge = Judge.found(artefacts)
    except SuiteError as error:
        return Check("triage", "wrong", error.message, restore_models())
    if judge is None:
        return Check("triage", "note", f"no {NAME}: rules alone judge reports", restore_models())
    return Check("triage", "good", f"{NAME} {judge.version}, hashes agree")


def _check_order(artefacts: Path) -> Check:
    """What orders the review queue against its hash; without it confidence does."""
    from services.review.priority import NAME, Priority
    from shared.cli.checks import Check, restore_models

    try:
        priority = Priority.found(artefacts)
    except SuiteError as error:
        return Check("review", "wrong", error.message, restore_models())
    if priority is None:
        said = f"no {NAME}: confidence alone orders the queue"
        return Check("review", "note", said, restore_models())
    return Check("review", "good", f"{priority.title}, hash agrees")


def _check_peers(artefacts: Path) -> Check:
    """What is usual among companies against its hash; without it there are no signals."""
    from services.triage.signals.peers import NAME, Peers
    from shared.cli.checks import Check, restore_models

    try:
        peers = Peers.found(artefacts)
    except SuiteError as error:
        return Check("signals", "wrong", error.message, restore_models())
    if peers is None:
        return Check("signals", "note", f"no {NAME}: reports get no signals", restore_models())
    return Check("signals", "good", f"{NAME} {peers.version}, hash agrees")


def _check_narrative(artefacts: Path) -> Check:
    """What judges sentences against its hash; without it no sentence is flagged."""
    from services.triage.narrative.model import NAME, Narrative
    from shared.cli.checks import Check, restore_models

    try:
        narrative = Narrative.found(artefacts)
    except SuiteError as error:
        return Check("sentences", "wrong", error.message, restore_models())
    if narrative is None:
        said = f"no {NAME}: reports get no narrative flags"
        return Check("sentences", "note", said, restore_models())
    return Check("sentences", "good", f"{NAME} {narrative.version}, hash agrees")


def _probe(specialists: Specialists) -> Check:
    from services.extraction.pipeline import find_clauses
    from shared.cli.checks import PROBE, Check

    mend = "restore models/artefacts from the release; if it stays so, report it with this line"
    began = time.monotonic()
    try:
        with open_reader() as reader:
            reading = reader.read(PROBE.encode(), name="probe.txt")
        clauses = find_clauses(reading.text, specialists.get(ADAPTER))
    except SuiteError as error:
        return Check("probe", "wrong", error.message, mend)
    seconds = time.monotonic() - began
    if not clauses or any(PROBE[c.start : c.end] != c.text for c in clauses):
        return Check("probe", "wrong", f"{len(clauses)} clauses in ten lines", mend)
    categories = ", ".join(sorted({clause.category for clause in clauses}))
    return Check("probe", "good", f"ten lines in {seconds:.2f} s: {categories}")


if __name__ == "__main__":
    raise SystemExit(main())
