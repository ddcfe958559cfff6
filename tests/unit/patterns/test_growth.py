"""Every pattern that runs over documents takes time in proportion to the text, whatever it is."""

from __future__ import annotations

import ast
import importlib
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from services.triage.statements import model
from shared.documents.spreadsheets import delimited
from tests.support import ROOT

pytestmark = pytest.mark.slow

parser, compiler = (importlib.import_module(f"re._{part}") for part in ("parser", "compiler"))

PACKAGES = (
    *("services/extraction", "services/triage", "services/ingest", "services/escalation"),
    *("services/review", "services/cli", "services/proxy", "shared"),
)
SHORT = (
    *("services.triage.reading.", "services.triage.statements.", "services.triage.relations."),
    *("shared.documents.office.html", "shared.titles"),
)
"""Modules that look for patterns in short pieces alone: labels, lines and cells of at most 1,000
characters, styles of at most 2,000, names of at most 200. There the square of the length will do.
"""
FEWEST = 450
"""Patterns that are found at least; with fewer the search for them is broken."""

RUNS = (
    *("1.", "A-", "A'", "1/", "(", "A, ", "$1,", "(1)", "_", '"A" ', "A ", "1 ", "a. ", "A.B. "),
    *('"', '" ', "\n", " ", "\t", " \n", "a", "A", "1", ".", ",", "-", "*", "'", "x", "a_", "a-"),
    *("a b ", "A\n", "a\n", "[", "<", "</a", "@", "of ", "Inc ", "March ", "one ", "1,", "&"),
)
"""Units of hostile texts, beside those that are made from each pattern."""
ENDS = ("\0", "7z", "\n")
"""So that a match that hopes for more has to give up: no letter, others than before, a new line."""
LETTERS = " \n\t1aAxX.,;:-_*()[]{}<>\"'/&$%@#=\\\u201c\u0430"
CHOICES = 2
"""Texts that are made of each part of a pattern."""
LONG = 20
"""Times from which on a repeat is long."""

LINEAR, SQUARE = 8.0, 32.0
"""The most by which four times the text may multiply the time: between 4 and 16, 16 and 64."""
FIRST_LOOK, SECOND_LOOK, LONGEST_PIECE, LONGEST_TEXT = 150, 600, 1_000, 150_000
"""Characters of the shorter text, at first and to be sure, and the most of the longer one."""
MEASURABLE = 0.002
"""Seconds of the longer text; what takes less is measured with longer texts."""


# --- the patterns -------------------------------------------------------------------------------


def modules() -> Iterator[Any]:
    for package in PACKAGES:
        path = ROOT / package
        for file in sorted(path.rglob("*.py")):
            parts = file.relative_to(ROOT).with_suffix("").parts
            if "migrations" not in parts and parts[-1] != "__main__":
                yield importlib.import_module(".".join(parts).removesuffix(".__init__"))


def held(value: Any) -> Iterator[re.Pattern[Any]]:
    """Yield the patterns in a value of a module."""
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, dict):
        yield from held(list(value.values()))
    elif isinstance(value, list | tuple | set | frozenset):
        for one in value:
            yield from held(one)
    elif is_dataclass(value) and not isinstance(value, type):
        yield from held([getattr(value, field.name) for field in fields(value)])


