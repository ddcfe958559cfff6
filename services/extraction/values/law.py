"""Whose law governs: jurisdictions by one name each, whatever a contract calls them."""

from __future__ import annotations

import re
from collections.abc import Collection

from services.extraction.values.value import Plain, Value, gaps

_STATES = """Alabama|Alaska|Arizona|Arkansas|California|Colorado|Connecticut|Delaware|
District of Columbia|Florida|Georgia|Guam|Hawaii|Idaho|Illinois|Indiana|Iowa|Kansas|Kentucky|
Louisiana|Maine|Maryland|Massachusetts|Michigan|Minnesota|Mississippi|Missouri|Montana|Nebraska|
Nevada|New Hampshire|New Jersey|New Mexico|New York|North Carolina|North Dakota|Ohio|Oklahoma|
Oregon|Pennsylvania|Puerto Rico|Rhode Island|South Carolina|South Dakota|Tennessee|Texas|Utah|
Vermont|Virginia|Washington|West Virginia|Wisconsin|Wyoming"""
_PROVINCES = """Alberta|British Columbia|Manitoba|New Brunswick|Newfoundland and Labrador|
Nova Scotia|Ontario|Prince Edward Island|Quebec|Saskatchewan"""
_AUSTRALIAN = "New South Wales|Queensland|South Australia|Tasmania|Victoria|Western Australia"
_COUNTRIES = """Argentina|Australia|Austria|Bahamas|Bahrain|Bangladesh|Barbados|Belgium|Belize|
Bermuda|Bolivia|Brazil|British Virgin Islands|Bulgaria|Cambodia|Canada|Cayman Islands|Chile|China|
Colombia|Costa Rica|Croatia|Cyprus|Czech Republic|Denmark|Dominican Republic|Ecuador|Egypt|
El Salvador|England|Estonia|Finland|France|Germany|Ghana|Gibraltar|Greece|Guatemala|Guernsey|
Honduras|Hong Kong|Hungary|Iceland|India|Indonesia|Ireland|Isle of Man|Israel|Italy|Jamaica|Japan|
Jersey|Jordan|Kazakhstan|Kenya|Kuwait|Latvia|Lebanon|Liberia|Liechtenstein|Lithuania|Luxembourg|
Macau|Malaysia|Malta|Marshall Islands|Mauritius|Mexico|Monaco|Mongolia|Morocco|Netherlands|
New Zealand|Nicaragua|Nigeria|Northern Ireland|Norway|Oman|Pakistan|Panama|Papua New Guinea|
Paraguay|Peru|Philippines|Poland|Portugal|Qatar|Romania|Russia|Saudi Arabia|Scotland|Serbia|
Seychelles|Singapore|Slovakia|Slovenia|South Africa|South Korea|Spain|Sri Lanka|Sweden|
Switzerland|Taiwan|Tanzania|Thailand|Trinidad and Tobago|Tunisia|Turkey|Uganda|Ukraine|
United Arab Emirates|United States|Uruguay|Venezuela|Vietnam|Wales|Zambia|Zimbabwe"""


def _names(listed: str) -> list[str]:
    return listed.replace("\n", "").split("|")


_CANONICAL = (
    {name: name for name in (*_names(_COUNTRIES), *_names(_STATES))}
    | {name: f"{name}, Canada" for name in _names(_PROVINCES)}
    | {name: f"{name}, Australia" for name in _names(_AUSTRALIAN)}
    | {
        "England and Wales": "England and Wales",
        "England & Wales": "England and Wales",
        "England": "England and Wales",
        "Wales": "England and Wales",
        "English": "England and Wales",
        "Massachussets": "Massachusetts",
        "Massachusets": "Massachusetts",
        "Pennsylvannia": "Pennsylvania",
        "Québec": "Quebec, Canada",
        "Washington, D.C.": "District of Columbia",
        "Washington D.C.": "District of Columbia",
        "Republic of Georgia": "Georgia (country)",
        "People's Republic of China": "China",
        "Peoples Republic of China": "China",
        "PRC": "China",
        "P.R.C.": "China",
        "P.R. China": "China",
        "PR China": "China",
        "Mainland China": "China",
        "Chinese": "China",
        "Hong Kong SAR": "Hong Kong",
        "Republic of China": "Taiwan",
        "Republic of Korea": "South Korea",
        "Korea": "South Korea",
        "Republic of Ireland": "Ireland",
        "Irish": "Ireland",
        "Holland": "Netherlands",
        "The Netherlands": "Netherlands",
        "Dutch": "Netherlands",
        "German": "Germany",
        "French": "France",
        "Italian": "Italy",
        "Spanish": "Spain",
        "Swiss": "Switzerland",
        "Swedish": "Sweden",
        "Danish": "Denmark",
        "Norwegian": "Norway",
        "Finnish": "Finland",
        "Belgian": "Belgium",
        "Austrian": "Austria",
        "Japanese": "Japan",
        "Israeli": "Israel",
        "Indian": "India",
        "Brazilian": "Brazil",
        "Mexican": "Mexico",
        "Scottish": "Scotland",
        "Scots": "Scotland",
        "Canadian": "Canada",
        "Australian": "Australia",
        "Russian Federation": "Russia",
        "Macao": "Macau",
        "Viet Nam": "Vietnam",
        "United Kingdom": "United Kingdom",
        "U.K.": "United Kingdom",
        "UK": "United Kingdom",
        "Great Britain": "United Kingdom",
        "United States of America": "United States",
        "U.S.A.": "United States",
        "USA": "United States",
        "U.S.": "United States",
    }
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
    and name not in (*_names(_COUNTRIES), *_names(_STATES), *_names(_PROVINCES))
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
    """Every jurisdiction whose law is said to govern, in the order of the text."""
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
    """The one name of a jurisdiction, or None for one that is not known."""
    return _BY_LOWER.get(" ".join(name.lower().split()))


def jurisdictions(text: str) -> list[str]:
    """Every jurisdiction that a short text names, by its one name, wholes left out."""
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
        return name in _names(_STATES)
    if whole == "China":
        return name in ("Hong Kong", "Macau")
    if whole == "United Kingdom":
        return name in ("England and Wales", "Scotland", "Northern Ireland")
    return name.endswith(f", {whole}")


def _unknown(plain: Plain) -> list[Value]:
    """A jurisdiction by the name that the contract gives it, or one that was taken out."""
    if named := (_OTHER.search(plain.text) or _PLACE.search(plain.text)):
        name = named["name"].strip()
        return [plain.value("jurisdiction", "stated", name, *named.span("name"))]
    return [plain.value("jurisdiction", "redacted", None, *gap) for gap in list(gaps(plain))[:1]]
