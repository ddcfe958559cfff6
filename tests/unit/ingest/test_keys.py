"""Keys and sessions."""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress
from datetime import timedelta

import pytest

from services.ingest import keys as keys_module
from services.ingest.domain import now_utc
from services.ingest.keys import KeyRing, NewKey
from services.ingest.store import keys as table
from shared.errors import Conflict, InvalidRequest, NotAllowed, NotFound, NotSignedIn, SignInAgain
from shared.web import auth
from shared.web.auth import Actor
from shared.web.scopes import ALL
from tests.unit.ingest.builders import IngestService, parallel


def test_only_the_exact_secret_is_valid(any_ingest: IngestService) -> None:
    new = any_ingest.keys.create("acme", "Ann")
    actor = any_ingest.keys.check(new.secret)
    assert actor is not None
    assert (actor.tenant, actor.name, actor.key_id) == ("acme", "Ann", new.key.id)
    other = any_ingest.keys.create("acme", "Bob")
    mixed = f"sp_{new.key.id}_{other.secret.rpartition('_')[2]}"
    for wrong in ("", "sp_", new.secret[:-1], new.secret + "x", new.secret.swapcase(), mixed):
        assert any_ingest.keys.check(wrong) is None


def test_only_a_hash_is_stored(ingest: IngestService) -> None:
    new = ingest.keys.create("default", "Ann")
    secret = new.secret.rpartition("_")[2]
    assert len(secret) == 43
    assert re.fullmatch(r"[A-Za-z0-9]+", secret)
    assert new.key.digest == hashlib.sha256(secret.encode()).digest()
    ingest.service.store.close()
    files = [path.read_bytes() for path in ingest.folder.rglob("*") if path.is_file()]
    assert any(new.key.digest in data for data in files)
    assert not any(secret.encode() in data for data in files)
    assert secret not in repr(new)


def test_a_revoked_key_is_invalid_and_stays_listed(any_ingest: IngestService) -> None:
    new = any_ingest.keys.create("acme", "Ann")
    any_ingest.keys.revoke(new.key.id, "acme")
    assert any_ingest.keys.check(new.secret) is None
    [key] = any_ingest.keys.list("acme")
    first_time = key.revoked
    assert first_time is not None
    any_ingest.keys.revoke(new.key.id, "acme")
    assert any_ingest.keys.list("acme")[0].revoked == first_time


def test_keys_of_another_tenant_are_not_found(any_ingest: IngestService) -> None:
    new = any_ingest.keys.create("acme", "Ann")
    with pytest.raises(NotFound):
        any_ingest.keys.revoke(new.key.id, "other")
    assert any_ingest.keys.check(new.secret) is not None
    assert any_ingest.keys.list("other") == []


def test_a_link_opens_one_session_and_nothing_else(any_ingest: IngestService) -> None:
    keys = any_ingest.keys
    new = keys.create("acme", "Ann", scopes=["review"])
    link = keys.open_link(found(keys, new.secret))
    holder = found(keys, link.secret)
    assert (holder.tenant, holder.name, holder.scopes) == ("acme", "Ann", frozenset())
    with pytest.raises(NotAllowed):
        keys.open_link(holder)
    session = found(keys, keys.open_session(holder).secret)
    assert (session.name, session.key_id, session.scopes) == (
        "Ann",
        new.key.id,
        frozenset({"review"}),
    )
    with pytest.raises(NotAllowed):
        keys.open_link(session)
    assert keys.check(link.secret) is None
    with pytest.raises(NotSignedIn):
        keys.open_session(holder)
    assert [key.name for key in keys.list("acme")] == ["Ann"]


def test_of_parallel_sign_ins_by_one_link_one_succeeds(any_ingest: IngestService) -> None:
    keys = any_ingest.keys
    link = keys.open_link(found(keys, keys.create("acme", "Ann").secret))
    holder = found(keys, link.secret)
    opened: list[NewKey] = []

    def sign_in() -> None:
        with suppress(NotSignedIn):
            opened.append(keys.open_session(holder))

    parallel(sign_in, 8)
    assert len(opened) == 1


@pytest.mark.parametrize("end", ["revoked", "old"])
def test_a_link_ends_with_its_key_and_after_an_hour(any_ingest: IngestService, end: str) -> None:
    keys = any_ingest.keys
    new = keys.create("acme", "Ann")
    link = keys.open_link(found(keys, new.secret))
    if end == "revoked":
        keys.revoke(new.key.id)
    else:
        past = now_utc() - timedelta(seconds=1)
        with any_ingest.service.store.write() as session:
            session.execute(table.update().where(table.c.id == link.key.id).values(expires=past))
    assert keys.check(link.secret) is None


