"""Statements of an XBRL instance, laid out by its presentation linkbase.

An instance is a bag of facts. Its presentation and label linkbases (XBRL 2.1, 5.2.4 and 5.2.2) give
statements, order, signs and labels. Without labels, concept names are written in words.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from types import MappingProxyType

from services.triage.reading.periods import quarters_between, shift_day
from services.triage.reading.reader import ReadStatement
from services.triage.reading.rows import ReadRow
from services.triage.reading.table import LONGEST
from services.triage.statements.model import Column, Row, format_day
from services.triage.statements.positions import Position
from shared.documents.containers.xml import Element, local, parse
from shared.documents.xbrl.xbrl import Fact

_XLINK = "{http://www.w3.org/1999/xlink}"
_KINDS = {
    "balance_sheet": re.compile(r"balancesheet|financialposition|financialcondition", re.I),
    "cash_flow": re.compile(r"cashflow", re.I),
    "equity": re.compile(
        r"(equity|deficit|capital|investment)s?$|equity.*statement|changesin", re.I
    ),
    "income": re.compile(
        r"statements?(of)?(consolidated)?\w{0,30}(operations?|income|earnings|loss)|incomestatement",
        re.I,
    ),
}
_NO_STATEMENT = re.compile(r"parenthe|details?$|tables?$|polic|disclosure|note", re.I)
_COMPREHENSIVE = re.compile(r"comprehensive", re.I)
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z][a-z]*|[a-z]+|\d+")
_MEMBER = re.compile(r"(?<!\s)\s*+(\[member\]|\bmember)$", re.I)
_STANDARD = "http://www.xbrl.org/2003/role/label"
_USUAL = 0.3  # share of the facts of the fullest column that a column needs

Period = tuple[str | None, str | None]
Members = frozenset[tuple[str, str]]  # pairs of an axis and a member
Facts = Mapping[tuple[str, Period], Fact]
Split = Mapping[str, Mapping[Members, Mapping[Period, Fact]]]  # by concept, members and period
Labels = Mapping[tuple[str, str], str]  # by concept and role


@dataclass
class Line:
    """A concept in the tree of a statement, with its preferred label role."""

    concept: str
    role: str
    depth: int
    path: tuple[str, ...]


@dataclass
class _Link:
    """The tree of one role: for each concept its children in order."""

    children: dict[str, list[tuple[float, str, str]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    below: set[str] = field(default_factory=set)

    def lines(self) -> Iterator[Line]:
        """All lines from the top."""
        for root in [name for name in self.children if name not in self.below]:
            yield from self._walk(root, "", 0, ())

    def _walk(self, concept: str, role: str, depth: int, path: tuple[str, ...]) -> Iterator[Line]:
        yield Line(concept, role, depth, path)
        if concept in path:
            return
        for _, child, preferred in sorted(self.children.get(concept, []), key=lambda c: c[0]):
            yield from self._walk(child, preferred, depth + 1, (*path, concept))


def presentation_of(data: bytes) -> dict[str, list[Line]]:
    """The lines of each role of a presentation linkbase, in order. Raises UnreadableDocument."""
    links: dict[str, _Link] = {}
    for element in parse([data]).iter():
        if local(element) == "presentationLink":
            _read_link(element, links.setdefault(element.get(f"{_XLINK}role", ""), _Link()))
    return {role: list(link.lines()) for role, link in links.items()}


def _read_link(element: Element, link: _Link) -> None:
    names = _locators(element)
    for arc in element:
        if local(arc) != "presentationArc" or arc.get("use") == "prohibited":
            continue
        above, below = (names.get(arc.get(_XLINK + side, "")) for side in ("from", "to"))
        if above and below:
            order = _order(arc.get("order"))
            link.children[above].append((order, below, arc.get("preferredLabel", "")))
            link.below.add(below)


def _locators(link: Element) -> dict[str, str]:
    """The concepts of a link by their labels: `us-gaap:Assets` for `….xsd#us-gaap_Assets`."""
    return {
        part.get(f"{_XLINK}label", ""): part.get(f"{_XLINK}href", "")
        .rpartition("#")[2]
        .replace("_", ":", 1)
        for part in link
        if local(part) == "loc"
    }


def _order(text: str | None) -> float:
    try:
        return float(text or "1")
    except ValueError:
        return 1.0


def labels_of(data: bytes) -> dict[tuple[str, str], str]:
    """The labels of a label linkbase by concept and role."""
    labels: dict[tuple[str, str], str] = {}
    for link in parse([data]).iter():
        if local(link) != "labelLink":
            continue
        positions = _locators(link)
        arcs: dict[str, list[str]] = defaultdict(list)
        for part in link:
            if local(part) == "labelArc":
                concept = positions.get(part.get(f"{_XLINK}from", ""), "")
                arcs[part.get(f"{_XLINK}to", "")].append(concept)
        for part in link:
            if local(part) == "label":
                text = " ".join("".join(part.itertext()).split())
                for concept in arcs.get(part.get(f"{_XLINK}label", ""), ()):
                    labels.setdefault((concept, part.get(f"{_XLINK}role", _STANDARD)), text)
    return labels


def read_instance(
    facts: Sequence[Fact], presentation: bytes, labels: bytes | None = None
) -> list[ReadStatement]:
    """Read the statements of an instance by its presentation linkbase.

    Facts of the whole company come first. A line without such facts shows those split by members
    that the statement lists (XBRL Dimensions 1.0). A line with both leaves the breakdown out and is
    named in `broken_down`. Raises UnreadableDocument for a damaged linkbase.
    """
    named = labels_of(labels) if labels else {}
    undivided, split = undivided_facts(facts), dimensional_facts(facts)
    taken: dict[str, ReadStatement] = {}
    for role, lines in presentation_of(presentation).items():
        kind = kind_of_role(role)
        if kind and kind != "equity" and kind not in taken:
            statement = statement_of(kind, role, lines, undivided, named, split)
            if statement.rows and statement.columns:
                taken[kind] = statement
    return list(taken.values())


def undivided_facts(facts: Sequence[Fact]) -> dict[tuple[str, Period], Fact]:
    """The numbers without dimensions, by concept and period."""
    numbers: dict[tuple[str, Period], Fact] = {}
    for fact in facts:
        if fact.number is not None and not fact.context.dimensions:
            numbers.setdefault((fact.name, (fact.context.start, fact.context.end)), fact)
    return numbers


def dimensional_facts(facts: Sequence[Fact]) -> Split:
    """The numbers with dimensions, by concept, members and period."""
    split: dict[str, dict[Members, dict[Period, Fact]]] = defaultdict(lambda: defaultdict(dict))
    for fact in facts:
        if fact.number is not None and fact.context.dimensions:
            members = frozenset(fact.context.dimensions)
            split[fact.name][members].setdefault((fact.context.start, fact.context.end), fact)
    return split


def kind_of_role(role: str) -> str | None:
    """The statement that a role's address names; None for notes and parentheticals."""
    name = role.rstrip("/").rpartition("/")[2][:LONGEST].replace("_", "").replace("-", "")
    if _NO_STATEMENT.search(name):
        return None
    kind = next((kind for kind, pattern in _KINDS.items() if pattern.search(name)), None)
    both = re.search(r"operations|incomeand|earningsand|andcomprehensive", name, re.I)
    return None if kind == "income" and _COMPREHENSIVE.search(name) and not both else kind


