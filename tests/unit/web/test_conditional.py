"""ETags and conditions, in every form of the standard."""

from __future__ import annotations

import pytest

from shared.errors import PreconditionFailed
from shared.web.conditional import etag_of, is_current, require_match

TAG = etag_of(b"one")


def test_equal_bytes_have_equal_tags() -> None:
    assert TAG == etag_of(b"one") != etag_of(b"two")
    assert (TAG[0], TAG[-1], len(TAG)) == ('"', '"', 34)


@pytest.mark.parametrize(
    ("header", "known"),
    [
        (None, False),
        ("", False),
        ("*", True),
        (TAG, True),
        (f"W/{TAG}", True),
        (f'"a", W/"b",{TAG}', True),
        ('"a, b", "c"', False),
        (TAG.strip('"'), False),
    ],
)
def test_if_none_match_accepts_weak_and_several_tags(header: str | None, known: bool) -> None:
    assert is_current(TAG, header) is known


@pytest.mark.parametrize("header", [None, "*", TAG, f'"a", {TAG}'])
def test_a_matching_condition_allows_the_change(header: str | None) -> None:
    require_match(TAG, header)


@pytest.mark.parametrize("header", ["", '"a"', f"W/{TAG}", TAG.strip('"')])
def test_an_old_or_weak_tag_refuses_the_change(header: str) -> None:
    with pytest.raises(PreconditionFailed, match="Read it again") as caught:
        require_match(TAG, header, "doc_1")
    assert caught.value.headers == {"etag": TAG}
    assert caught.value.document == "doc_1"


def test_if_match_compares_the_state_part() -> None:
    seen, now = etag_of(b"page 1", b"read"), etag_of(b"page 2", b"read")
    assert not is_current(now, seen)
    require_match(now, seen)
    require_match(now, f'"another", {seen}')
    for other in (etag_of(b"page 2", b"ended"), etag_of(b"page 2"), f"W/{now}"):
        with pytest.raises(PreconditionFailed):
            require_match(now, other)
