"""Statements of an XBRL instance: the order of its presentation linkbase, the values of its facts.

An instance alone is a bag of facts: which of them stand in which statement, in what order, under
what label and with what sign, is said by the presentation and label linkbases that are filed beside
it (XBRL 2.1, 5.2.4 and 5.2.2). With the presentation a statement is laid out as its filer laid it
out; with the labels it has his words, without them the names of its concepts in words.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from types import MappingProxyType

from services.triage.places import Place
from services.triage.reading.periods import quarters_between
from services.triage.reading.reader import ReadStatement
from services.triage.reading.rows import ReadRow
from services.triage.statements import Column, Row
from shared.documents.xbrl import Fact
from shared.documents.xml import Element, local, parse

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
_ABSTRACT = re.compile(r"(Abstract|Table|Axis|Domain|Member|LineItems|RollForward)$")
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z][a-z]*|[a-z]+|\d+")
_MEMBER = re.compile(r"\s*(\[member\]|\bmember)$", re.I)
_STANDARD = "http://www.xbrl.org/2003/role/label"
_USUAL = 0.3
"""Of the facts of the column that has most; a period with fewer is no column."""

Period = tuple[str | None, str | None]
Members = frozenset[tuple[str, str]]
"""Pairs of an axis and a member."""
Split = dict[str, dict[Members, dict[Period, Fact]]]
"""Facts by concept, members and period."""


@dataclass
class Line:
    """A concept in the tree of a statement, with the label that its filer prefers there."""

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
        """All of them from the top, each tree once."""
        for root in [name for name in self.children if name not in self.below]:
            yield from self._walk(root, "", 0, ())

    def _walk(self, concept: str, role: str, depth: int, path: tuple[str, ...]) -> Iterator[Line]:
        yield Line(concept, role, depth, path)
        if concept in path:
            return
        for _, child, preferred in sorted(self.children.get(concept, []), key=lambda c: c[0]):
            yield from self._walk(child, preferred, depth + 1, (*path, concept))


def presentation_of(data: bytes) -> dict[str, list[Line]]:
    """The lines of each role of a presentation linkbase, in the order of the document.

    Raises UnreadableDocument for what is no well-formed XML.
    """
    links: dict[str, _Link] = {}
    for element in parse([data]).iter():
        if local(element) == "presentationLink":
            _read_link(element, links.setdefault(element.get(f"{_XLINK}role", ""), _Link()))
    return {role: list(link.lines()) for role, link in links.items()}


def _read_link(element: Element, link: _Link) -> None:
    names = {
        part.get(f"{_XLINK}label", ""): _concept(part.get(f"{_XLINK}href", ""))
        for part in element
        if local(part) == "loc"
    }
    for arc in element:
        if local(arc) != "presentationArc" or arc.get("use") == "prohibited":
            continue
        above, below = (names.get(arc.get(_XLINK + side, "")) for side in ("from", "to"))
        if above and below:
            order = _order(arc.get("order"))
            link.children[above].append((order, below, arc.get("preferredLabel", "")))
            link.below.add(below)


def _order(text: str | None) -> float:
    try:
        return float(text or "1")
    except ValueError:
        return 1.0


def _concept(address: str) -> str:
    """`us-gaap:Assets` for `….xsd#us-gaap_Assets`."""
    return address.rpartition("#")[2].replace("_", ":", 1)


def labels_of(data: bytes) -> dict[tuple[str, str], str]:
    """The labels of a label linkbase by concept and role."""
    found: dict[tuple[str, str], str] = {}
    for link in parse([data]).iter():
        if local(link) != "labelLink":
            continue
        places = {
            part.get(f"{_XLINK}label", ""): _concept(part.get(f"{_XLINK}href", ""))
            for part in link
            if local(part) == "loc"
        }
        arcs: dict[str, list[str]] = defaultdict(list)
        for part in link:
            if local(part) == "labelArc":
                concept = places.get(part.get(f"{_XLINK}from", ""), "")
                arcs[part.get(f"{_XLINK}to", "")].append(concept)
        for part in link:
            if local(part) == "label":
                text = " ".join("".join(part.itertext()).split())
                for concept in arcs.get(part.get(f"{_XLINK}label", ""), ()):
                    found.setdefault((concept, part.get(f"{_XLINK}role", _STANDARD)), text)
    return found


def read_instance(
    facts: Sequence[Fact], presentation: bytes, labels: bytes | None = None
) -> list[ReadStatement]:
    """The statements that a presentation linkbase lays out, filled with the facts of its instance.

    Facts of the whole company are read, and where a line has none, those that are split by members
    that the statement itself lists (XBRL Dimensions 1.0): such members are lines of its page. Where
    a line has both, the members only break it down and are left out, which `broken_down` names.
    Raises UnreadableDocument for a damaged linkbase.
    """
    named = labels_of(labels) if labels else {}
    whole, split = whole_facts(facts), split_facts(facts)
    taken: dict[str, ReadStatement] = {}
    for role, lines in presentation_of(presentation).items():
        kind = kind_of_role(role)
        if kind and kind != "equity" and kind not in taken:
            statement = statement_of(kind, role, lines, whole, named, split)
            if statement.rows and statement.columns:
                taken[kind] = statement
    return list(taken.values())


def whole_facts(facts: Sequence[Fact]) -> dict[tuple[str, Period], Fact]:
    """The numbers of the whole company, each by its concept and period."""
    whole: dict[tuple[str, Period], Fact] = {}
    for fact in facts:
        if fact.number is not None and not fact.context.dimensions:
            whole.setdefault((fact.name, (fact.context.start, fact.context.end)), fact)
    return whole


def split_facts(facts: Sequence[Fact]) -> Split:
    """The numbers that are split by dimensions, each by its concept, its members and its period."""
    split: Split = defaultdict(lambda: defaultdict(dict))
    for fact in facts:
        if fact.number is not None and fact.context.dimensions:
            members = frozenset(fact.context.dimensions)
            split[fact.name][members].setdefault((fact.context.start, fact.context.end), fact)
    return split


def kind_of_role(role: str) -> str | None:
    """The statement that a role's address names; None for notes and parentheticals."""
    name = role.rstrip("/").rpartition("/")[2].replace("_", "").replace("-", "")
    if _NO_STATEMENT.search(name):
        return None
    kind = next((kind for kind, pattern in _KINDS.items() if pattern.search(name)), None)
    both = re.search(r"operations|incomeand|earningsand|andcomprehensive", name, re.I)
    return None if kind == "income" and _COMPREHENSIVE.search(name) and not both else kind


