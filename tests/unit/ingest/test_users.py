"""Users: roles, invitations, passwords, and sign-in at an OpenID provider."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from argon2 import PasswordHasher

from services.ingest.users import commands as users_module
from services.ingest.users import passwords
from services.ingest.users.commands import Browser, NoAccount, UserCommands
from services.ingest.users.domain import Identity, User
from services.ingest.webhooks.addresses import Policy
from services.ingest.webhooks.commands import WebhookCommands
from services.ingest.webhooks.schemas import WebhookChanges
from shared.audit.chain import lines
from shared.errors import (
    Conflict,
    InvalidRequest,
    NotAllowed,
    NotFound,
    NotSignedIn,
    TooManyRequests,
)
from shared.web import auth as auth_module
from shared.web.admission import RateLimit
from shared.web.auth import Actor
from shared.web.scopes import ALL, ROLES, Role
from tests.unit.ingest.builders import IngestService
from tests.unit.ingest.test_resumable import wait_until

PASSWORD = "seven green umbrellas"
OTHER = "nine purple bicycles"
ANN = Identity("https://id.example", "subject-1", "ann@example.com")


class Clock:
    """Time passes only by sleep."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def users(any_ingest: IngestService, monkeypatch: pytest.MonkeyPatch) -> UserCommands:
    monkeypatch.setattr(passwords, "_HASHER", PasswordHasher(time_cost=1, memory_cost=64))
    monkeypatch.setattr(users_module, "REFUSAL_SECONDS", 0.0)
    return UserCommands(any_ingest.service.store, any_ingest.keys)


def signed_up(users: UserCommands, name: str = "Ann", role: Role = "analyst") -> User:
    user, invitation = users.add("acme", name, f"{name}@Example.com", role)
    users.choose_password(invitation.secret, PASSWORD)
    return user


def actor_of(users: UserCommands, secret: str) -> Actor:
    actor = users.keys.check(secret)
    assert actor is not None
    return actor


def test_an_invited_person_chooses_a_password_once_and_signs_in(users: UserCommands) -> None:
    user, invitation = users.add("acme", "Ann", " Ann@Example.com", "analyst")
    with pytest.raises(NotSignedIn):
        users.sign_in("ann@example.com", PASSWORD)
    assert users.keys.check(invitation.secret) is None
    assert users.invited(invitation.secret).email == "ann@example.com"
    with pytest.raises(InvalidRequest):
        users.choose_password(invitation.secret, "too short")
    first = actor_of(users, users.choose_password(invitation.secret, PASSWORD).secret)
    assert (first.tenant, first.name, first.key_id) == ("acme", "Ann", user.id)
    assert first.scopes == ROLES["analyst"]
    assert first.session_id
    for work in (users.invited, partial(users.choose_password, password=OTHER)):
        with pytest.raises(NotSignedIn):
            work(invitation.secret)
    assert actor_of(users, users.sign_in("ANN@example.com", PASSWORD).secret).name == "Ann"


@pytest.mark.parametrize("password", ["short", "aaaaaaaaaaaaaaa", "ann and some more", "x" * 1001])
def test_passwords_that_are_easy_to_guess_are_refused(users: UserCommands, password: str) -> None:
    _, invitation = users.add("acme", "Ann", "ann@example.com", "viewer")
    with pytest.raises(InvalidRequest):
        users.choose_password(invitation.secret, password)


def test_wrong_passwords_and_unknown_users_get_the_same_answer(users: UserCommands) -> None:
    signed_up(users)
    answers = set()
    for email, password in (("ann@example.com", OTHER), ("bob@example.com", PASSWORD)):
        with pytest.raises(NotSignedIn) as refused:
            users.sign_in(email, password)
        answers.add(refused.value.message)
    assert len(answers) == 1


