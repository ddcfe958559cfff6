"""A report as plain data. Its writers (`html_writer`, `docx_writer`) add nothing to it."""

from __future__ import annotations

from dataclasses import dataclass

DISCLAIMER = (
    "This summary is not legal or audit advice. It may be incomplete, and it does not replace "
    "reading the document."
)


@dataclass(frozen=True)
class Entry:
    """One result with its decision. `quoted`: its text is the document's own words."""

    title: str
    place: str
    """Such as `page 18`; empty if unknown."""
    decision: str
    text: str
    quoted: bool = True
    notes: tuple[tuple[str, str], ...] = ()
    """Further lines, each with its name."""


@dataclass(frozen=True)
class Group:
    """Results about one subject."""

    title: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Value:
    """A value of a key term, with its page (empty if unknown) and its decision."""

    text: str
    page: str
    decision: str
    is_read: bool = True
    """False: the text has the words of a clause without a readable value."""


@dataclass(frozen=True)
class KeyTerm:
    """A key term with its values, in the order of the text."""

    name: str
    values: tuple[Value, ...]


@dataclass(frozen=True)
class NameList:
    """Names about one subject, each with a remark or an empty one."""

    title: str
    lines: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Section:
    """A part of the report: paragraphs, a table of terms, groups of results, lists of names."""

    title: str
    paragraphs: tuple[str, ...] = ()
    terms: tuple[KeyTerm, ...] = ()
    groups: tuple[Group, ...] = ()
    lists: tuple[NameList, ...] = ()


@dataclass(frozen=True)
class Report:
    """The report of one document."""

    kind: str
    """Such as `Contract summary`."""
    title: str
    subtitle: str
    """Parties and date of a contract, form and period of a report; empty if unknown."""
    draft: str
    """How much is decided, while items are open; empty then."""
    facts: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]
    about: str
    """The document and the models."""