def statement_of(
    kind: str,
    role: str,
    lines: Sequence[Line],
    facts: Mapping[tuple[str, Period], Fact],
    labels: Mapping[tuple[str, str], str],
    split: Mapping[str, Mapping[Members, Mapping[Period, Fact]]] = MappingProxyType({}),
) -> ReadStatement:
    """The lines that have facts, under the periods for which most of them have.

    `split` has the facts that are split by dimensions: they are lines where nothing else is.
    """
    periods = _columns(kind, lines, facts)
    listed = _listed(lines)
    rows: list[ReadRow] = []
    broken_down: list[str] = []
    for line in lines:
        whole = _row(line, periods, facts, labels)
        members = list(_by_members(line, periods, split.get(line.concept, {}), labels, listed))
        if whole is None or whole.row.heading:
            rows += members
        elif members:
            broken_down.append(whole.row.label)
        if whole is not None:
            rows.append(whole)
    return ReadStatement(
        kind=kind,
        title=role.rpartition("/")[2],
        scale=Decimal(1),
        columns=tuple(_column(period) for period in periods),
        rows=tuple(rows),
        broken_down=tuple(broken_down),
    )


def _listed(lines: Sequence[Line]) -> dict[tuple[str, str], int]:
    """The members of each axis of a statement with their place, a sum after its parts."""
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
    labels: Mapping[tuple[str, str], str],
    listed: Mapping[tuple[str, str], int],
) -> Iterator[ReadRow]:
    """A line for each set of members that the statement lists and this concept has facts of.

    Where there is but one, the concept's own label says what the line is.
    """
    found = []
    for members, facts in split.items():
        if all(pair in listed for pair in members):
            own = {(line.concept, period): fact for period, fact in facts.items()}
            row = _row(line, periods, own, labels)
            if row is not None and not row.row.heading:
                found.append((sorted(listed[pair] for pair in members), members, row))
    for _, members, row in sorted(found, key=lambda one: one[0]):
        if len(found) == 1:
            yield row
            continue
        names = (
            labels.get((member, _STANDARD)) or in_words(member)
            for _, member in sorted(members, key=lambda pair: listed[pair])
        )
        shown = ", ".join(_MEMBER.sub("", name) for name in names)
        yield replace(row, row=replace(row.row, label=f"{row.row.label}: {shown}"))


