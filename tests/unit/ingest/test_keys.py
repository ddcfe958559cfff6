"""Keys: made once, shown once, kept as hashes; sessions die with their parent."""

from __future__ import annotations

import hashlib
import re
import threading
from datetime import timedelta

import pytest

from services.ingest import keys as keys_module
from services.ingest.domain import now_utc
from services.ingest.keys import NewKey
from services.ingest.store import keys as table
from shared.errors import Conflict, InvalidRequest, NotAllowed, NotFound
from shared.web.scopes import ALL
from tests.unit.ingest.house import House


def test_a_key_opens_and_any_other_does_not(any_house: House) -> None:
    """Only the exact secret of a living key tells who asks."""
    new = any_house.keys.create("acme", "Ann")
    actor = any_house.keys.check(new.secret)
    assert actor is not None
    assert (actor.tenant, actor.name, actor.key_id) == ("acme", "Ann", new.key.id)
    other = any_house.keys.create("acme", "Bob")
    mixed = f"sp_{new.key.id}_{other.secret.rpartition('_')[2]}"
    for wrong in ("", "sp_", new.secret[:-1], new.secret + "x", new.secret.swapcase(), mixed):
        assert any_house.keys.check(wrong) is None


def test_only_a_hash_is_stored(house: House) -> None:
    """The secret stands in no file of the service, and the hash is of 256 random bits."""
    new = house.keys.create("default", "Ann")
    secret = new.secret.rpartition("_")[2]
    assert len(secret) == 43
    assert re.fullmatch(r"[A-Za-z0-9]+", secret)
    assert new.key.digest == hashlib.sha256(secret.encode()).digest()
    house.service.store.close()
    files = [path.read_bytes() for path in house.folder.rglob("*") if path.is_file()]
    assert any(new.key.digest in data for data in files)
    assert not any(secret.encode() in data for data in files)
    assert secret not in repr(new)


def test_a_revoked_key_is_dead_at_once_and_stays_listed(any_house: House) -> None:
    """Revoking ends a key; the list still says who had it."""
    new = any_house.keys.create("acme", "Ann")
    any_house.keys.revoke(new.key.id, "acme")
    assert any_house.keys.check(new.secret) is None
    [key] = any_house.keys.list("acme")
    first_time = key.revoked
    assert first_time is not None
    any_house.keys.revoke(new.key.id, "acme")
    assert any_house.keys.list("acme")[0].revoked == first_time


def test_a_tenant_can_not_touch_the_keys_of_another(any_house: House) -> None:
    """Another tenant's key is as unknown as one that never was."""
    new = any_house.keys.create("acme", "Ann")
    with pytest.raises(NotFound):
        any_house.keys.revoke(new.key.id, "other")
    assert any_house.keys.check(new.secret) is not None
    assert any_house.keys.list("other") == []


def test_no_first_key_where_there_is_one(any_house: House) -> None:
    """There is no default password: only an empty database gives a first key."""
    assert any_house.keys.first_key() is None  # the client of the house has a key already


