"""Find parties and their defined terms, in clauses with either or both."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from services.extraction.values.law import jurisdiction, jurisdictions
from services.extraction.values.value import Plain, Value, gaps

_ROLES = """adviser|advisor|artist|athlete|celebrity|entities|entity|partnership|talent|advertiser|
affiliate|agency|agent|bank|bondholder|borrower|buyer|carrier|client|company|consultant|
contractor|corporation|customer|dealer|developer|distributor|employee|employer|endorser|
executive|franchisee|franchisor|fund|grantee|grantor|guarantor|holder|host|insured|insurer|
investor|issuer|landlord|lender|lessee|lessor|licensee|licensor|manager|manufacturer|marketer|
member|operator|owner|partner|principal|producer|professional|promoter|provider|publisher|
purchaser|receiver|recipient|remarketer|representative|reseller|sales agent|seller|servicer|
shareholder|shipper|sponsor|stockholder|subcontractor|sub-contractor|sublicensee|subscriber|
supplier|tenant|transporter|trustee|user|vendor|you|we"""
_ROLE = re.compile(
    rf"(?:the )?(?:[\w&/-]+ ){{0,2}}(?:{_ROLES.replace(chr(10), '')})"
    r"|(?:the )?(?:first "
    rf"|second )?part(?:y|ies) (?:of the )?"
    r"(?:[A-Z]|first part|second part|one|two|[1-9])|the [\w-]+(?: [\w-]+)?",
    re.IGNORECASE,
)
_COLLECTIVE = re.compile(
    r"(?:each|both|either|the|and|or|a|any|jointly|together|collectively|individually|hereinafter|"
    r"referred|to|as|herein|is|are|may|be|sometimes|shall|of|them|foregoing|party|parties|"
    r"called|known|hereto|in|by|reference|singularly|respectively|on|behalf|itself|not|"
    r"[\W_])+",
    re.IGNORECASE,
)
_QUOTED = re.compile(r'"(?P<term>(?![\s),.;])[^"]{1,80})"?|\(the (?P<bare>[A-Z][\w -]{1,40})\)')
_CUT_TERM = re.compile(
    r'(?P<term>[^"(]{1,80})"(?=[\s),.;]|$)'
)  # a clause that begins inside quotes
_COLLECTION = re.compile(r"\b(?:collectively|together|each|individually|jointly)\b", re.IGNORECASE)
_LEAD = re.compile(
    r"(?:(?:by )?(?:and )?(?:between|among(?:st)?)|by|and|or|of|with|to|on the one hand|"
    r"on the other hand|the undersigned)\b[ ]*|\(?(?:i{1,3}|iv|v|\d{1,2}|[a-e])\)[ ]*"
    r"|[-,;:.() \"'][ ]*|\d{1,2}\. +",
    re.IGNORECASE,
)
_SUFFIX = (
    r"(?:inc|incorporated|llc|l\.l\.c|ltd|limited|corp|corporation|co|company|l\.?p|llp|plc"
    r"|gmbh|ag|"
    r"s\.?a|n\.?a|n\.?v|b\.?v|ab|pty|oy|a/s|s\.?r\.?l|s\.?p\.?a|trust|bank|fund|association|foundation|"
    r"university|partners|partnership|group|holdings?|sarl|kg|kk|bhd)\b\.?"
)
_IS_FIRM = re.compile(rf"\b{_SUFFIX}$", re.IGNORECASE)
_TAIL = re.compile(r",?(?: (?:an?|the|and|of))$", re.IGNORECASE)
_BESIDE_FIRM = re.compile(
    r"\b(?:officer|signatory|director|chairman|president|attorney-in-fact) |, and ", re.IGNORECASE
)
"""After it a firm's name begins: `Chief Financial Officer Acme, Inc.`, `Miami, and Acme, Inc.`"""
_TWO_FIRMS = re.compile(
    r"\b(?:inc|llc|ltd|limited|corp|corporation|l\.?p|plc|gmbh)\b\.?,? (?:and|&(?! co\b)) ",
    re.IGNORECASE,
)
_FORM = re.compile(r"(?:corporation|company|partnership|association|bank|trust)(?: and)?$")
"""The end of a description of a firm, in lower case: `Ohio limited liability company`."""
_NOT_NAME = re.compile(
    r"(?:[dfa]/?[kb]/?a|as|known|formerly|hereinafter|Dear)\b"
    r"|.*\b(?:(?:are|is|as|and|not|sometimes|called|hereto)$|Dear )",
)
_DESCRIPTION = re.compile(
    r",? (?:an?|the) (?:[\w.-]+ ){0,5}(?:corporation|company|partnership|individual|bank|trust|"
    r"association|organi[sz]ation|entity|citizen|resident|division|subsidiary|body)\b"
    r"|,? (?:an?|the) (?:state|company|corporation|limited)\b"
    r"|,? (?:with|having|located|whose|organi[sz]ed|incorporated (?:in|under)|registered|residing|"
    r"formed|existing|acting|duly|on behalf|as (?:the )?|in its|its|hereinafter|herein|"
    r"individually|doing|at \d|of \d|hereby|established|formerly|which)\b"
    r"|,? division of\b"
    rf"| ?\((?![A-Z][\w. ]{{1,25}}\) (?:[\w.]+,? ){{0,3}}{_SUFFIX})| ?[;\"\[]",
    re.IGNORECASE,
)
_SENTENCE = re.compile(
    r"\b(?:referred to|shall|may (?:each )?be|means|together|collectively|individually|jointly|"
    r"each|both|formerly|if you|in such|in this|respective|affiliates|business|part(?:y|ies))\b",
    re.IGNORECASE,
)
_NEAR = 400  # most characters between a name and its defined term
_MOST = 300  # most names and terms of a document that are paired: each is compared with all others