def _columns(
    kind: str, lines: Sequence[Line], facts: Mapping[tuple[str, Period], Fact]
) -> list[Period]:
    """The periods for which a statement has facts, the latest first, shorter before longer."""
    concepts = {line.concept for line in lines}
    moment = kind == "balance_sheet"
    counts = Counter(
        period for name, period in facts if name in concepts and (period[0] is None) == moment
    )
    most = max(counts.values(), default=0)
    usual = [period for period, count in counts.items() if count >= _USUAL * most and period[1]]
    return sorted(usual, key=lambda period: (period[1] or "", period[0] or ""), reverse=True)


def _column(period: Period) -> Column:
    start, end = (day.replace("-", "") if day else None for day in period)
    return Column(end=end, quarters=quarters_between(start, end) if end else None, start=start)


def _row(
    line: Line,
    periods: Sequence[Period],
    facts: Mapping[tuple[str, Period], Fact],
    labels: Mapping[tuple[str, str], str],
) -> ReadRow | None:
    """A line with its facts; an abstract one is a heading, one without facts is left out."""
    found = [_fact(line, period, facts) for period in periods]
    label = labels.get((line.concept, line.role or _STANDARD))
    label = label or labels.get((line.concept, _STANDARD)) or in_words(line.concept)
    path = tuple(
        labels.get((name, _STANDARD)) or in_words(name)
        for name in line.path
        if not re.search(r"(Table|LineItems)$", name)
    )
    if not any(found):
        if not _ABSTRACT.search(line.concept) or re.search(
            r"(Table|Axis|Domain|Member|LineItems)$", line.concept
        ):
            return None
        empty: tuple[Decimal | None, ...] = (None,) * len(periods)
        return ReadRow(Row(label, empty, heading=True), path)
    sign = -1 if "negated" in line.role.lower() else 1
    values = tuple(
        None if fact is None or fact.number is None else sign * fact.number for fact in found
    )
    places = tuple(
        None if fact is None else Place(1, cell=f"B{fact.order + 1}", element=fact.element)
        for fact in found
    )
    unit = next((fact.unit for fact in found if fact), None)
    return ReadRow(Row(label, values, unit, places=places), path)


def _fact(line: Line, period: Period, facts: Mapping[tuple[str, Period], Fact]) -> Fact | None:
    """The fact of a period; of a moment at its beginning or end, where the line says which."""
    start, end = period
    if found := facts.get((line.concept, period)):
        return found
    if start and "periodStart" in line.role:
        return facts.get((line.concept, (None, _day_before(start))))
    return facts.get((line.concept, (None, end))) if start else None


def _day_before(day: str) -> str | None:
    try:
        return (date.fromisoformat(day) - timedelta(days=1)).isoformat()
    except ValueError:
        return None


def in_words(concept: str) -> str:
    """The name of a concept in words: `Accounts payable current`."""
    name = re.sub(r"Abstract$", "", concept.rpartition(":")[2])
    words = _WORDS.findall(name)
    rest = [word if word.isupper() and len(word) > 1 else word.lower() for word in words[1:]]
    return " ".join([*words[:1], *rest])
