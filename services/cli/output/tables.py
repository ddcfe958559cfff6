"""Results as tables for a person at a terminal."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from services.cli.documents.files import STANDARD_INPUT
from services.cli.output.lines import clause_text, container, count, percent, plain, warnings
from services.cli.output.terminal import table

if TYPE_CHECKING:
    from shared.client import Costs, Hit, Report
    from shared.client.results import KindCost, TrainingCost

DISCLAIMER = "smallprint points at passages and figures; it gives no legal or audit advice."
MOST_SUMS = 10
"""Sums of costs that are shown."""
OCR = "The guarantee does not cover pages read by OCR."
SCALES = {"units": 1, "thousands": 1_000, "millions": 1_000_000}
"""Units in which amounts can be shown."""
_PACE = ("kind", "documents", "tokens read", "seconds", "tokens a second", "US$ a million")
_TRAINING = ("training", "hours", "US$", "documents to pay back", "so far")
_FEW_CHECKS = 8  # relations of a filing that are listed
_WIDEST_HEAD = 16  # characters of a component name on one line
_LIKELY = 0.5  # a lower risk needs no explanation
_INDENT = 4  # spaces before the lines of a statement
_LEAST_LABEL = 28  # characters of a label that have room beside the columns


def results(line: Mapping[str, Any]) -> Iterator[str]:
    """The clauses of a contract, or the findings of a report.

    The parts of a mail or archive follow.
    """
    if "filings" in line:
        yield from findings(line)
    elif line.get("parts") and not line.get("clauses"):
        what = [container(line.get("document", {}).get("media_type", ""))]
        what.append(count(len(line["parts"]), "part"))
        yield f"{plain(line['source'])}  ({', '.join(filter(None, what))})"
        yield from (f"  ! {plain(warning)}" for warning in line.get("warnings", ()))
        yield ""
    else:
        yield from _clauses(line)
    yield from _of_parts(line, results)


def _clauses(line: Mapping[str, Any]) -> Iterator[str]:
    """Category, page, confidence, and the beginning of the text of each clause."""
    document = line["document"]
    pages = count(document["pages"], "page")
    failed = document["failed_pages"]
    lost = f", {len(failed)} of them unreadable" if failed else ""
    seconds = line["timings"]["total"]
    yield f"{plain(line['source'])}  ({pages}{lost}, {seconds:.1f} s)"
    for warning in line["warnings"]:
        yield f"  ! {plain(warning)}"
    thresholds = {model["adapter"]: model["threshold"] for model in line["models"]}
    unlikely = sum(c["confidence"] <= thresholds[c["adapter"]] for c in line["clauses"])
    digits = 3 if unlikely else 2
    rows = [
        (
            c["category"],
            str(c["page"]),
            f"{c['confidence']:.{digits}f}{_route(c)}",
            plain(clause_text(c)),
        )
        for c in line["clauses"]
    ]
    heads = ("category", "page", "confidence", "words")
    yield from table(rows, heads=heads, right=[1], styles={0: "bold"}, wrapped=0)
    found = count(len(rows) - unlikely, "clause")
    if unlikely:
        found += f" and {unlikely} unlikely {'one' if unlikely == 1 else 'ones'}"
    by = " and ".join(f"{model['adapter']} {model['version']}" for model in line["models"])
    yield f"  {found} by {by}"
    for risk in line.get("risks", ()) if rows else ():
        yield f"  {_risk(risk, line)}"
    for missed in line.get("missed", ()):
        yield f"  {_missed(missed)}"
    yield ""


def _route(clause: Mapping[str, Any]) -> str:
    return f" {clause['route']}" if "route" in clause else ""


def _risk(risk: Mapping[str, Any], line: Mapping[str, Any]) -> str:
    """The accepted clauses and their guarantee, or why there are none."""
    own = [clause for clause in line["clauses"] if clause["adapter"] == risk["adapter"]]
    accepted = sum(clause["route"] == "accept" for clause in own)
    name = f"{risk['adapter']}: " if len(line["models"]) > 1 else ""
    shown = f"{name}Accepted: {accepted or 'none'} of {count(len(own), 'clause')}."
    if risk["no_guarantee_reason"]:
        return f"{shown} {plain(risk['no_guarantee_reason'])}"
    if not accepted:
        recognised = any(page["method"] == "tesseract" for page in line["document"]["read"])
        return f"{shown} {OCR if recognised else 'None is certain enough.'}"
    return f"{shown} At most {percent(risk['max_wrong'])} of these are wrong ({_measured(risk)})."


def _missed(missed: Mapping[str, Any]) -> str:
    """The threshold for shown clauses, and the guarantee for missed ones."""
    shown = f"{missed['adapter']} shows clauses above a confidence of {missed['shown_above']:g}."
    if missed["no_guarantee_reason"]:
        return f"{shown} No guarantee: {plain(missed['no_guarantee_reason'])}"
    return (
        f"{shown} At most {percent(missed['max_missed'])} of the true clauses have a confidence "
        f"below {missed['above']:g} ({_measured(missed)})."
    )


def _measured(guarantee: Mapping[str, Any]) -> str:
    return (
        f"{percent(guarantee['level'])} confidence, measured on contracts of "
        f"{guarantee['families']:,} companies"
    )


def uploaded(line: Mapping[str, Any]) -> Iterator[str]:
    """An uploaded document, with its other name if the suite had it already."""
    from shared.documents import safe_name

    source, name = line["source"], line["name"]
    known = source != STANDARD_INPUT and name != safe_name(source)
    here = f", already here as {plain(name)}" if known else ""
    yield f"{plain(source)}  {line['id']}  ({line['outcome'] or line['state']}{here})"
    yield from (
        f"  ! {plain(note)}" for note in dict.fromkeys((*line["reasons"], *line["warnings"]))
    )


def watched(line: Mapping[str, Any]) -> Iterator[str]:
    """A document of a watched folder: its new path, its results and its warnings."""
    inner = [*_with_inner(line)]
    clauses = sum(len(one.get("clauses", ())) for one in inner)
    findings = sum(len(one.get("findings", ())) for one in inner)
    found = []
    if clauses or "filings" not in line:
        found.append(count(clauses, "clause"))
    if findings or "filings" in line:
        found.append(count(findings, "finding"))
    parts = f"{count(len(line['parts']), 'part')} with " if line.get("parts") else ""
    moved = plain(line["moved_to"])
    yield f"{plain(line['source'])}  {parts}{' and '.join(found)}, moved to {moved}"
    yield from warnings(line)


def _with_inner(line: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A line, its filings and its parts of all depths."""
    yield line
    yield from line.get("filings", ())
    for part in line.get("parts", ()):
        yield from _with_inner(part)