def statement_of(
    kind: str,
    role: str,
    lines: Sequence[Line],
    facts: Facts,
    labels: Labels,
    split: Split = MappingProxyType({}),
) -> ReadStatement:
    """The lines with facts, under the periods that most of them have. Facts with dimensions
    (`split`) are used only for lines without others."""
    periods = _columns(kind, lines, facts)
    listed = _listed(lines)
    rows: list[ReadRow] = []
    broken_down: list[str] = []
    for line in lines:
        undivided = _row(line, periods, facts, labels)
        members = list(_by_members(line, periods, split.get(line.concept, {}), labels, listed))
        if undivided is None or undivided.row.heading:
            rows += members
        elif members:
            broken_down.append(undivided.row.label)
        if undivided is not None:
            rows.append(undivided)
    return ReadStatement(
        kind=kind,
        title=role.rpartition("/")[2],
        scale=Decimal(1),
        columns=tuple(_column(period) for period in periods),
        rows=tuple(rows),
        broken_down=tuple(broken_down),
    )


def _listed(lines: Sequence[Line]) -> dict[tuple[str, str], int]:
    """The members of each axis of a statement with their order, a sum after its parts."""
    placed: dict[tuple[str, str], int] = {}
    above: list[tuple[str, Line]] = []

    def leave(depth: int) -> None:
        while above and above[-1][1].depth >= depth:
            axis, line = above.pop()
            placed.setdefault((axis, line.concept), len(placed))

    for line in lines:
        leave(line.depth)
        axis = next((name for name in reversed(line.path) if name.endswith("Axis")), None)
        if axis:
            above.append((axis, line))
    leave(0)
    return placed