def test_of_many_that_start_at_once_one_makes_the_first_key(any_house: House) -> None:
    """Several processes that start on an empty folder make one first key between them."""
    with any_house.service.store.write() as session:
        session.execute(table.delete())
    made: list[NewKey | None] = []
    threads = [
        threading.Thread(target=lambda: made.append(any_house.keys.first_key())) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [first] = [new for new in made if new is not None]
    assert len(made) == 8
    any_house.keys.revoke(first.key.id)
    assert any_house.keys.first_key() is None


def test_a_session_stands_for_its_key_and_dies_with_it(any_house: House) -> None:
    """A browser acts in the name of the key, and only as long as that key lives."""
    parent = any_house.keys.create("acme", "Ann")
    actor = any_house.keys.check(parent.secret)
    assert actor is not None
    session = any_house.keys.open_session(actor)
    other = any_house.keys.open_session(actor)
    known = any_house.keys.check(session.secret)
    assert known is not None
    assert (known.tenant, known.name, known.key_id) == ("acme", "Ann", parent.key.id)
    assert known.session_id == session.key.id
    any_house.keys.close_session(known)
    assert any_house.keys.check(session.secret) is None
    assert any_house.keys.check(other.secret) is not None
    any_house.keys.revoke(parent.key.id, "acme")
    assert any_house.keys.check(other.secret) is None


def test_a_session_ends_by_itself(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """After its time a session opens nothing, and a day later it is forgotten."""
    actor = house.keys.check(house.keys.create("default", "Ann").secret)
    assert actor is not None
    session = house.keys.open_session(actor)
    assert session.key.expires is not None
    late = session.key.expires + timedelta(seconds=1)
    monkeypatch.setattr(keys_module, "now_utc", lambda: late)
    assert house.keys.check(session.secret) is None
    monkeypatch.setattr(keys_module, "now_utc", lambda: late + timedelta(days=2))
    house.keys.open_session(actor)
    monkeypatch.setattr(keys_module, "now_utc", lambda: late - timedelta(minutes=1))
    assert house.keys.check(session.secret) is None


def test_a_session_makes_neither_keys_nor_sessions(house: House) -> None:
    """What a browser's script could steal must not outlive the session."""
    parent = house.keys.create("default", "Ann")
    actor = house.keys.check(parent.secret)
    assert actor is not None
    session = house.keys.check(house.keys.open_session(actor).secret)
    assert session is not None
    with pytest.raises(NotAllowed):
        house.keys.open_session(session)
    with pytest.raises(NotAllowed):
        house.keys.create("default", "Eve", by=session)
    with pytest.raises(NotAllowed):
        house.keys.revoke(parent.key.id, "default", by=session)
    with pytest.raises(NotAllowed):
        house.keys.close_session(actor)


def test_the_last_use_is_noted(house: House) -> None:
    """An operator sees which keys nobody uses, to within five minutes."""
    new = house.keys.create("default", "Ann")
    before = now_utc()
    house.keys.check(new.secret)
    noted = {key.id: key.last_used for key in house.keys.list()}[new.key.id]
    assert noted is not None
    assert before <= noted <= now_utc()
    house.keys.check(new.secret)
    assert {key.id: key.last_used for key in house.keys.list()}[new.key.id] == noted


@pytest.mark.parametrize(
    ("tenant", "name"),
    [
        *(("", "Ann"), ("../x", "Ann"), ("a/b", "Ann"), ("a" * 65, "Ann")),
        *(("acme", ""), ("acme", " "), ("acme", "a\nb"), ("acme", "x" * 101), ("acme", "a\udcff")),
    ],
)
def test_names_that_can_not_be_used(house: House, tenant: str, name: str) -> None:
    """A tenant becomes a folder and a name stands in every log line, so both are held to a form."""
    with pytest.raises(InvalidRequest):
        house.keys.create(tenant, name)


@pytest.mark.parametrize("same", ["Ann", " Ann ", "ANN", "Zoe\u0308"])
def test_two_living_keys_of_a_tenant_never_have_one_name(any_house: House, same: str) -> None:
    """The audit names the key, so a name stands for one key until that key is revoked."""
    name = "Zo\u00eb" if same.startswith("Z") else "Ann"
    first = any_house.keys.create("acme", name)
    with pytest.raises(Conflict, match=first.key.id):
        any_house.keys.create("acme", same)
    any_house.keys.create("other", same)
    any_house.keys.revoke(first.key.id, "acme")
    any_house.keys.create("acme", same)


def test_of_many_that_want_one_name_at_once_one_gets_it(any_house: House) -> None:
    """The name is taken within the transaction that makes the key."""
    refused: list[Conflict] = []

    def make() -> None:
        try:
            any_house.keys.create("acme", "Ann")
        except Conflict as error:
            refused.append(error)

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 7
    assert len(any_house.keys.list("acme")) == 1


def test_a_key_has_the_scopes_that_it_was_made_with_and_so_have_its_sessions(
    any_house: House,
) -> None:
    """All, unless fewer are chosen; a session can do what its key can."""
    assert any_house.keys.create("acme", "Ann").key.scopes == ALL
    few = any_house.keys.create("acme", "Bob", scopes=["documents:read", "review"])
    actor = any_house.keys.check(few.secret)
    assert actor is not None
    assert actor.scopes == {"documents:read", "review"}
    session = any_house.keys.check(any_house.keys.open_session(actor).secret)
    assert session is not None
    assert session.session_id
    assert session.scopes == actor.scopes
    assert {key.name: key.scopes for key in any_house.keys.list("acme")} == {
        "Ann": ALL,
        "Bob": {"documents:read", "review"},
    }


def test_nobody_gives_what_he_has_not(any_house: House) -> None:
    """A key that may make keys makes none that may do more; by default as much as itself."""
    boss = any_house.keys.create("acme", "Boss", scopes=["admin", "review"])
    actor = any_house.keys.check(boss.secret)
    with pytest.raises(NotAllowed, match="documents:read"):
        any_house.keys.create("acme", "Ann", scopes=["review", "documents:read"], by=actor)
    with pytest.raises(InvalidRequest, match="an empty list"):
        any_house.keys.create("acme", "Ann", scopes=[], by=actor)
    assert any_house.keys.create("acme", "Ann", by=actor).key.scopes == {"admin", "review"}
    assert [key.name for key in any_house.keys.list("acme")] == ["Boss", "Ann"]


def test_keys_of_before_there_were_scopes_may_do_all(any_house: House) -> None:
    """So that nobody is locked out by an upgrade."""
    new = any_house.keys.create("acme", "Ann", scopes=["review"])
    with any_house.service.store.write() as session:
        session.execute(table.update().values(scopes=None))
    actor = any_house.keys.check(new.secret)
    assert actor is not None
    assert actor.scopes == ALL
