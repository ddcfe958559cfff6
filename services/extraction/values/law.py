"""Find the jurisdictions whose law governs, each by one canonical name."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection
from pathlib import Path

from services.extraction.values.value import Plain, Value, gaps

_LISTS = tomllib.loads(Path(__file__).with_name("jurisdictions.toml").read_text("utf-8"))
_CANONICAL: dict[str, str] = (
    {name: name for name in (*_LISTS["countries"], *_LISTS["states"])}
    | {name: f"{name}, Canada" for name in _LISTS["provinces"]}
    | {name: f"{name}, Australia" for name in _LISTS["australian"]}
    | _LISTS["names"]
)
_BY_LOWER = {name.lower(): canonical for name, canonical in _CANONICAL.items()}
_NAME = re.compile(
    r"(?<![\w.])(?:"
    + "|".join(re.escape(name) for name in sorted(_CANONICAL, key=len, reverse=True))
    + r")(?!\w)",
    re.IGNORECASE,
)
_WHOLES = {"Canada", "United States", "United Kingdom", "Australia", "China"}

_ADJECTIVES = {
    name.lower()
    for name in _CANONICAL
    if name.endswith(("ese", "ish", "ian", "an", "ch"))
    and name not in (*_LISTS["countries"], *_LISTS["states"], *_LISTS["provinces"])
}

_OF = r"(?:of|in|within|from|for|under|applicable (?:in|to)|prevailing in|in force in|in effect in)"
_SORT = (
    r"(?:(?:internal |local |sovereign |special )?"
    r"(?:states?|commonwealth|province|territory|republic|federal republic|kingdom|county|city"
    r"|country|principality|grand duchy|special administrative region|region)"
    r"(?:(?:'s)? of| ?/ ?commonwealth of)? (?:the )?)"
)
_BEFORE = re.compile(
    rf"\b(?:laws?|statutes|legislation|code|rules)(?: [\w']+){{0,4}}? {_OF} ?(?:the )?(?:said )?"
    rf"{_SORT}{{0,2}}$",
    re.IGNORECASE,
)
_AFTER = re.compile(
    r"(?:(?:'s|'|,)? ?(?:state|substantive|domestic|internal|contract|federal|civil|common|"
    r"corporate|applicable|governing)?,? ?)(?:laws?|statutes|code)\b",
    re.IGNORECASE,
)
_UNLIKE = re.compile(
    r"(?:exclud\w+|exclusion|exclusive of|conflicts?|without|other than|except"
    r"|notwithstanding|regardless|irrespective|"
    r"convention|disregard\w*|not be governed|any other|would|formed|organized|incorporated"
    r"|a corporation)\b[^.;]{0,120}$",
    re.IGNORECASE,
)
_GOVERNS = re.compile(
    rf"\b(?:govern|constru|interpret)\w*|\bconflicts? of laws?, of (?:the )?{_SORT}?$",
    re.IGNORECASE,
)
_JOINED = re.compile(
    r",? ?(?:and|or|&|/|,)? ?(?:/ ?)?(?:of )?(?:the )?(?:laws of )?(?:the )?" + f"{_SORT}?$", re.I
)
_OTHER = re.compile(
    r"\blaws? of (?:the )?(?P<name>(?:(?:State|Province|Republic|Kingdom|Commonwealth|Emirate|"
    r"Canton|Territory) of )[A-Z][\w'-]*(?: [A-Z][\w'-]*){0,3})"
)
_PLACE = re.compile(
    r"\blaws? of (?:the )?(?P<name>(?:state|country|jurisdiction|province)s? (?:in|where"
    r"|of)\b[^.;,]{3,60})"
)


def find_jurisdictions(plain: Plain) -> list[Value]:
    """Every jurisdiction whose law governs, in the order of the text."""
    text = plain.text
    marks = list(_NAME.finditer(text))
    chosen: list[re.Match[str]] = []
    for mark in marks:
        if not _excluded(text, mark.start()) and _is_law(text, mark, chosen):
            chosen.append(mark)
    if not chosen:
        places = [
            m
            for m in marks
            if not _excluded(text, m.start()) and m.group().lower() not in _ADJECTIVES
        ]
        chosen = places if len({jurisdiction(m.group()) for m in places}) == 1 else []
    found: dict[str, Value] = {}
    for mark in chosen:
        name = jurisdiction(mark.group()) or mark.group()
        found.setdefault(name, plain.value("jurisdiction", "stated", name, *mark.span()))
    return [found[name] for name in _without_wholes(found)] or _unknown(plain)


def jurisdiction(name: str) -> str | None:
    """The canonical name of a jurisdiction; None for an unknown one."""
    return _BY_LOWER.get(" ".join(name.lower().split()))


def jurisdictions(text: str) -> list[str]:
    """The canonical names in a short text, without jurisdictions that contain another one."""
    found = dict.fromkeys(
        _BY_LOWER[" ".join(m.group().lower().split())] for m in _NAME.finditer(text)
    )
    return _without_wholes(found)


def _without_wholes(names: Collection[str]) -> list[str]:
    """`Ontario and the federal laws of Canada applicable therein` is Ontario."""
    return [n for n in names if not (n in _WHOLES and any(_within(o, n) for o in names))]


def _is_law(text: str, mark: re.Match[str], chosen: list[re.Match[str]]) -> bool:
    before = text[max(0, mark.start() - 120) : mark.start()]
    if _BEFORE.search(before) or _AFTER.match(text, mark.end(), mark.end() + 40):
        return True
    if not chosen:
        return False
    between = text[chosen[-1].end() : mark.start()]
    return len(between) < 60 and _JOINED.fullmatch(between) is not None


def _excluded(text: str, at: int) -> bool:
    before = text[max(0, at - 160) : at]
    unlike = _UNLIKE.search(before)
    return unlike is not None and not _GOVERNS.search(before, unlike.start())


def _within(name: str, whole: str) -> bool:
    if whole == "United States":
        return name in _LISTS["states"]
    if whole == "China":
        return name in ("Hong Kong", "Macau")
    if whole == "United Kingdom":
        return name in ("England and Wales", "Scotland", "Northern Ireland")
    return name.endswith(f", {whole}")


def _unknown(plain: Plain) -> list[Value]:
    """An unknown jurisdiction by its name in the contract, or a redacted one."""
    if named := (_OTHER.search(plain.text) or _PLACE.search(plain.text)):
        name = named["name"].strip()
        return [plain.value("jurisdiction", "stated", name, *named.span("name"))]
    return [plain.value("jurisdiction", "redacted", None, *gap) for gap in list(gaps(plain))[:1]]