def hit(hit: Hit) -> Iterator[str]:
    """A search hit, with the words in bold on a terminal."""
    clause = f"  {plain(hit.clause.category)}" if hit.clause else ""
    more = f", {hit.more} more on this page" if hit.more else ""
    yield f"{plain(hit.document)}  p. {hit.page}{more}{clause}  ({hit.document_id})"
    bold = ("\x1b[1m", "\x1b[0m") if sys.stdout.isatty() else ("", "")
    words = ((_plain_with_spaces(text), marked) for text, marked in hit.pieces)
    yield "  " + "".join(f"{bold[0]}{text}{bold[1]}" if marked else text for text, marked in words)
    yield ""


def costs(
    costs: Costs, by: str = "day", names: Mapping[str, str] | None = None, failed: int = 0
) -> Iterator[str]:
    """Costs of frontier models and specialists: totals, kinds, sums by a key, budgets and training.

    Args:
        by: the key of the sums. Days are sorted by date, other keys by cost.
        names: of documents by their ids, if documents are the keys.
        failed: number of failed documents.
    """
    yield from table(list(_total_costs(costs)), right=[1], indent=0)
    for budget in costs.budgets:
        if not budget.usd and not budget.max_usd:
            continue
        over = budget.usd - budget.max_usd
        passed = f", passed by {over:,.6f}" if over > 0 else ""
        yield f"budget {budget.period}: US$ {budget.usd:,.6f} of {budget.max_usd:,.2f}{passed}"
    for stop in costs.stopped:
        yield f"! {plain(stop.provider)} is stopped: {plain(stop.reason)}"
    if failed:
        yield f"{count(failed, 'document')} failed: they only count if their text was read"
    kinds = costs.specialists.kinds if costs.specialists else ()
    yield from _costs_table(_PACE, [_pace(one) for one in kinds if one.documents])
    other = plain(costs.frontier.model) if costs.frontier else "a frontier model"
    heads = (
        *(by, "documents", "machine\nUS$", f"{other}\nUS$", "calls", "paid\nUS$"),
        *("uncertain\npart", "reserved", "tokens in", "out"),
    )
    groups = list(costs.groups)
    if by == "day":
        groups, hidden = groups[-MOST_SUMS:], groups[:-MOST_SUMS]
    else:
        groups.sort(key=lambda one: -(one.usd + one.machine_usd))
        groups, hidden = groups[:MOST_SUMS], groups[MOST_SUMS:]
    rows = [
        (
            plain(one.key),
            f"{one.documents:,}",
            f"{one.machine_usd:,.6f}",
            f"{one.frontier_usd:,.6f}",
            f"{one.calls:,}",
            *(f"{usd:,.6f}" for usd in (one.usd, one.uncertain_usd, one.reserved_usd)),
            f"{one.tokens_in:,}",
            f"{one.tokens_out:,}",
        )
        for one in groups
    ]
    named = [plain(names.get(one.key, "(deleted)")) for one in groups] if names is not None else ()
    yield from _costs_table(heads, rows, named)
    if hidden:
        yield f"  and {len(hidden):,} more: --json has all"
    yield from _costs_table(_TRAINING, [_training(one) for one in costs.training if one.hours])


