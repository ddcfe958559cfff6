"""Papers of a company that no corpus has, generated from `letters.toml`.

Patterns of folds 4 and 5 are never trained on. They are other types of papers, not other wordings.
"""

from __future__ import annotations

import random
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PATTERNS = Path(__file__).with_name("letters.toml")
EACH = 24
"""Papers from one pattern."""

_CHOICE = re.compile(r"\{([^{}]*)\}")
_SLOT = re.compile(r"<(\w+)>")
_FIRST = "Anna Ben Carla David Emma Farid Grace Hugo Ines Jack Kim Lena Marco Nora Omar Paula"
_LAST = "Adler Brown Chen Dubois Evans Fischer Garcia Hansen Ito Jones Khan Lopez Meyer Novak"
_ORGS = "Northwind Bluebird Halden Orchard Silverline Kestrel Meridian Falk Summit Lakeside Atlas"
_FORMS = "Ltd. Inc. GmbH LLC plc Corp."
_CITIES = "London Dublin Boston Leeds Austin Toronto Oslo Berlin Denver Sydney Utrecht Bristol"
_STREETS = "Mill Lane,High Street,Station Road,Park Avenue,Church Street,Elm Street,Harbour Way"
_ITEMS = (
    "office chair,water pump,desk lamp,gear box,printer paper,coffee machine,steel bolts,"
    "solar panel,phone case,garden hose,LED display,valve set"
)
_MONTHS = "January February March April May June July August September October November December"


@dataclass(frozen=True)
class Pattern:
    """One type of paper; `drawn` is the least and the largest number of lines."""

    name: str
    kind: str
    fold: int
    drawn: tuple[int, int]
    opens: tuple[str, ...]
    stock: tuple[str, ...]
    closes: tuple[str, ...]


def patterns() -> list[Pattern]:
    """Return every pattern."""
    return [
        Pattern(
            name,
            values["kind"],
            values["fold"],
            (values["drawn"][0], values["drawn"][1]),
            tuple(values["opens"]),
            tuple(values["stock"] * values.get("times", 1)),
            tuple(values.get("closes", ())),
        )
        for name, values in tomllib.loads(PATTERNS.read_text(encoding="utf-8")).items()
    ]


def papers(seed: int = 11) -> Iterator[tuple[Pattern, int, str]]:
    """Yield (pattern, number, text) of every paper, the same for the same seed."""
    for pattern in patterns():
        draw = random.Random(f"{seed} {pattern.name}")
        for number in range(EACH):
            yield pattern, number, paper(pattern, draw)


def paper(pattern: Pattern, draw: random.Random) -> str:
    """Return one paper."""
    most = min(pattern.drawn[1], len(pattern.stock))
    some = sorted(
        draw.sample(range(len(pattern.stock)), draw.randint(min(pattern.drawn[0], most), most))
    )
    if draw.random() < 0.4:
        draw.shuffle(some)
    between = "\n" if pattern.name.endswith(".csv") or draw.random() < 0.5 else "\n\n"
    lines = (*pattern.opens, *(pattern.stock[i] for i in some), *pattern.closes)
    return between.join(written(line, draw) for line in lines) + "\n"


def written(line: str, draw: random.Random) -> str:
    """Return a line of a pattern with all its slots filled."""
    while _CHOICE.search(line):
        line = _CHOICE.sub(lambda result: draw.choice(result[1].split("|")), line)
    return _SLOT.sub(lambda result: invented(result[1], draw), line)


def invented(slot: str, draw: random.Random) -> str:
    """Return a random value for a slot of a pattern."""
    first, last = draw.choice(_FIRST.split()), draw.choice(_LAST.split())
    day, month, year = draw.randint(1, 28), draw.randrange(12), draw.randint(1996, 2025)
    figure = str(draw.randint(5, 999))
    if draw.random() < 0.4:
        figure = f"{draw.randint(1, 99)},{draw.randint(100, 999)}"
    name = _MONTHS.split()[month]
    dates = (f"{day} {name} {year}", f"{name} {day}, {year}", f"{month + 1}/{day}/{year}")
    made = {
        "first": first,
        "last": last,
        "name": f"{first} {last}",
        "org": f"{draw.choice(_ORGS.split())} {draw.choice(_FORMS.split())}",
        "city": draw.choice(_CITIES.split()),
        "street": f"{draw.randint(1, 240)} {draw.choice(_STREETS.split(','))}",
        "item": draw.choice(_ITEMS.split(",")),
        "date": draw.choice(dates),
        "iso": f"{year}-{month + 1:02}-{day:02}",
        "year": str(year),
        "n": str(draw.choice((draw.randint(10, 59), draw.randint(100, 99_999)))),
        "money": f"{draw.choice(('$', 'EUR ', '£', ''))}{figure}.{draw.randint(0, 99):02}",
        "phone": f"+{draw.randint(1, 49)} {draw.randint(20, 999)} {draw.randint(10**5, 10**6)}",
        "mail": f"{first.lower()}.{last.lower()}@example.com",
        "iban": "GB" + " ".join(str(draw.randint(1000, 9999)) for _ in range(4)),
    }
    return made[slot]
