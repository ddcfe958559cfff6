"""Numbers as lists and notes show them: 4, iv, D, fourth, (a) without its brackets.

The names of the formats are those of ECMA-376 part 1, 17.18.59 (ST_NumberFormat).
"""

from __future__ import annotations

from collections.abc import Callable

_ROMAN = (
    *((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l")),
    *((40, "xl"), (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i")),
)
_SMALL = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
_NOTE_MARKS = "*†‡§"
_LARGEST = 32_767  # what Word counts up to; a hostile start must not write a million letters


def roman(number: int) -> str:
    """4 is iv."""
    text = ""
    for value, letters in _ROMAN:
        text += letters * (number // value)
        number %= value
    return text


def letters(number: int) -> str:
    """1 is a, 27 is aa, 28 is bb: Word repeats the letter where a sheet would count on."""
    times, rest = divmod(number - 1, 26)
    return chr(97 + rest) * (times + 1)


def cardinal(number: int) -> str:
    """21 is twenty-one."""
    if number < 20:
        return _SMALL[number]
    if number < 100:
        tens, rest = divmod(number, 10)
        return _TENS[tens - 2] + (f"-{_SMALL[rest]}" if rest else "")
    size, name = (100, "hundred") if number < 1000 else (1000, "thousand")
    times, rest = divmod(number, size)
    return f"{cardinal(times)} {name}" + (f" {cardinal(rest)}" if rest else "")


def ordinal_word(number: int) -> str:
    """21 is twenty-first."""
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
    """21 is 21st."""
    teen = number // 10 % 10 == 1
    return f"{number}{'th' if teen else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


def _note_mark(number: int) -> str:
    times, mark = divmod(number - 1, len(_NOTE_MARKS))
    return _NOTE_MARKS[mark] * (times + 1)


def _circled(number: int) -> str:
    return chr(0x2460 + number - 1) if number <= 20 else str(number)


def _full_width(number: int) -> str:
    return "".join(chr(0xFF10 + int(digit)) for digit in str(number))


_CHINESE = "零一二三四五六七八九"


def _chinese(number: int) -> str:
    """Up to 99 as it is spoken, beyond that digit by digit."""
    if number > 99:
        return "".join(_CHINESE[int(digit)] for digit in str(number))
    tens, rest = divmod(number, 10)
    if not tens:
        return _CHINESE[rest]
    return f"{'' if tens == 1 else _CHINESE[tens]}十{_CHINESE[rest] if rest else ''}"


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
    "hex": lambda n: f"{n:X}",
    "chicago": _note_mark,
    "numberInDash": lambda n: f"- {n} -",
    "decimalEnclosedCircle": _circled,
    "decimalFullWidth": _full_width,
    "chineseCounting": _chinese,
    "chineseCountingThousand": _chinese,
    "ideographDigital": _chinese,
    "japaneseCounting": _chinese,
    "taiwaneseCountingThousand": _chinese,
    "none": lambda _: "",
    "bullet": lambda _: "",
}


def numeral(number: int, name: str) -> str:
    """A number from 0 on in the format of that name; in one that is not known, in figures."""
    if name.startswith("0"):  # a custom format is written as its first numbers: 001, 002, 003
        return f"{number:0{min(9, len(name.partition(',')[0].strip()))}}"
    if not 0 <= number <= _LARGEST or (number == 0 and name not in ("none", "bullet")):
        return str(number)
    return _FORMATS.get(name, str)(number)