def _costs_table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], names: Sequence[str] = ()
) -> Iterator[str]:
    """A table after an empty line, without columns of zeros. The names are its last column."""
    if not rows:
        return
    yield ""
    rows = _without_zeros(rows)
    if names:
        heads = (*heads, "name")
        rows = [(*row, name) for row, name in zip(rows, names, strict=True)]
    right = range(1, len(heads) - bool(names))
    yield from table(rows, heads=heads, right=right, indent=0)


def _total_costs(costs: Costs) -> Iterator[tuple[str, str, str]]:
    """The payments, the cost of this machine, and the price of its work at a frontier model."""
    played = f": {_stand_in_note(costs)}" if costs.stand_in_usd else ""
    calls = f"{count(costs.calls, 'call')}{played}" if costs.calls else "no calls"
    yield "paid to frontier models", f"US$ {costs.usd:,.6f}", calls
    work, other = costs.specialists, costs.frontier
    if work and work.documents:
        time = f"{work.seconds:,.1f} s at US$ {work.hour_usd:.2f} an hour"
        about = f"{count(work.documents, 'document')}, {time}"
        yield "this machine", f"US$ {work.usd:,.6f}", about
    if other:
        name = f"the same with {plain(other.model)}"
        yield name, f"US$ {other.usd:,.6f}", f"at least, at prices of {other.as_of}"


def _without_zeros(rows: Sequence[Sequence[str]]) -> list[Sequence[str]]:
    """Rows whose columns of zeros are empty, so that no table shows them."""
    names, *columns = zip(*rows, strict=True) if rows else ((),)
    shown = [
        column if any(re.search("[1-9]", cell) for cell in column) else [""] * len(column)
        for column in columns
    ]
    return list(zip(names, *shown, strict=True))


def _stand_in_note(costs: Costs) -> str:
    part = "all" if costs.stand_in_usd >= costs.usd else f"US$ {costs.stand_in_usd:,.6f}"
    return f"{part} of it by a test stand-in, which costs nothing"


def _pace(work: KindCost) -> tuple[str, ...]:
    """The work of one kind: documents, tokens, time and pace."""
    second, million = work.tokens_per_second, work.usd_per_million
    return (
        plain(work.kind),
        f"{work.documents:,}",
        f"{work.tokens_read:,}",
        f"{work.seconds:,.1f}",
        "" if second is None else f"{second:,.0f}",
        "" if million is None else f"{million:,.6f}",
    )


def _training(one: TrainingCost) -> tuple[str, ...]:
    """The training of a specialist, and when it has paid off."""
    return (
        f"{plain(one.adapter)} {one.version}",
        f"{one.hours:,.2f}",
        "" if one.usd is None else f"{one.usd:,.2f}",
        f"{one.after_documents:,}" if one.after_documents else "never",
        f"{one.documents:,}",
    )