def written(module: Any, tree: ast.AST) -> Iterator[tuple[str, re.Pattern[Any]]]:
    """Yield the functions of `re` that a module calls with a pattern, and the pattern."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(ast.Attribute(ast.Name("re"), method), [pattern, *others]):
                flags = [one.value for one in node.keywords if one.arg == "flags"]
                flags += [one for one in others if ast.unparse(one).startswith("re.")]
                try:
                    known = [eval(ast.unparse(one), vars(module)) for one in (pattern, *flags)]
                except NameError:  # a parameter: the module holds what the function made of it
                    continue
                if isinstance(known[0], str | bytes):
                    yield method, re.compile(*known)


@cache
def patterns() -> dict[tuple[str, re.Pattern[Any]], set[str]]:
    """Find all patterns, each with its module, and the methods by which it is used there."""
    found: dict[tuple[str, re.Pattern[Any]], set[str]] = defaultdict(set)
    for module in modules():
        source = Path(module.__file__).read_text("utf-8")
        tree = ast.parse(source if "import re" in source else "")
        used = defaultdict(set)
        for node in ast.walk(tree):
            match node:
                case ast.Attribute(ast.Name(name), method):
                    used[name].add(method)
        for name, value in list(vars(module).items()):
            for pattern in held(value):
                found[module.__name__, pattern] |= used[name]
        for method, pattern in written(module, tree):
            found[module.__name__, pattern] |= {method} - {"compile"}
    for delimiter in delimited.DELIMITERS:  # made when a file is read
        found[delimited.__name__, delimited._pattern(delimiter)] |= {"finditer"}
    return found


# --- hostile texts ------------------------------------------------------------------------------

Hostile = tuple[str, str, str]
"""The beginning of a text, its repeated part, and its end."""


def sample(tree: Any, choice: int) -> str:
    """Make a text that matches a parsed pattern, or nearly; `choices` varies it."""
    made = []
    for op, value in tree:
        match str(op):
            case "LITERAL":
                made.append(chr(value))
            case "NOT_LITERAL" | "ANY" | "IN":
                known = members(op, value)
                made.append(known[choice % len(known)])
            case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
                made.append(sample(value[2], choice) * max(value[0], choice % 2))
            case "SUBPATTERN":
                made.append(sample(value[-1], choice))
            case "ATOMIC_GROUP":
                made.append(sample(value, choice))
            case "BRANCH":
                made.append(sample(value[1][choice % len(value[1])], choice))
    return "".join(made)


MEMBERS: dict[str, str] = {}


def members(op: Any, value: Any) -> str:
    key = f"{op} {value}"
    if key not in MEMBERS:
        one = compiler.compile(parser.SubPattern(parser.State(), [(op, value)]))
        MEMBERS[key] = "".join(filter(one.fullmatch, LETTERS)) or "?"
    return MEMBERS[key]


def repeats(tree: Any, before: Any = ()) -> Iterator[tuple[Any, Any, Any]]:
    """Yield each long repeat of a pattern: its prefix, the repeated part, its suffix."""
    tree = list(tree)
    for place, (op, value) in enumerate(tree):
        way = [*before, *tree[:place]]
        parts: list[Any] = []
        match str(op):
            case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
                if value[1] > LONG:
                    yield way, value[2], tree[place + 1 :]
                parts = [value[2]]
            case "SUBPATTERN" | "ASSERT" | "ASSERT_NOT":
                parts = [value[-1]]
            case "ATOMIC_GROUP":
                parts = [value]
            case "BRANCH":
                parts = value[1]
        for part in parts:
            yield from repeats(part, way)


def hostile(pattern: re.Pattern[Any]) -> Iterator[Hostile]:
    """Yield texts that may take a pattern long: each of its repeated parts many times."""
    yield from (("", unit, end) for unit in RUNS for end in ENDS)
    for way, body, rest in repeats(parser.parse(pattern.pattern, pattern.flags)):
        for choice in range(CHOICES):
            start, unit = sample(way, choice), sample(body, choice)
            for end in ENDS if unit else ():
                yield start, unit, end
                yield "", start + unit, end
                yield start, unit, sample(rest, choice)[:-1] + end


# --- how long they take -------------------------------------------------------------------------

Run = Callable[[Any], object]


def seconds(run: Run, text: str | bytes, times: int = 1) -> float:
    least = float("inf")
    for _ in range(times):
        began = time.thread_time()
        run(text)
        least = min(least, time.thread_time() - began)
    return least


def runs_of(pattern: re.Pattern[Any], used: set[str]) -> Iterator[Run]:
    """Yield the uses of a pattern: searching, full matching, or both."""
    if not used or used - {"match", "fullmatch"}:
        yield lambda text: sum(1 for _ in pattern.finditer(text))
    if not used or used & {"match", "fullmatch"}:
        yield pattern.fullmatch


def made(pattern: re.Pattern[Any], text: Hostile, length: int) -> str | bytes:
    """Return a hostile text of about this length, for a pattern of letters or of bytes."""
    begins, unit, ends = text
    whole = begins + unit * (length // len(unit) + 1) + ends
    return whole if isinstance(pattern.pattern, str) else whole.encode("latin-1", "replace")


def grows(pattern: re.Pattern[Any], run: Run, text: Hostile, most: float, longest: int) -> bool:
    """Return whether four times the text takes over `most` times as long, up to a length."""
    length, times = FIRST_LOOK, 1
    while 4 * length <= longest:
        short, long = (seconds(run, made(pattern, text, n), times) for n in (length, 4 * length))
        if long <= most * short:
            return False
        if times > 1 and long > MEASURABLE:
            return True
        length = min(SECOND_LOOK, longest // 4) if times == 1 else 4 * length
        times = 5
    return False


def slow(module: str, pattern: re.Pattern[Any], used: set[str]) -> Hostile | None:
    most, longest = (SQUARE, LONGEST_PIECE) if module.startswith(SHORT) else (LINEAR, LONGEST_TEXT)
    for text in dict.fromkeys(hostile(pattern)):
        if any(grows(pattern, run, text, most, longest) for run in runs_of(pattern, used)):
            return text
    return None


def test_the_patterns_are_found() -> None:
    assert len(patterns()) >= FEWEST


@pytest.mark.parametrize("package", PACKAGES)
def test_no_pattern_takes_more_than_its_share(package: str) -> None:
    name = package.replace("/", ".")
    found = [
        f"{module} {pattern.pattern[:80]!r} on {text}"
        for (module, pattern), used in patterns().items()
        if f"{module}.".startswith(f"{name}.") and (text := slow(module, pattern, used))
    ]
    assert not found, "\n".join(found)


COMPANY = r"\b(?:(?:{word}|of|and|&|the),?\s{{1,3}}){{0,7}}?{word},?\s{{1,3}}(?:Inc|Corp)\b"
"""Froze a worker for 29 seconds with a text of 60 kB, with the first word below."""


@pytest.mark.parametrize(
    ("pattern", "is_slow"),
    [
        (COMPANY.format(word=r"[A-Z0-9][\w&.'/!-]*"), True),
        (COMPANY.format(word=r"[A-Z0-9][\w&.'/!-]{0,60}+"), False),
        (r"\d{1,2}\s*,?\s*\d{4}", True),
        (r"\d{1,2}\s*+(?:,\s*+)?\d{4}", False),
        (r"(?:[a-z]+\.)+$", True),
        (r"[^\n]+", False),
    ],
)
def test_slow_patterns_are_detected(pattern: str, is_slow: bool) -> None:
    found = slow("", re.compile(pattern), {"finditer"})
    assert bool(found) == is_slow, found


@pytest.mark.parametrize("unit", ["per ", ".", "*", "1,"])
def test_long_cells_of_a_csv_take_no_more_than_their_share(unit: str) -> None:
    def taken(length: int) -> float:
        cell = unit * (length // len(unit))
        data = f'Balance sheet,2023,2022\n"Cash {cell}","{cell}",1\n'.encode()
        return seconds(lambda _: list(model._read_csv(BytesIO(data), "a")), "", 3)

    assert taken(40_000) <= LINEAR * max(taken(10_000), MEASURABLE)