def find_parties(plain: Plain) -> list[Value]:
    """The parties of a clause: names with their defined terms, or either alone.

    A clause about all parties (`each a "Party"`) has none.
    """
    text = plain.text
    found: list[Value] = []
    at = 0
    if cut := _CUT_TERM.match(text):
        at = cut.end()
        term = cut["term"].strip(" ,.;:()")
        if term and not _collective(term):
            found.append(plain.value("party", "stated", None, *cut.span("term"), role=_role(term)))
    for quoted in _QUOTED.finditer(text, at):
        term = (quoted["term"] or quoted["bare"]).strip(" ,.;:()")
        span = quoted.span("term" if quoted["term"] else "bare")
        before = text[at : quoted.start()]
        if _collective(term) or _COLLECTION.search(before[-60:]):
            if name := _name(plain, at, quoted.start()):
                found.append(name)
        elif name := _name(plain, at, quoted.start()):
            found.append(replace(name, role=_role(term)))
        elif term:
            found.append(plain.value("party", "stated", None, *span, role=_role(term)))
        at = quoted.end()
    if (not found and not _COLLECTION.search(text)) or at == 0:
        found += _bare(plain, at)
    return found or _hidden(plain)


def _bare(plain: Plain, at: int) -> list[Value]:
    """A clause without quotes: a name, or a term that is defined elsewhere."""
    text = plain.text[at:]
    words = text.strip(" ,.;:()'\"[]")
    if not words or _COLLECTIVE.fullmatch(words):
        return []
    firm = _IS_FIRM.search(words) and " " in words and not words.lower().startswith("the ")
    if _ROLE.fullmatch(words) and not firm:
        start = at + text.index(words)
        return [plain.value("party", "stated", None, start, start + len(words), role=_role(words))]
    end = len(plain.text)
    second = _TWO_FIRMS.search(plain.text, at)
    parts = [(at, second.end()), (second.end(), end)] if second and firm else [(at, end)]
    return [name for part in parts if (name := _name(plain, *part))]


def _name(plain: Plain, start: int, end: int) -> Value | None:
    text = plain.text
    while lead := _LEAD.match(text, start, end):
        start = lead.end()
    if cut := _DESCRIPTION.search(text, start, end):
        end = cut.start()
    raw = _TAIL.sub("", text[start:end].rstrip(" ,;:'-)"), 1)
    if _IS_FIRM.search(raw):
        start, raw = _without_others(start, raw)
    end = start + len(raw)
    if not re.search(r"[^\W\d_]{2}|\d[^\W\d_]", raw) or _COLLECTIVE.fullmatch(raw):
        return None
    if raw[0].islower() and not _IS_FIRM.search(raw) and " " in raw and not raw.islower():
        return None
    if re.fullmatch(r"[xX]{4,}", raw) or (_SENTENCE.search(raw) and not _IS_FIRM.search(raw)):
        return None
    if _NOT_NAME.match(raw) or _describes(raw):
        return None
    return plain.value("party", "stated", raw, start, end)


def _without_others(start: int, firm: str) -> tuple[int, str]:
    """Where a firm's name begins, and the name: without a signatory or an address before it."""
    for beside in list(_BESIDE_FIRM.finditer(firm))[-1:]:
        before = firm[: beside.start()]
        if (
            beside[0] != ", and "
            or before[0].islower()
            or re.search(r"\d", before)
            or _IS_FIRM.search(before)
        ):
            return start + beside.end(), firm[beside.end() :]
    return start, firm


def _describes(words: str) -> bool:
    """Whether words are a firm's form or a place: `Ohio corporation`, `company`, `China`."""
    if jurisdiction(words):
        return True
    form = _FORM.search(words)
    return form is not None and (words.islower() or bool(jurisdictions(words)))


def _hidden(plain: Plain) -> list[Value]:
    return [plain.value("party", "redacted", None, *gap) for gap in list(gaps(plain))[:1]]


def _role(term: str) -> str:
    return re.sub(r"^the ", "", " ".join(term.split()).strip(" ,.;:()\"'"), flags=re.IGNORECASE)


def _collective(term: str) -> bool:
    return (
        re.fullmatch(r"(?:a |the )?part(?:y|ies)|(?:the )?[\w ]+ parties", term.strip(), re.I)
        is not None
    )


# --- a whole document ---------------------------------------------------------------------------


def key(name: str) -> str:
    """Letters and digits of a name: the same for `ACME, Inc.` and `Acme Inc`."""
    return re.sub(r"[\W_]+", "", name.lower())