def test_unknown_users_are_refused_after_the_same_time(
    users: UserCommands, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed_up(users)
    clock = Clock()

    def slow_line(*args: Any, **details: Any) -> None:
        clock.sleep(3.0)

    monkeypatch.setattr(users_module, "REFUSAL_SECONDS", 5.0)
    monkeypatch.setattr(users_module, "time", clock)
    monkeypatch.setattr(users_module, "record", slow_line)
    seconds = set()
    for email in ("ann@example.com", "nobody@example.com"):
        before = clock.now
        with pytest.raises(NotSignedIn):
            users.sign_in(email, OTHER)
        seconds.add(clock.now - before)
    assert seconds == {5.0}


def test_passwords_can_be_tried_a_few_times_a_minute(users: UserCommands) -> None:
    signed_up(users)
    for _ in range(users_module.ATTEMPTS):
        with pytest.raises(NotSignedIn):
            users.sign_in("ann@example.com", OTHER)
    with pytest.raises(TooManyRequests):
        users.sign_in("ann@example.com", PASSWORD)


def test_wrong_passwords_for_some_users_lock_out_no_others_at_the_address(
    users: UserCommands,
) -> None:
    for name in ("Ann", "Bob"):
        signed_up(users, name)
    users._failures = RateLimit(users_module.FAILURES, lambda: 0.0)  # time stands still
    here = Browser("192.0.2.7")
    for number in range(users_module.FAILURES):
        with pytest.raises(NotSignedIn):
            users.sign_in(f"person{number}@example.com", OTHER, here)
    assert users.sign_in("ann@example.com", PASSWORD, here).secret
    for email in ("bob@example.com", "nobody@example.com"):
        with pytest.raises(NotSignedIn):
            users.sign_in(email, OTHER, here)
        with pytest.raises(TooManyRequests):
            users.sign_in(email, PASSWORD, here)
    assert users.sign_in("bob@example.com", PASSWORD, Browser("192.0.2.8")).secret


def test_many_sign_ins_at_one_address_leave_room_for_others(
    users: UserCommands, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed_up(users)
    go = threading.Event()

    def slow(hashed: str | None, password: str) -> bool:
        return password == PASSWORD or not go.wait(60)

    def guess(number: int) -> bool:
        with pytest.raises((NotSignedIn, TooManyRequests)):
            users.sign_in(f"person{number}@example.com", OTHER, Browser("192.0.2.7"))
        return True

    monkeypatch.setattr(users_module, "is_password", slow)
    waiting = users._hashing._counts
    with ThreadPoolExecutor(25) as threads:
        try:
            guesses = [threads.submit(guess, number) for number in range(24)]
            wait_until(lambda: waiting.total() + sum(one.done() for one in guesses) == 24)
            assert users.sign_in("ann@example.com", PASSWORD, Browser("192.0.2.8")).secret
        finally:
            go.set()
    assert all(one.result() for one in guesses)


def test_no_password_and_no_invitation_is_stored(users: UserCommands) -> None:
    user, invitation = users.add("acme", "Ann", "ann@example.com", "viewer")
    users.choose_password(invitation.secret, PASSWORD)
    [stored] = users.list("acme")
    assert stored.password is not None
    assert stored.password.startswith("$argon2id$")
    assert PASSWORD not in repr(stored)
    assert user.id == stored.id


def test_a_new_password_ends_the_other_sessions(users: UserCommands) -> None:
    signed_up(users)
    old, current = (users.sign_in("ann@example.com", PASSWORD).secret for _ in range(2))
    with pytest.raises(NotAllowed):
        users.change_password(actor_of(users, current), OTHER, OTHER)
    new = users.change_password(actor_of(users, current), PASSWORD, OTHER).secret
    assert [users.keys.check(secret) is not None for secret in (old, current, new)] == [
        False,
        False,
        True,
    ]
    assert users.sign_in("ann@example.com", OTHER)


def test_a_changed_or_disabled_user_has_no_open_session(users: UserCommands) -> None:
    user = signed_up(users)
    secret = users.sign_in("ann@example.com", PASSWORD).secret
    assert users.change(user.id, "acme", role="lead").role == "lead"
    assert users.keys.check(secret) is None
    secret = users.sign_in("ann@example.com", PASSWORD).secret
    assert actor_of(users, secret).scopes == ROLES["lead"]
    assert users.change(user.id, "acme", disabled=True).disabled
    assert users.keys.check(secret) is None
    with pytest.raises(NotSignedIn):
        users.sign_in("ann@example.com", PASSWORD)
    users.change(user.id, "acme", disabled=False)
    assert users.sign_in("ann@example.com", PASSWORD)


def test_only_admins_with_a_fresh_sign_in_change_users(
    users: UserCommands, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = signed_up(users, "Ada", "admin")
    by = actor_of(users, users.sign_in("ada@example.com", PASSWORD).secret)
    user, _ = users.add("acme", "Ann", "ann@example.com", "analyst", by=by)
    assert user.created_by == "Ada"
    with pytest.raises(NotAllowed):
        users.change(admin.id, "acme", role="viewer", by=by)
    with pytest.raises(NotFound):
        users.change(user.id, "other", role="viewer", by=by)
    lesser = Actor("acme", "Bob", "id", scopes=frozenset({"admin"}))
    for role in ("viewer", "admin"):
        with pytest.raises(NotAllowed):
            users.add("acme", "Cid", "cid@example.com", role, by=lesser)
    monkeypatch.setattr(auth_module, "FRESH", timedelta(0))
    with pytest.raises(NotAllowed) as stale:
        users.add("acme", "Dee", "dee@example.com", "viewer", by=by)
    assert stale.value.code == "sign_in_again"


def test_names_and_addresses_are_unique(users: UserCommands) -> None:
    users.keys.create("acme", "Robot")
    signed_up(users)
    for name, email in (("robot", "r@example.com"), ("Anna", "ANN@example.com"), ("ann", "a@b.c")):
        with pytest.raises(Conflict):
            users.add("acme", name, email, "viewer")
    with pytest.raises(Conflict):
        users.keys.create("acme", "ANN")
    with pytest.raises(InvalidRequest):
        users.add("acme", "Cid", "not an address", "viewer")


def test_another_invitation_ends_the_earlier_one(users: UserCommands) -> None:
    user, first = users.add("acme", "Ann", "ann@example.com", "viewer")
    _, second = users.invite(user.id, "acme")
    with pytest.raises(NotSignedIn):
        users.choose_password(first.secret, PASSWORD)
    assert users.choose_password(second.secret, PASSWORD)


def test_an_invitation_opens_no_session_and_makes_no_link(users: UserCommands) -> None:
    _, invitation = users.add("acme", "Ann", "ann@example.com", "viewer")
    secret = invitation.secret
    assert users.keys.check(secret) is None
    assert [key.kind for key in users.keys.list("acme")] == []


def test_the_provider_signs_in_users_by_verified_address_then_by_subject(
    users: UserCommands,
) -> None:
    user, _ = users.add("acme", "Ann", "ann@example.com", "analyst")
    for stranger in (Identity(ANN.issuer, "s", None), Identity(ANN.issuer, "s", "bob@b.example")):
        with pytest.raises(NoAccount):
            users.sign_in_by_provider(stranger)
    assert actor_of(users, users.sign_in_by_provider(ANN).secret).key_id == user.id
    renamed = Identity(ANN.issuer, ANN.subject, "ann.new@example.com")
    assert actor_of(users, users.sign_in_by_provider(renamed).secret).key_id == user.id
    with pytest.raises(NoAccount):  # another person got the address
        users.sign_in_by_provider(Identity(ANN.issuer, "subject-2", "ann@example.com"))
    users.change(user.id, "acme", disabled=True)
    with pytest.raises(NotSignedIn):
        users.sign_in_by_provider(ANN)


def test_an_analyst_can_not_see_what_shows_hidden_checks() -> None:
    assert "results:read" not in ROLES["analyst"]
    assert ROLES["admin"] == ALL
    assert ROLES["viewer"] < ROLES["uploader"] < ROLES["lead"]
    assert ROLES["analyst"] < ROLES["lead"]


def test_the_trail_says_who_was_added_changed_and_signed_in(users: UserCommands) -> None:
    user = signed_up(users)
    with pytest.raises(NotSignedIn):
        users.sign_in("ann@example.com", OTHER)
    users.sign_in("ann@example.com", PASSWORD)
    for _ in range(2):
        users.sign_in_by_provider(ANN)
    users.change(user.id, "acme", disabled=True)
    with pytest.raises(NotSignedIn):
        users.sign_in("ann@example.com", PASSWORD)
    with pytest.raises(NotSignedIn):
        users.sign_in_by_provider(ANN)
    with users.store.read() as session:
        found = [
            (row["actor"], row["action"], row["details"]) for row in lines(session, tenant="acme")
        ]
    [(_, _, created), *changes] = found
    assert created == {"name": "Ann", "role": "analyst"}
    assert changes == [
        ("Ann", "user.change", {"what": "password"}),
        ("Ann", "sign-in", {"method": "password"}),
        ("Ann", "refuse", {"reason": "wrong password"}),
        ("Ann", "sign-in", {"method": "password"}),
        ("Ann", "user.change", {"what": "openid", "issuer": ANN.issuer}),
        ("Ann", "sign-in", {"method": "openid"}),
        ("Ann", "sign-in", {"method": "openid"}),
        ("operator", "user.change", {"disabled": True}),
        ("Ann", "refuse", {"reason": "disabled"}),
        ("Ann", "refuse", {"reason": "disabled"}),
    ]


def test_a_disabled_user_is_not_bound_to_a_provider(users: UserCommands) -> None:
    user = signed_up(users)
    users.change(user.id, "acme", disabled=True)
    with pytest.raises(NotSignedIn):
        users.sign_in_by_provider(ANN)
    assert [one.subject for one in users.list("acme")] == [None]


def test_a_limited_admin_adds_limited_users_and_changes_no_others(users: UserCommands) -> None:
    free = signed_up(users)
    by = Actor("acme", "Eve", "id", addresses=("10.0.0.0/8",))
    user, invitation = users.add("acme", "Cid", "cid@example.com", "admin", by=by)
    assert actor_of(users, users.choose_password(invitation.secret, PASSWORD).secret).addresses
    with pytest.raises(NotAllowed):
        users.invite(free.id, "acme", by=by)
    with pytest.raises(NotAllowed):
        users.change(free.id, "acme", role="admin", by=by)
    users.change(user.id, "acme", role="viewer", by=by)


def test_the_keys_that_a_disabled_user_created_can_be_revoked(users: UserCommands) -> None:
    users.keys.revoke(users.keys.create("acme", "Mallory").key.id)  # an earlier holder of the name
    users.keys.create("acme", "of the earlier", by=Actor("acme", "Mallory", "earlier"))
    mallory = signed_up(users, "Mallory", "admin")
    by = actor_of(users, users.sign_in("mallory@example.com", PASSWORD).secret)
    first = users.keys.create("acme", "nightly", by=by)
    second = users.keys.create("acme", "weekly", by=actor_of(users, first.secret))
    users.keys.revoke(users.keys.create("acme", "gone", by=by).key.id)
    bob, _ = users.add("acme", "Bob", "bob@example.com", "viewer", by=by)
    others = users.keys.create("acme", "of somebody else")
    users.keys.create("other", "of another tenant", by=Actor("other", "Mallory", "x"))
    webhooks = WebhookCommands(users.store, Policy(), 5)
    hook = webhooks.register(by, "https://hooks.example.com/x", (), "")
    left = [("user", bob.id, "Bob"), ("webhook", hook.id, hook.url)]
    made = [("key", one.key.id, one.key.name) for one in (first, second)]

    def resources() -> list[tuple[str, str, str]]:
        return [(one.kind, one.id, one.name) for one in users.resources(mallory.id, "acme")]

    assert resources() == made + left
    since = users.change(mallory.id, "acme", disabled=True).disabled
    assert resources() == made + left
    assert users.keys.check(second.secret)
    assert users.change(mallory.id, "acme", disabled=True, revoke_keys=True).disabled == since
    assert resources() == left
    assert [users.keys.check(one.secret) for one in (first, second)] == [None, None]
    assert users.keys.check(others.secret)
    with users.store.read() as session:
        revoked = [row["object"] for row in lines(session) if row["action"] == "key.revoke"]
    assert revoked[-2:] == [first.key.id, second.key.id]
    with pytest.raises(InvalidRequest):
        users.change(mallory.id, "acme", disabled=False, revoke_keys=True)
    with pytest.raises(NotFound):
        users.resources(mallory.id, "other")


def test_a_disabled_user_leaves_no_secret_that_they_know(users: UserCommands) -> None:
    webhooks = WebhookCommands(users.store, Policy(), 5)
    carol = signed_up(users, "Carol", "admin")
    of_carol = actor_of(users, users.sign_in("carol@example.com", PASSWORD).secret)
    rotated = users.keys.create("acme", "ci", by=of_carol)
    kept = users.keys.create("acme", "backup", by=actor_of(users, rotated.secret))
    hook = webhooks.register(of_carol, "https://hooks.example.com/x", (), "")
    untouched = webhooks.register(of_carol, "https://hooks.example.com/y", (), "")

    mallory = signed_up(users, "Mallory", "admin")
    by = actor_of(users, users.sign_in("mallory@example.com", PASSWORD).secret)
    stolen = users.keys.rotate(rotated.key.id, by=by)
    of_stolen = users.keys.create("acme", "by rotated key", by=actor_of(users, stolen.secret))
    webhooks.change(by, hook.id, WebhookChanges(url="https://mallory.example/x"))
    webhooks.rotate(by, hook.id, 0)
    reused = users.keys.create("acme", "nightly", by=by)
    users.keys.revoke(reused.key.id, by=by)
    innocent = users.keys.create("acme", "nightly", by=of_carol)
    deploy = users.keys.create("acme", "deploy", by=actor_of(users, innocent.secret))
    sub, invitation = users.add("acme", "Sub", "sub@example.com", "admin", by=by)
    of_sub = users.choose_password(invitation.secret, PASSWORD).secret
    of_sub_key = users.keys.create("acme", "of sub", by=actor_of(users, of_sub))
    dee, of_dee = users.add("acme", "Dee", "dee@example.com", "viewer", by=actor_of(users, of_sub))
    eve, _ = users.add("acme", "Eve", "eve@example.com", "viewer", by=by)
    _, of_eve = users.invite(eve.id, "acme")
    _, of_carol_again = users.invite(carol.id, "acme", by=by)

    lost = [stolen, of_stolen]
    listed = {one.id for one in users.resources(mallory.id, "acme")}
    assert listed == {one.key.id for one in lost} | {carol.id, sub.id, eve.id, hook.id}
    assert not listed & {untouched.id, of_sub_key.key.id, dee.id}
    users.change(mallory.id, "acme", disabled=True)
    with pytest.raises(NotSignedIn):
        users.choose_password(of_carol_again.secret, OTHER)
    assert all(users.choose_password(one.secret, OTHER) for one in (of_eve, of_dee))
    users.change(mallory.id, "acme", disabled=True, revoke_keys=True)
    assert [users.keys.check(one.secret) for one in (*lost, rotated)] == [None] * 3
    assert all(users.keys.check(one.secret) for one in (kept, innocent, deploy, of_sub_key))


def test_a_name_belongs_to_one_enabled_user_or_key(users: UserCommands) -> None:
    user = signed_up(users)
    users.change(user.id, "acme", disabled=True)
    users.keys.create("acme", "Ann")
    with pytest.raises(Conflict):
        users.change(user.id, "acme", disabled=False)
    for name in ("Operator", "retention", "Bob\u200b"):
        with pytest.raises(InvalidRequest):
            users.add("acme", name, "bob@example.com", "viewer")
