"""Tags of answers: what the headers mean, in every form that the standard has."""

from __future__ import annotations

import pytest

from shared.errors import PreconditionFailed
from shared.web.conditional import etag_of, is_known, require_match

TAG = etag_of(b"one")


def test_a_tag_names_bytes() -> None:
    """The same bytes have the same tag, in quotes; others have another."""
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
def test_what_a_reader_knows(header: str | None, known: bool) -> None:
    """Any of the tags will do, weak ones too; what is no tag names nothing."""
    assert is_known(TAG, header) is known


@pytest.mark.parametrize("header", [None, "*", TAG, f'"a", {TAG}'])
def test_a_change_to_what_is_known(header: str | None) -> None:
    """Without a condition, or with one that holds."""
    require_match(TAG, header)


@pytest.mark.parametrize("header", ["", '"a"', f"W/{TAG}", TAG.strip('"')])
def test_a_change_to_what_has_changed(header: str) -> None:
    """A weak tag is no promise that nothing has changed; the error says what the tag is now."""
    with pytest.raises(PreconditionFailed, match="read it again") as caught:
        require_match(TAG, header, "doc_1")
    assert caught.value.headers == {"etag": TAG}
    assert caught.value.document == "doc_1"


def test_a_change_depends_on_the_state_alone_where_a_tag_names_one() -> None:
    """What is seen may be another: a reader gets it, and a change is made all the same."""
    seen, now = etag_of(b"page 1", b"read"), etag_of(b"page 2", b"read")
    assert not is_known(now, seen)
    require_match(now, seen)
    require_match(now, f'"another", {seen}')
    for other in (etag_of(b"page 2", b"ended"), etag_of(b"page 2"), f"W/{now}"):
        with pytest.raises(PreconditionFailed):
            require_match(now, other)