def found(keys: KeyRing, secret: str) -> Actor:
    actor = keys.check(secret)
    assert actor is not None
    return actor


def test_a_temporary_key_ends_with_its_block(any_ingest: IngestService) -> None:
    with any_ingest.keys.temporary("acme") as secret:
        actor = any_ingest.keys.check(secret)
        assert actor is not None
        assert actor.tenant == "acme"
        assert any_ingest.keys.list("acme") == []
    assert any_ingest.keys.check(secret) is None


def test_a_session_acts_as_its_key_and_ends_with_it(any_ingest: IngestService) -> None:
    parent = any_ingest.keys.create("acme", "Ann")
    actor = any_ingest.keys.check(parent.secret)
    assert actor is not None
    session = any_ingest.keys.open_session(actor)
    other = any_ingest.keys.open_session(actor)
    known = any_ingest.keys.check(session.secret)
    assert known is not None
    assert (known.tenant, known.name, known.key_id) == ("acme", "Ann", parent.key.id)
    assert known.session_id == session.key.id
    any_ingest.keys.close_session(known)
    assert any_ingest.keys.check(session.secret) is None
    assert any_ingest.keys.check(other.secret) is not None
    any_ingest.keys.revoke(parent.key.id, "acme")
    assert any_ingest.keys.check(other.secret) is None


def test_a_session_expires(ingest: IngestService, monkeypatch: pytest.MonkeyPatch) -> None:
    actor = ingest.keys.check(ingest.keys.create("default", "Ann").secret)
    assert actor is not None
    session = ingest.keys.open_session(actor)
    assert session.key.expires is not None
    late = session.key.expires + timedelta(seconds=1)
    monkeypatch.setattr(keys_module, "now_utc", lambda: late)
    assert ingest.keys.check(session.secret) is None
    monkeypatch.setattr(keys_module, "now_utc", lambda: late + timedelta(days=2))
    ingest.keys.open_session(actor)
    monkeypatch.setattr(keys_module, "now_utc", lambda: late - timedelta(minutes=1))
    assert ingest.keys.check(session.secret) is None