def _by_members(
    line: Line,
    periods: Sequence[Period],
    split: Mapping[Members, Mapping[Period, Fact]],
    labels: Labels,
    listed: Mapping[tuple[str, str], int],
) -> Iterator[ReadRow]:
    """A line for each set of members that the statement lists; with a single set, the concept's own
    label is enough."""
    rows = []
    for members, facts in split.items():
        if all(pair in listed for pair in members):
            own = {(line.concept, period): fact for period, fact in facts.items()}
            row = _row(line, periods, own, labels)
            if row is not None and not row.row.heading:
                rows.append((sorted(listed[pair] for pair in members), members, row))
    for _, members, row in sorted(rows, key=lambda item: item[0]):
        if len(rows) == 1:
            yield row
            continue
        ordered = sorted(members, key=lambda pair: listed[pair])
        names = (_label(member, labels) for _, member in ordered)
        shown = ", ".join(_MEMBER.sub("", name) for name in names)
        yield replace(row, row=replace(row.row, label=f"{row.row.label}: {shown}"))


def _columns(kind: str, lines: Sequence[Line], facts: Facts) -> list[Period]:
    """The periods of a statement, the latest first, shorter before longer."""
    concepts = {line.concept for line in lines}
    moment = kind == "balance_sheet"
    periods = (period for name, period in facts if name in concepts)
    counts = Counter(period for period in periods if (period[0] is None) == moment)
    most = max(counts.values(), default=0)
    usual = [period for period, count in counts.items() if count >= _USUAL * most and period[1]]
    return sorted(usual, key=lambda period: (period[1] or "", period[0] or ""), reverse=True)


def _column(period: Period) -> Column:
    start, end = (day.replace("-", "") if day else None for day in period)
    return Column(end=end, quarters=quarters_between(start, end) if end else None, start=start)


def _row(line: Line, periods: Sequence[Period], facts: Facts, labels: Labels) -> ReadRow | None:
    """A line with its facts; an abstract concept is a heading, one without facts is left out."""
    line_facts = [_fact(line, period, facts) for period in periods]
    label = labels.get((line.concept, line.role or _STANDARD)) or _label(line.concept, labels)
    above = (name for name in line.path if not name.endswith(("Table", "LineItems")))
    path = tuple(_label(name, labels) for name in above)
    if not any(line_facts):
        if not line.concept.endswith(("Abstract", "RollForward")):
            return None
        empty: tuple[Decimal | None, ...] = (None,) * len(periods)
        return ReadRow(Row(label, empty, heading=True), path)
    sign = -1 if "negated" in line.role.lower() else 1
    numbers = (None if fact is None else fact.number for fact in line_facts)
    values = tuple(None if number is None else sign * number for number in numbers)
    positions = tuple(
        None if fact is None else Position(1, cell=f"B{fact.order + 1}", element=fact.element)
        for fact in line_facts
    )
    unit = next((fact.unit for fact in line_facts if fact), None)
    return ReadRow(Row(label, values, unit, positions=positions), path)


def _fact(line: Line, period: Period, facts: Facts) -> Fact | None:
    """The fact of a period; for a moment the one at its start or end."""
    start, end = period
    if found := facts.get((line.concept, period)):
        return found
    if start and "periodStart" in line.role:
        before = shift_day(start, -1)
        return facts.get((line.concept, (None, before and format_day(before))))
    return facts.get((line.concept, (None, end))) if start else None


def _label(concept: str, labels: Labels) -> str:
    return labels.get((concept, _STANDARD)) or in_words(concept)


def in_words(concept: str) -> str:
    """A concept name in words: `Accounts payable current`."""
    name = re.sub(r"Abstract$", "", concept.rpartition(":")[2])
    words = _WORDS.findall(name)
    others = [word if word.isupper() and len(word) > 1 else word.lower() for word in words[1:]]
    return " ".join([*words[:1], *others])