def is_role(term: str) -> bool:
    """Whether a defined term is the part that a party plays: `Licensee`."""
    return _ROLE.fullmatch(term) is not None


def pair_parties(values: Iterable[Value]) -> list[Value]:
    """Each party of a document once, with its defined term.

    A term belongs to the name around it, otherwise to the one that it shortens, otherwise to the
    one shortly before it. Terms without a name come after the names. Names and terms after the
    first 300 are left out.

    Args:
        values: the surest first; of overlapping names the first stays.
    """
    stated = [value for value in values if value.status == "stated"]
    first = set(sorted(map(_place, stated))[:_MOST])
    ordered = [value for value in stated if _place(value) in first][:_MOST]
    ordered = sorted(_without_overlaps(ordered), key=_place)
    parties: dict[str, Value] = {}
    terms: list[tuple[Value, Value | None]] = []
    last: Value | None = None
    for value in ordered:
        if value.value is None or _is_term(value, last, terms, parties, ordered):
            terms.append((value, last))
            continue
        last = value
        known = parties.setdefault(key(value.value), value)
        if value.role and not known.role:
            parties[key(value.value)] = replace(known, role=value.role)
    free: dict[str, Value] = {}
    given = {key(value.role) for value in ordered if value.role}
    for value, before in terms:
        term = value.role or _role(value.value or "")
        if owner := _owner(term, value, before, parties):
            parties[owner] = replace(parties[owner], role=parties[owner].role or term)
        elif value.value is None or key(term) in given:
            free[key(term)] = value if value.value else free.get(key(term), value)
    had = {key(party.role or "") for party in parties.values()}
    return [*parties.values(), *(value for term, value in free.items() if term not in had)]


def _without_overlaps(values: Iterable[Value]) -> list[Value]:
    """The first firm of overlapping names, or the first name. The others give it their terms."""
    kept: list[Value] = []
    for value in sorted(values, key=lambda value: not _is_firm(value)):
        around = next((v for v in kept if v.value and value.value and _overlap(v, value)), None)
        same = around and key(around.value or "") == key(value.value or "")
        if around is None or same or (_lies_in(value, around) and not _is_firm(value)):
            kept.append(value)
        elif value.role:
            kept.append(replace(around, value=None, role=value.role))
    return kept


def _owner(term: str, value: Value, before: Value | None, parties: dict[str, Value]) -> str | None:
    """The party that a term belongs to, by its words and the name before it."""
    for party, known in parties.items():
        if (known.start or 0) <= (value.start or 0) < (known.end or 0):
            return party
    last = key(before.value or "") if before and _near(before, value) else None
    short = [party for party, known in parties.items() if _shortens(term, known.value or "")]
    if short and last not in short:
        return next((party for party in short if not parties[party].role), short[0])
    return last if last and not parties[last].role else None


def _is_term(
    value: Value,
    last: Value | None,
    terms: list[tuple[Value, Value | None]],
    parties: dict[str, Value],
    values: list[Value],
) -> bool:
    """Whether a bare name is only the short form of another party."""
    name = value.value or ""
    firm = _IS_FIRM.search(name) and " " in name
    if value.role:
        return False
    if any(other.role and key(other.role) == key(name) for other in values):
        return True
    if firm or key(name) in parties:
        return False
    if any(_lies_in(value, other) for other in values):
        return True
    long = (v.value for v in values if v.value and (_IS_FIRM.search(v.value) or " " not in name))
    if any(_shortens(name, other) for other in long):
        return True
    if last is None or not _near(last, value) or parties[key(last.value or "")].role:
        return False
    if any(before is last for _term, before in terms):
        return False
    words, before = name.split(), (last.value or "").split()
    return len(words) == 1 or (len(words) == 2 and words[0].lower() == before[0].lower())


def _lies_in(value: Value, other: Value) -> bool:
    if not other.value or key(other.value) == key(value.value or ""):
        return False
    (start, end), (first, last) = _place(value), _place(other)
    return first <= start and end <= last


def _is_firm(value: Value) -> bool:
    return _IS_FIRM.search(value.value or "") is not None


def _overlap(one: Value, other: Value) -> bool:
    (start, end), (first, last) = _place(one), _place(other)
    return start < last and first < end


def _near(last: Value, value: Value) -> bool:
    return 0 <= (value.start or 0) - (last.end or 0) <= _NEAR


def _place(value: Value) -> tuple[int, int]:
    return value.start or 0, value.end or 0


def _shortens(term: str, name: str) -> bool:
    short, long = key(term), key(name)
    if not short or not long or short == long:
        return False
    if _ROLE.fullmatch(term):
        return False
    if long.startswith(short) and len(short) > 2:
        return True
    words = [w for w in re.findall(r"\w+", name) if not re.fullmatch(_SUFFIX, w, re.IGNORECASE)]
    initials = "".join(w[0] for w in words if w.lower() not in ("of", "the", "and", "for"))
    if len(short) > 2 and initials.lower().startswith(short):
        return True
    return short == initials.lower() or (short in long and len(short) > 3)