def costs_of_tenants(lines: Sequence[Mapping[str, Any]], hour: float) -> Iterator[str]:
    """The costs of each tenant."""
    heads = ("", "calls", "US$", "documents", "seconds", "machine US$")
    rows = [
        (
            plain(one["tenant"]),
            f"{one['calls']:,}",
            f"{one['usd']:,.6f}",
            f"{one['documents']:,}",
            f"{one['seconds']:,.1f}",
            f"{one['machine_usd']:,.6f}",
        )
        for one in lines
    ]
    yield from table(_without_zeros(rows), heads=heads, right=range(1, len(heads)))
    yield f"the machine at US$ {hour:.2f} an hour"


def findings(line: Mapping[str, Any], printed_reason: str = "") -> Iterator[str]:
    """The findings of a filing: check, position, confidence and message.

    The parts of a mail or archive, and the filings of a file, follow one another.

    Args:
        known: a reason that nothing is accepted which is printed elsewhere.
    """
    if "parts" in line:
        yield f"{plain(line['source'])}  ({count(len(line['parts']), 'part')})"
        yield ""
        yield from _of_parts(line, partial(findings, printed_reason=printed_reason))
        return
    if "filings" in line:
        for filing in line["filings"]:
            yield from findings({**filing, "source": line["source"]}, printed_reason)
        return
    width = shutil.get_terminal_size((100, 24)).columns
    if "error" in line:
        yield f"! {plain(line['source'])}: {plain(line['error']['detail'])}"
        yield from _warned(line, width)
        yield from _in_words(line, width)
        return
    yield _heading(line)
    yield from _covered(line, width)
    yield from _warned(line, width)
    for finding in line["findings"]:
        yield f"  {_title(finding)}"
        text = plain(finding["message"])
        yield from wrap(text, width, initial_indent="    ", subsequent_indent="    ")
    yield from _not_closing(line, width)
    no_guarantee_reason = (
        line["risks"]["no_guarantee_reason"] if line["findings"] and "risks" in line else ""
    )
    if no_guarantee_reason and no_guarantee_reason != printed_reason:
        text = f"Accepted: none. {plain(no_guarantee_reason)}"
        yield from wrap(text, width, initial_indent="  ", subsequent_indent="    ")
    for signal in line.get("signals", ()):
        if signal["level"] != "usual":
            text = f"{signal['level']}: {plain(signal['message'])}"
            yield from wrap(text, width, initial_indent="  ~ ", subsequent_indent="    ")
    yield from _in_words(line, width)
    yield ""


def _title(finding: Mapping[str, Any]) -> str:
    """The check of a finding, its confidence and its route."""
    title = _check(finding["check"])
    statement = _kind(finding["statement"]) if finding["statement"] else ""
    if statement and statement.lower() not in title:
        title = f"{statement}: {title[0].lower()}{title[1:]}"
    return f"{title} (confidence {finding['confidence']:.2f}){_route(finding)}"


def _check(check: str) -> str:
    """The title of a check, such as `Cash agrees between statements`."""
    from services.triage.check_pages import page_of

    page = page_of(check)
    return page.title if page else plain(check)


def _kind(statement: str) -> str:
    """A kind of statement in words, such as `Cash flow statement`."""
    from services.triage.relations.message_format import title

    return title(statement).capitalize()


def _heading(line: Mapping[str, Any]) -> str:
    """The company, form and period of a filing with its verdict, and its file; the file first if
    the company is unknown.
    """
    source, known = plain(line["source"]), ", ".join(map(plain, _known(line)))
    own = plain(str(line.get("id") or ""))
    if line.get("company"):
        named = "" if own in ("", Path(source).stem) else f"  {own}"
        return f"{known}  ({_verdict(line)})  {source}{named}"
    return f"{'  '.join(filter(None, (source, known or own)))}  ({_verdict(line)})"


def _known(line: Mapping[str, Any]) -> list[str]:
    """The company, form and last day of a filing, as far as they are known."""
    known = [str(line[key]) for key in ("company", "form") if line.get(key)]
    return [*known, *([_day(str(line["period"]))] if line.get("period") else [])]


def _verdict(line: Mapping[str, Any]) -> str:
    """The verdict on a filing."""
    risk, findings = f"risk {line['risk']:.2f}", len(line["findings"])
    if line["flagged"]:
        return f"flagged, {risk}"
    if not line.get("checked", True):
        return "nothing was checked"
    if findings:
        return f"not flagged, {risk}; {count(findings, 'finding')}"
    weak = ": a suspicion is too weak for one" if line["risk"] >= _LIKELY else ""
    return f"not flagged, {risk}; no findings{weak}"


