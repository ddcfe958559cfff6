"""Finds the names of the parties of a document, their short names, and distinctive words of them.

The whole document is searched, because a window seldom defines a short name. A role (`Licensee`,
`the Company`) is no name and stays: the model needs it. A word also stays if the document has it in
lower case, or if many companies use it (`First`, `American`), unless it is a defined short name.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass
from pathlib import Path

_LISTS = tomllib.loads(Path(__file__).with_name("common_words.toml").read_text("utf-8"))
ROLES, COMMON = (frozenset(_LISTS[name].split()) for name in ("roles", "common"))
Span = tuple[int, int]
LONGEST_READ = 500_000  # characters of a document that are searched, from its beginning
_RUN = r"(?:[\w&'\u2019-]|\.(?=\w))"
_CAPITAL = rf"(?:[A-Z0-9](?>{_RUN}*)|(?:[A-Z]\.)+)"
_FORM = (
    r"(?:Incorporated|Inc|Corporation|Corp|Company|Co|Limited|Ltd|LLC|L\.L\.C|LLP|L\.L\.P|LP|L\.P|PLC"
    r"|plc|N\.A|GmbH|AG|SE|S\.A|SA|S\.p\.A|SpA|S\.r\.l|SARL|N\.V|NV|B\.V|BV|Pty|Pte|Oy|AB|A/S|KG|KK"
    r"|INC|CORP|CORPORATION|LTD|LIMITED|COMPANY)"
)
_COMPANY = re.compile(
    rf"(?P<hidden>\b(?:{_CAPITAL},?\s(?:(?:of|and|the|&|\([A-Z]\w{{1,30}}\))\s)?){{1,6}}{_FORM}\b\.?)"
    rf"|\b[A-Z0-9](?>(?:(?![A-Z]\.(?!\w)){_RUN})*)"
)
"""A match without `hidden` skips a word, which keeps the search linear."""
_ENDS = re.compile(rf"(?:(?<![\s,])[\s,]++(?:and\s)?{_FORM}\b\.?){{1,9}}\s*$")
_AHEAD, _BEFORE = 400, 60
"""Characters after and before a name that may define its short name."""
_BRACKET = re.compile(r"\(([^()]{2,200})\)")
_QUOTED = re.compile(r"[\"\u201c]\s*+([^\"\u201c\u201d]{2,40}?)[\s,.]*[\"\u201d]")
_BARE = re.compile(r"\s*(?:the |hereinafter |herein |or )*([A-Z][\w&.-]{1,30})\s*")
_SHORT_WORD = r"[A-Z0-9][\w&'\u2019.-]*\w"
_CALLED = re.compile(
    r"\bherein(?:after)?\b,?\s(?:\w+\s){0,4}?(?:to\sas|called|known\sas|as)\s(?:the\s)?"
    rf"[\"\u201c'\u2018]?({_SHORT_WORD}(?:\s{_SHORT_WORD}){{0,2}})"
    r"|\b(?:d/b/a|D/B/A|dba|DBA|f/k/a|doing\s+business\s+as|formerly\s+known\s+as)\s+[\"\u201c]?"
    rf"({_SHORT_WORD}(?:\s+{_SHORT_WORD}){{0,3}})"
)
_MEANS = re.compile(
    r"[\"\u201c]([^\"\u201c\u201d]{2,40})[\"\u201d]\s(?:means|shall\smean|refers\sto)\s(?:the\s)?$"
)
_WORD = re.compile(r"[^\W_][\w&'\u2019.-]*[^\W_]")
_SMALL = re.compile(r"(?<![\w@./-])[^\W\d_]++(?!\w|[@/]|\.\w)")
"""A word outside of mail and web addresses."""
_WORKS = re.compile(r"(?:er|or|ee|ant|ent|ist)s?$", re.IGNORECASE)  # endings of words for roles
_OWNED = re.compile(r"(?:['\u2019]s?|(?<!['\u2019.,])['\u2019.,]++)$")
_FIGURES = re.compile(r"\d[\d.,-]*|\d+-\w{3}-\d+")
_LOOSE = re.compile(r"\b(?:company|co|corporation|corp|limited)\.?$", re.IGNORECASE)
"""Legal forms that also end other phrases: `Obligations of the Company`."""
_LEADING = re.compile(
    r"^(?:(?:the|this|of|and|or|between|by|if|at|to|in|on|for|from|with|neither|nor|during|among"
    r"|agreement|whereas|dear|re)\b,?\s)+",
    re.IGNORECASE,
)
_DESCRIBED = re.compile(
    r"[\s,.]*(?:(?:an?|having|with|whose|located|incorporated|organi[sz]ed|duly|existing|acting"
    r"|registered|at|of|the|d/b/a|dba|doing|and\sits)\b"
    r"(?>(?:(?!\b(?:shall|will|may|has|have|had|are|was|were|agrees?|pursuant|under|between)\b)[^;])*))?"
)
"""Text between the name and the short name of a party."""
_MOST_WORDS = 8  # words of a name at most
_PREAMBLE = 10_000  # characters at the beginning of a document that name the parties
_FIRST = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True)
class PartyNames:
    """The names of parties."""

    names: frozenset[str] = frozenset()  # masked in any case: ACME for Acme
    written: frozenset[str] = frozenset()
    """Masked with a capital letter or digit: Granite, not granite."""


def known_names(document: str, names: Iterable[str] = ()) -> PartyNames:
    """Find the names of the parties of a document.

    Args:
        names: known names of parties; roles among them are ignored.
    """
    document = document[:LONGEST_READ]
    small = frozenset(word[0] for word in _SMALL.finditer(document) if word[0].islower())
    given = {" ".join(name.split()) for name in names if len(name.strip()) > 1}
    given = {name for name in given if not _is_ordinary(_words(name))}
    found = {one.span() for one in companies(document) if not _is_loose(one[0], small)}
    full, written = set(given), set[str]()
    for start, end in sorted(found | set(places_of(document, given))):
        name = " ".join(document[start:end].split())
        full.add(name)
        trusted = name in given or (start < _PREAMBLE and not _LOOSE.search(name))
        for short, near in _short_names(document, start, end):
            if _is_name(short, name, small, near):
                written.add(short)
                trusted = True
        if trusted:
            written.update(_parts(name, small))
    for name in given:
        written.update(_parts(name, small))
    full.update(one for one in written if " " not in one and _is_rare(one, small))
    return PartyNames(frozenset(full), frozenset(written))


def companies(text: str) -> Iterator[re.Match[str]]:
    """Yield company names with a legal form."""
    for found in _COMPANY.finditer(text):
        if found["hidden"] and not all(map(_is_role, _words(found[0]))):
            yield found


def _is_loose(name: str, small: Set[str]) -> bool:
    """Whether it is a phrase like `Holding Company`, not a name."""
    return bool(_LOOSE.search(name)) and all(
        _is_role(word) or word in small for word in _words(name)
    )


def _short_names(document: str, start: int, end: int) -> Iterator[tuple[str, bool]]:
    """Yield possible short names of a name, and whether the definition is certain.

    It is certain in the preamble, with nothing but a description in between.
    """
    at_first = start < _PREAMBLE
    ahead = document[end : end + _AHEAD]
    defined = False
    for bracket in _BRACKET.finditer(ahead):
        quoted = [found[1] for found in _QUOTED.finditer(bracket[1])]
        if bare := _BARE.fullmatch(bracket[1]):
            quoted.append(bare[1])
        if defined and ahead[: bracket.start()].rstrip()[-1:] != ")":
            break
        defined = defined or bool(quoted)
        near = at_first and bool(_DESCRIBED.fullmatch(ahead[: bracket.start()]))
        yield from ((" ".join(short.split()), near) for short in quoted)
    for called in _CALLED.finditer(ahead):
        near = at_first and bool(_DESCRIBED.fullmatch(ahead[: called.start()]))
        yield " ".join((called[1] or called[2]).split()), near
    if means := _MEANS.search(document, max(0, start - _BEFORE), start):
        yield " ".join(means[1].split()), at_first


def _is_name(short: str, name: str, small: Set[str], near: bool) -> bool:
    """Whether a short name is a name and not a role.

    Args:
        small: words of the document in lower case.
        near: whether the definition is certain.
    """
    words = _words(short)
    if not words or short.islower() or all(map(_is_role, words)):
        return False
    letters = "".join(word[0] for word in _WORD.findall(name)).casefold()
    if set(_words(name)).issuperset(words) or _words(name)[0] == words[0]:
        return near or not _is_ordinary(words)
    if len(short) > 2 and letters.startswith(short.casefold()):
        return True
    return (
        near
        and (short.isupper() or not _WORKS.search(short))
        and all(_is_rare(word, small) for word in _WORD.findall(short))
    )


def _parts(name: str, small: Set[str]) -> Iterator[str]:
    """Yield the name without its legal form, and its distinctive words."""
    stem = _LEADING.sub("", _ENDS.sub("", name))
    if stem.count(" ") >= _MOST_WORDS:
        return
    rare = [word for word in _WORD.findall(stem) if _is_rare(word, small)]
    for word in rare:
        yield (bare := _OWNED.sub("", word))
        head = bare.partition(".")[0]
        if _is_rare(head, small):
            yield head
    if rare or stem.count(" "):
        yield stem


def _words(text: str) -> list[str]:
    return [_OWNED.sub("", word).casefold() for word in _WORD.findall(text)]


def _is_role(word: str) -> bool:
    return word in ROLES or word.removesuffix("s") in ROLES


def _is_ordinary(words: Iterable[str]) -> bool:
    """Whether all words are ordinary."""
    return all(_is_role(word) or word in COMMON for word in words)


def _is_rare(word: str, small: Set[str]) -> bool:
    """Whether a word, or a part of it, can only be a name."""
    folded = _OWNED.sub("", word).casefold()
    if len(folded) < 3 or folded in small or word.islower() or _FIGURES.fullmatch(folded):
        return False
    parts = folded.split("-")
    return not _is_ordinary([folded]) and any(
        len(part) == 1 or not (part in small or _is_ordinary([part])) for part in parts
    )


def hidden_places(text: str, known: PartyNames) -> Iterator[Span]:
    """Yield the spans of party names in a text."""
    yield from places_of(text, known.names)
    for start, end in places_of(text, known.written):
        if any(char.isupper() or char.isdigit() for char in text[start:end]):
            yield start, end


def places_of(text: str, names: Iterable[str]) -> Iterator[Span]:
    """Yield the spans of names, as whole words, in any case and with any white space."""
    wanted: dict[str, dict[int, set[str]]] = {}
    for name in names:
        folded = _folded(" ".join(name.split()))
        if first := _FIRST.match(folded):
            wanted.setdefault(first[0], {}).setdefault(len(folded), set()).add(folded)
    flat, offsets = _flat(text)
    for first in _FIRST.finditer(flat):
        start = first.start()
        for length, known in wanted.get(first[0], {}).items():
            end = start + length
            if flat[start:end] in known and not (_is_word(flat, start - 1) or _is_word(flat, end)):
                yield offsets[start], offsets[end - 1] + 1


def _flat(text: str) -> tuple[str, list[int]]:
    """The text in lower case with single spaces, and the offset of each character."""
    folded = _folded(text)
    kept = [
        at
        for at, char in enumerate(folded)
        if not (char.isspace() and at and folded[at - 1].isspace())
    ]
    return "".join(" " if folded[at].isspace() else folded[at] for at in kept), kept


def _folded(text: str) -> str:
    """The text in lower case with the same length."""
    return "".join(
        next((one for one in (char.casefold(), char.lower()) if len(one) == 1), char)
        for char in text
    )


def _is_word(text: str, at: int) -> bool:
    """Whether there is a letter, a digit or `_`."""
    return 0 <= at < len(text) and (text[at].isalnum() or text[at] == "_")
