"""Patterns that Python 3.11 before 3.11.5 matches wrongly are in no module."""

import re

from tests.architecture.source import python_files
from tests.support import ROOT

POSSESSIVE_GROUP = re.compile(r"(?<!\\)(?:\)|[A-Z_]\})(?:[*+?]|\{{1,2}[\d,]+\}{1,2})\+")


def test_no_group_has_a_possessive_quantifier() -> None:
    """Debian 12 has Python 3.11.2, where such a group may keep half a match."""
    assert POSSESSIVE_GROUP.search(r"(?:ab?c)*+")
    assert not POSSESSIVE_GROUP.search(r"(?>(?:ab?c)*)")
    wrong = [
        f"{path}:{number}"
        for path in python_files("services", "shared")
        for number, line in enumerate((ROOT / path).read_text("utf-8").splitlines(), 1)
        if POSSESSIVE_GROUP.search(line)
    ]
    assert not wrong, wrong