def _covered(line: Mapping[str, Any], width: int) -> Iterator[str]:
    """The statements found and missing, and the relations checked; those that hold if few were."""
    if coverage := line.get("coverage"):
        yield from wrap(coverage["summary"], width, initial_indent="  ", subsequent_indent="  ")
        for one in coverage.get("checks", ()) if coverage["relations"] <= _FEW_CHECKS else ():
            if one["outcome"] == "holds":
                text = f"holds: {plain(one['relation'])} ({_day(one['end'])})"
                yield from wrap(text, width, initial_indent="  ", subsequent_indent="    ")


def _not_closing(line: Mapping[str, Any], width: int) -> Iterator[str]:
    """The relations that do not close, by check, with the usual lawful reason of each."""
    items = line.get("coverage", {}).get("items", ())
    for check in dict.fromkeys(item["check"] for item in items):
        of_check = [item for item in items if item["check"] == check]
        yield f"  does not close: {_check(check)}"
        reason = f"May be lawful: {of_check[0]['possible_explanation']}"
        for text in (*(item["message"] for item in of_check), reason):
            yield from wrap(plain(text), width, initial_indent="    ", subsequent_indent="    ")


def _warned(line: Mapping[str, Any], width: int) -> Iterator[str]:
    """Unread and unchecked parts, and differences from an earlier filing."""
    for warning in line.get("warnings", ()):
        yield from wrap(plain(warning), width, initial_indent="  ! ", subsequent_indent="    ")


def _in_words(line: Mapping[str, Any], width: int) -> Iterator[str]:
    for flag in line.get("narrative_flags", ()):
        where = f"page {flag['page']}, {flag['confidence']:.2f}"
        text = f"{flag['title']} ({where}): {plain(flag['text'])}"
        yield from wrap(text, width, initial_indent='  " ', subsequent_indent="    ")


def reports(listed: Sequence[Report]) -> Iterator[str]:
    """Reports by risk: risk, flag, findings, name and id, and numbers of decided and dismissed
    findings.
    """
    rows = []
    for one in listed:
        became = [_decided(one)] if one.decided else []
        became += [f"{one.dismissed} hidden"] if one.dismissed else []
        name = plain(one.name) or "(name not stored)"
        rows.append(
            (
                *(f"{one.risk:.2f}", "flagged" if one.flagged else ""),
                *(f"{one.findings:,}", ", ".join(became), one.document_id, name),
            )
        )
    heads = ("risk", "", "findings", "decided", "id", "name")
    yield from table(rows, heads=heads, right=[2], styles={1: "red"}, indent=0)


def _decided(report: Report) -> str:
    return "all decided" if report.decided >= report.findings else f"{report.decided} decided"


def statements(
    line: Mapping[str, Any], *, concepts: bool = False, scale: str = "units"
) -> Iterator[str]:
    """The statements of a filing: a header of periods, then each line.

    Args:
        concepts: whether to show the concept of each line.
        scale: the unit of amounts, one of `SCALES`.
    """
    if "error" in line:
        yield f"! {plain(line['source'])}: {plain(line['error']['detail'])}"
        return
    about = ", ".join(map(plain, _known(line))) or count(len(line["statements"]), "statement")
    yield f"{about}  ({plain(line['source'])})"
    for warning in line["warnings"]:
        yield f"  ! {plain(warning)}"
    for statement in line["statements"]:
        yield ""
        yield from _statement(statement, concepts, scale)
    yield ""


def _statement(statement: Mapping[str, Any], concepts: bool, scale: str) -> Iterator[str]:
    title = plain(str(statement.get("title") or ""))
    unit = "" if scale == "units" else f" (amounts and shares in {scale})"
    yield f"  {_kind(statement['statement'])}  {title}{unit}".rstrip()
    rows = statement["rows"]
    amounts = zip(*(_scaled(row["values"], scale) for row in rows), strict=True)
    columns = [
        _Column("", [period(row["period"]) if "period" in row else "" for row in rows]),
        *(
            _Column(_head(column), cells)
            for column, cells in zip(statement["columns"], amounts, strict=False)
        ),
    ]
    labels = [plain(row["label"]) for row in rows]
    named = [_concept(row) if concepts else "" for row in rows]
    yield from _panels(labels, [column for column in columns if any(column.cells)], named)