def test_an_older_session_creates_neither_keys_nor_sessions(
    ingest: IngestService, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = ingest.keys.create("default", "Ann")
    actor = ingest.keys.check(parent.secret)
    assert actor is not None
    session = ingest.keys.check(ingest.keys.open_session(actor).secret)
    assert session is not None
    assert ingest.keys.create("default", "Bob", by=session).key.created_by == "Ann"
    monkeypatch.setattr(auth, "FRESH", timedelta(0))
    with pytest.raises(NotAllowed):
        ingest.keys.open_session(session)
    with pytest.raises(SignInAgain):
        ingest.keys.create("default", "Eve", by=session)
    with pytest.raises(SignInAgain):
        ingest.keys.revoke(parent.key.id, "default", by=session)
    with pytest.raises(NotAllowed):
        ingest.keys.close_session(actor)


def test_the_last_use_is_recorded(ingest: IngestService) -> None:
    new = ingest.keys.create("default", "Ann")
    before = now_utc()
    ingest.keys.check(new.secret)
    noted = {key.id: key.last_used for key in ingest.keys.list()}[new.key.id]
    assert noted is not None
    assert before <= noted <= now_utc()
    ingest.keys.check(new.secret)
    assert {key.id: key.last_used for key in ingest.keys.list()}[new.key.id] == noted


@pytest.mark.parametrize(
    ("tenant", "name"),
    [
        *(("", "Ann"), ("../x", "Ann"), ("a/b", "Ann"), ("a" * 65, "Ann")),
        *(("acme", ""), ("acme", " "), ("acme", "a\nb"), ("acme", "x" * 101), ("acme", "a\udcff")),
    ],
)
def test_invalid_names_are_refused(ingest: IngestService, tenant: str, name: str) -> None:
    with pytest.raises(InvalidRequest):
        ingest.keys.create(tenant, name)


@pytest.mark.parametrize("same", ["Ann", " Ann ", "ANN", "Zoe\u0308"])
def test_valid_keys_of_a_tenant_have_different_names(any_ingest: IngestService, same: str) -> None:
    name = "Zo\u00eb" if same.startswith("Z") else "Ann"
    first = any_ingest.keys.create("acme", name)
    with pytest.raises(Conflict, match=first.key.id):
        any_ingest.keys.create("acme", same)
    any_ingest.keys.create("other", same)
    any_ingest.keys.revoke(first.key.id, "acme")
    any_ingest.keys.create("acme", same)


def test_parallel_requests_for_a_name_create_one_key(any_ingest: IngestService) -> None:
    refused: list[Conflict] = []

    def make() -> None:
        try:
            any_ingest.keys.create("acme", "Ann")
        except Conflict as error:
            refused.append(error)

    parallel(make, 8)
    assert len(refused) == 7
    assert len(any_ingest.keys.list("acme")) == 1


def test_sessions_have_the_scopes_of_their_key(any_ingest: IngestService) -> None:
    assert any_ingest.keys.create("acme", "Ann").key.scopes == ALL
    few = any_ingest.keys.create("acme", "Bob", scopes=["documents:read", "review"])
    actor = any_ingest.keys.check(few.secret)
    assert actor is not None
    assert actor.scopes == {"documents:read", "review"}
    session = any_ingest.keys.check(any_ingest.keys.open_session(actor).secret)
    assert session is not None
    assert session.session_id
    assert session.scopes == actor.scopes
    assert {key.name: key.scopes for key in any_ingest.keys.list("acme")} == {
        "Ann": ALL,
        "Bob": {"documents:read", "review"},
    }


def test_a_key_grants_only_its_own_scopes(any_ingest: IngestService) -> None:
    boss = any_ingest.keys.create("acme", "Boss", scopes=["admin", "review"])
    actor = any_ingest.keys.check(boss.secret)
    with pytest.raises(NotAllowed, match="documents:read"):
        any_ingest.keys.create("acme", "Ann", scopes=["review", "documents:read"], by=actor)
    with pytest.raises(InvalidRequest, match="an empty list"):
        any_ingest.keys.create("acme", "Ann", scopes=[], by=actor)
    assert any_ingest.keys.create("acme", "Ann", by=actor).key.scopes == {"admin", "review"}
    assert [key.name for key in any_ingest.keys.list("acme")] == ["Boss", "Ann"]


def later(monkeypatch: pytest.MonkeyPatch, **time: float) -> None:
    moment = now_utc() + timedelta(**time)
    monkeypatch.setattr(keys_module, "now_utc", lambda: moment)


def test_a_key_and_its_sessions_expire(
    any_ingest: IngestService, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = any_ingest.keys
    new = keys.create("acme", "Ann", expires=now_utc() + timedelta(hours=2))
    session = keys.open_session(found(keys, new.secret))
    assert session.key.expires == new.key.expires
    later(monkeypatch, hours=3)
    assert keys.check(new.secret) is None
    assert keys.check(session.secret) is None
    assert keys.sessions("acme") == []
    assert keys.create("acme", "Ann").key.expires is None  # the name is free again
    with pytest.raises(InvalidRequest, match="past"):
        keys.create("acme", "Bob", expires=now_utc())
    with pytest.raises(Conflict, match="expired"):
        keys.rotate(new.key.id, "acme")


def test_a_rotated_key_has_two_secrets_until_the_old_one_ends(
    any_ingest: IngestService, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = any_ingest.keys
    old = keys.create("acme", "Ann", scopes=["review"])
    before = found(keys, old.secret)
    new = keys.rotate(old.key.id, "acme", overlap=timedelta(hours=1))
    assert found(keys, old.secret) == found(keys, new.secret) == before
    later(monkeypatch, hours=2)
    assert keys.check(old.secret) is None
    assert found(keys, new.secret) == before
    newest = keys.rotate(old.key.id, "acme", overlap=timedelta(0))
    assert keys.check(new.secret) is None
    assert found(keys, newest.secret) == before
    assert [key.name for key in keys.list("acme")] == ["Ann"]


def test_sessions_end_with_the_old_secret(
    any_ingest: IngestService, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = any_ingest.keys
    old = keys.create("acme", "Ann")
    session = keys.open_session(found(keys, old.secret))
    new = keys.rotate(old.key.id, overlap=timedelta(hours=1))
    fresh = keys.open_session(found(keys, new.secret))
    later(monkeypatch, hours=2)
    assert keys.check(session.secret) is None
    assert keys.check(fresh.secret) is not None


def test_a_rotated_key_and_its_sessions_get_other_addresses(any_ingest: IngestService) -> None:
    keys = any_ingest.keys
    old = keys.create("acme", "Ann", addresses=["10.1.0.0/16"])
    session = keys.open_session(found(keys, old.secret))
    assert keys.rotate(old.key.id).key.addresses == ("10.1.0.0/16",)
    new = keys.rotate(old.key.id, addresses=["192.0.2.7"])
    for secret in (new.secret, session.secret):
        assert found(keys, secret).addresses == ("192.0.2.7/32",)
    limited = found(keys, keys.create("acme", "Admin", addresses=["192.0.2.0/24"]).secret)
    with pytest.raises(NotAllowed, match="addresses"):
        keys.rotate(old.key.id, addresses=["10.1.0.0/16"], by=limited)
    assert keys.rotate(old.key.id, addresses=[], by=limited).key.addresses == ("192.0.2.0/24",)
    with pytest.raises(InvalidRequest):
        keys.rotate(old.key.id, addresses=["localhost"])
    assert keys.rotate(old.key.id, addresses=[]).key.addresses == ()


def test_a_key_rotates_only_what_it_could_grant(any_ingest: IngestService) -> None:
    keys = any_ingest.keys
    owner = keys.create("acme", "Owner")
    admin = found(keys, keys.create("acme", "Admin", scopes=["admin"]).secret)
    with pytest.raises(NotAllowed, match="documents:read"):
        keys.rotate(owner.key.id, "acme", by=admin)
    with pytest.raises(NotFound):
        keys.rotate(owner.key.id, "other")
    assert keys.check(owner.secret) is not None


def test_a_limited_key_grants_only_its_own_addresses(any_ingest: IngestService) -> None:
    keys = any_ingest.keys
    limited = keys.create("acme", "Admin", addresses=["10.1.0.0/16", "2001:db8::1"])
    admin = found(keys, limited.secret)
    assert admin.addresses == ("10.1.0.0/16", "2001:db8::1/128")
    assert keys.create("acme", "same", by=admin).key.addresses == admin.addresses
    inner = keys.create("acme", "inner", addresses=["10.1.2.0/24"], by=admin)
    assert found(keys, keys.open_session(found(keys, inner.secret)).secret).addresses == (
        "10.1.2.0/24",
    )
    for wider in ("10.0.0.0/8", "192.0.2.7", "2001:db8::/32"):
        with pytest.raises(NotAllowed, match="addresses"):
            keys.create("acme", "wider", addresses=[wider], by=admin)
    free = keys.create("acme", "free")
    with pytest.raises(NotAllowed, match="addresses"):
        keys.rotate(free.key.id, "acme", by=admin)
    for wrong in ("", "localhost", "10.1.2.3/16", "10.1.2"):
        with pytest.raises(InvalidRequest):
            keys.create("acme", "wrong", addresses=[wrong])


def test_open_sessions_are_listed_and_ended(any_ingest: IngestService) -> None:
    keys = any_ingest.keys
    ann, bob = (keys.create("acme", name) for name in ("Ann", "Bob"))
    first = keys.open_session(found(keys, ann.secret), "192.0.2.7", "Firefox\r\n" + 300 * "x")
    second = keys.open_session(found(keys, ann.secret))
    other = keys.open_session(found(keys, bob.secret))
    [shown, _, _] = keys.sessions("acme")
    assert (shown.id, shown.parent, shown.name) == (first.key.id, ann.key.id, "Ann")
    assert (shown.address, shown.user_agent) == ("192.0.2.7", "Firefox" + 193 * "x")
    assert [one.id for one in keys.sessions("acme", bob.key.id)] == [other.key.id]
    assert keys.sessions("rivals") == []
    with pytest.raises(NotFound):
        keys.end_session(first.key.id, "rivals")
    with pytest.raises(NotFound):
        keys.end_session(first.key.id, "acme", bob.key.id)
    with pytest.raises(NotFound):
        keys.end_session(ann.key.id, "acme")
    keys.end_session(first.key.id, "acme", ann.key.id)
    assert keys.check(first.secret) is None
    assert keys.check(second.secret) is not None
    with pytest.raises(NotFound):
        keys.end_sessions(ann.key.id, "rivals")
    assert keys.end_sessions(ann.key.id, "acme") == 1
    assert keys.check(second.secret) is None
    assert keys.check(other.secret) is not None
    assert keys.check(ann.secret) is not None
