"""Numbers as lists and notes show them: 4, iv, D, fourth.

Format names are those of ECMA-376 part 1, 17.18.59 (ST_NumberFormat).
"""

from __future__ import annotations

from collections.abc import Callable

_ROMAN = (
    *((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l")),
    *((40, "xl"), (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i")),
)
SMALL = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen"),
    *("eighteen", "nineteen"),
)
TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_ORDINALS = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth",
    "nine": "ninth", "twelve": "twelfth",
}  # fmt: skip
_NOTE_MARKS = "*†‡§"
_LARGEST = 32_767  # Word's maximum; a hostile start must not write a million letters


def roman(number: int) -> str:
    """Return iv for 4."""
    text = ""
    for value, letters in _ROMAN:
        text += letters * (number // value)
        number %= value
    return text


def letters(number: int) -> str:
    """Return a for 1, aa for 27, bb for 28: Word repeats the letter."""
    times, remainder = divmod(number - 1, 26)
    return chr(97 + remainder) * (times + 1)


def cardinal(number: int) -> str:
    """Return twenty-one for 21."""
    if number < 20:
        return SMALL[number]
    if number < 100:
        tens, remainder = divmod(number, 10)
        return TENS[tens - 2] + (f"-{SMALL[remainder]}" if remainder else "")
    size, name = (100, "hundred") if number < 1000 else (1000, "thousand")
    times, remainder = divmod(number, size)
    return f"{cardinal(times)} {name}" + (f" {cardinal(remainder)}" if remainder else "")


def ordinal_word(number: int) -> str:
    """Return twenty-first for 21."""
    words = cardinal(number)
    head, joint, last = words[: words.rfind("-") + 1], "", words[words.rfind("-") + 1 :]
    if not head:
        head, joint, last = words.rpartition(" ")
    if last.endswith("y"):
        ordinal = last[:-1] + "ieth"
    else:
        ordinal = _ORDINALS.get(last) or last + "th"
    return f"{head}{joint}{ordinal}"


def ordinal(number: int) -> str:
    """Return 21st for 21."""
    teen = number // 10 % 10 == 1
    return f"{number}{'th' if teen else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


def _note_mark(number: int) -> str:
    times, mark = divmod(number - 1, len(_NOTE_MARKS))
    return _NOTE_MARKS[mark] * (times + 1)


_FORMATS: dict[str, Callable[[int], str]] = {
    "decimal": str,
    "decimalZero": lambda n: f"{n:02}",
    "upperRoman": lambda n: roman(n).upper(),
    "lowerRoman": roman,
    "upperLetter": lambda n: letters(n).upper(),
    "lowerLetter": letters,
    "ordinal": ordinal,
    "cardinalText": lambda n: cardinal(n).capitalize(),
    "ordinalText": lambda n: ordinal_word(n).capitalize(),
    "chicago": _note_mark,
    "numberInDash": lambda n: f"- {n} -",
    "none": lambda _: "",
    "bullet": lambda _: "",
}


def numeral(number: int, name: str) -> str:
    """Return a number in a format; unknown formats give digits."""
    if name.startswith("0"):  # a custom format is written as its first numbers: 001, 002, 003
        return f"{number:0{min(9, len(name.partition(',')[0].strip()))}}"
    if not 0 <= number <= _LARGEST or (number == 0 and name not in ("none", "bullet")):
        return str(number)
    return _FORMATS.get(name, str)(number)