@dataclass(frozen=True)
class _Column:
    """A column of a statement: its head, perhaps of several lines, and a cell for each row."""

    head: str
    cells: Sequence[str]

    @property
    def width(self) -> int:
        """Its characters, with the space before it."""
        return 2 + max(len(line) for text in (self.head, *self.cells) for line in text.split("\n"))


def _panels(
    labels: Sequence[str], columns: Sequence[_Column], notes: Sequence[str]
) -> Iterator[str]:
    """A table that is no wider than the terminal.

    Long labels are broken. Columns that do not fit beside them follow below, with the labels again.

    Args:
        notes: a line below each row of the first columns; empty for none.
    """
    width = shutil.get_terminal_size((100, 24)).columns - _INDENT
    least = min(max(map(len, labels), default=0), _LEAST_LABEL)
    panels: list[list[_Column]] = [[]]
    for column in columns:
        if panels[-1] and sum(c.width for c in (*panels[-1], column)) > width - least:
            panels.append([])
        panels[-1].append(column)
    for number, panel in enumerate(panels):
        room = max(least, width - sum(column.width for column in panel))
        rows: list[tuple[str, ...]] = []
        below: list[str] = []
        for row, label in enumerate(labels):
            *above, last = wrap(label, room, subsequent_indent="  ") or [""]
            rows += [(part, *("" for _ in panel)) for part in above]
            rows.append((last, *(column.cells[row] for column in panel)))
            below += [*("" for _ in above), "" if number else notes[row]]
        heads = ("", *(column.head for column in panel))
        yield from [""] if number else []
        lines = table(rows, heads=heads, right=range(1, len(heads)), cut=0, indent=_INDENT)
        yield from lines[: len(lines) - len(rows)]
        for line, note in zip(lines[len(lines) - len(rows) :], below, strict=True):
            yield line
            if note:
                yield f"{' ' * _INDENT}  = {note}"


def unit_of(values: Sequence[float | None], scale: str) -> int:
    """The unit in which a line is shown. Amounts per share and the like keep their own."""
    present = [abs(value) for value in values if value]
    own_unit = not present or max(present) < SCALES["thousands"] or any(v % 1 for v in present)
    return 1 if own_unit else SCALES[scale]


def _scaled(values: Sequence[float | None], scale: str) -> Iterator[str]:
    unit = unit_of(values, scale)
    for value in values:
        if value is None or unit == 1:
            yield "" if value is None else f"{value:,}"
        else:
            yield f"{value / unit:,.1f}"


def _head(column: Mapping[str, Any]) -> str:
    """The name of a column, over several lines."""
    if "component" in column:
        name = plain(column["component"])
        return "\n".join(wrap(name, _WIDEST_HEAD, break_on_hyphens=False))
    quarters = column.get("quarters")
    return (f"{_length(quarters)} to\n" if quarters else "") + _day(column.get("end"))


def period(period: Mapping[str, Any]) -> str:
    """`year to 2023-06-30`, the date of a moment, or `to` a date if the duration is unknown."""
    day, quarters = _day(period.get("end")), period.get("quarters")
    if quarters:
        return f"{_length(quarters)} to {day}"
    return f"to {day}" if quarters is None else day


def _length(quarters: int) -> str:
    """`year`, or `3 months` and so on, as signals have it."""
    return "year" if quarters == 4 else f"{3 * quarters} months"


def _day(end: str | None) -> str:
    """A date such as 2023-06-30; a question mark if it is unknown."""
    end = end or "?"
    return f"{end[:4]}-{end[4:6]}-{end[6:]}" if len(end) == 8 else end


def _concept(row: Mapping[str, Any]) -> str:
    """`Assets 98%`; empty for a line without a concept."""
    concept = row.get("concept")
    if not concept:
        return ""
    name = "no us-gaap concept" if concept["name"] == "own" else plain(concept["name"])
    return f"{name} {concept['confidence']:.0%}"


def taught(line: Mapping[str, Any]) -> Iterator[str]:
    """A taught specialist: its quality, whether more examples help, and its mistakes."""
    examples = line["examples"]
    name = plain(line["name"])
    yield f"{name} {line['version']} on {line['on']}, stored in {plain(line['folder'])}"
    yield (
        f"  {count(examples['count'], 'example')} of {count(examples['documents'], 'document')}, "
        f"{examples['empty']} without such a clause, {count(examples['spans'], 'passage')}"
    )
    yield ""
    yield f"On held-out examples ({line['folds']} folds), with 95% intervals:"
    for key, what in (
        ("f1", "F1 at the threshold"),
        ("precision", "  precision"),
        ("recall", "  recall"),
        ("best_f1", "best F1 of any threshold"),
        ("aupr", "area under precision and recall"),
    ):
        one = line[key]
        yield f"  {what:<32} {one['value']:.2f}  [{one['low']:.2f}, {one['high']:.2f}]"
    yield f"  {'confidence off by (ECE)':<32} {line['calibration_error']:.2f}"
    yield f"Shown from a confidence above {line['threshold']:g}."
    yield ""
    for point in line["learning_curve"]:
        yield (
            f"  trained on {point['examples']:>3}: area {point['aupr']:.2f}, "
            f"best F1 {point['best_f1']:.2f}"
        )
    yield line["more_examples"]["reason"]
    if not examples["empty"]:
        yield (
            "All examples have such a clause, so expect more false alarms in documents without "
            'one. Add examples with "spans": [].'
        )
    for key, what in (
        ("misses", "Clearest misses"),
        ("false_alarms", "Most confident false alarms"),
    ):
        if line[key]:
            yield f"{what}, by line of {plain(line['source'])}:"
        for one in line[key]:
            words = plain(one["words"])
            yield f"  line {one['line']}, {one['start']}-{one['end']}: {words} …"
    yield ""
    yield f"Use it: `smallprint extract PATH --adapter {name}`"


def taught_line(line: Mapping[str, Any]) -> Iterator[str]:
    """One specialist that was taught here."""
    figures = f"  F1 {line['f1']:.2f}, area {line['aupr']:.2f}" if "f1" in line else ""
    examples = count(line.get("examples", 0), "example")
    yield f"{plain(line['name'])}  {line['version']}  {examples}{figures}"


def _of_parts(
    line: Mapping[str, Any], table: Callable[[Mapping[str, Any]], Iterator[str]]
) -> Iterator[str]:
    for part in line.get("parts", ()):
        if "error" in part:
            yield f"! {plain(part['source'])}: {plain(part['error']['detail'])}"
        else:
            yield from table(part)


def _plain_with_spaces(text: str) -> str:
    """`plain` text that keeps its outer spaces."""
    before = " " if text[:1].isspace() else ""
    after = " " if text.strip() and text[-1:].isspace() else ""
    return before + plain(text) + after


class FindingsTable:
    """Prints findings and counts the accepted ones.

    Args:
        risk: the guarantee, as in `risks` of a line; None without a stated risk.
    """

    def __init__(self, risk: Mapping[str, Any] | None) -> None:
        self.risk = risk
        self.total = self.accepted = 0

    def table(self, line: Mapping[str, Any]) -> Iterator[str]:
        """The lines for a person about one result, with a reason if only here nothing is
        accepted.
        """
        self._count(line)
        yield from findings(line, self.risk["no_guarantee_reason"] if self.risk else "")

    def summary(self) -> Iterator[str]:
        """How many were accepted, and their guarantee; empty without findings."""
        risk = self.risk
        if risk is None or not self.total:
            return
        if risk["no_guarantee_reason"]:
            yield f"Accepted: none. {plain(risk['no_guarantee_reason'])}"
            return
        yield (
            f"Accepted: {self.accepted or 'none'} of {count(self.total, 'finding')}, from a "
            f"confidence of {risk['threshold']:g}. At most {percent(risk['max_wrong'])} of these "
            f"are wrong if {percent(risk['broken'])} of the reports have an error "
            f"({percent(risk['level'])} confidence, measured on {risk['companies']:,} companies)."
        )

    def _count(self, line: Mapping[str, Any]) -> None:
        for inner in (*line.get("parts", ()), *line.get("filings", ())):
            self._count(inner)
        routes = [finding.get("route") for finding in line.get("findings", ())]
        self.total += len(routes)
        self.accepted += routes.count("accept")
