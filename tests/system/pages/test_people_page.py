"""People in a real browser: invitations, passwords, an OpenID provider, and the page People."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from infra.servers.ports import free_port
from shared.web import auth
from tests.support import library
from tests.system.pages.review_stage import Stage, new_stage, until
from tests.system.pages.test_review_pages import Watched, browser  # noqa: F401

PASSWORD = "seven green umbrellas"
REFUSED = ("401", "403", "422")


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    """The address of an OpenID provider, with two people."""
    mock = library("oidc_provider_mock", "make setup-dev")
    with mock.run_server_in_thread() as server:
        issuer = f"http://localhost:{server.server_port}"
        for name in ("cleo", "stranger"):
            claims = {"email": f"{name}@example.com", "email_verified": True}
            httpx.put(f"{issuer}/users/{name}", json=claims).raise_for_status()
        yield issuer


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, provider: str) -> Iterator[Stage]:
    port = free_port()
    settings = {
        "ingest_openid_issuer": provider,
        "ingest_openid_client": "smallprint",
        "ingest_openid_secret": "secret",
        "ingest_openid_name": "Example ID",
        "public_url": f"http://127.0.0.1:{port}",
    }
    with new_stage(tmp_path_factory.mktemp("data"), port=port, **settings) as stage:
        yield stage


def by_key(browser: Any, stage: Stage, name: str = "ada", tab: str = "Users") -> Watched:  # noqa: F811
    person = Watched(browser, stage)
    person.page.goto(stage.address)
    person.page.get_by_text("Use a key").click()
    person.page.get_by_label("Key", exact=True).fill(stage.keys[name])
    person.page.locator("details").get_by_role("button", name="Sign in").click()
    person.page.get_by_role("link", name="People").click()
    person.page.get_by_role("heading", name="People").wait_for()
    if tab != "Users":
        person.page.get_by_role("navigation", name="People").get_by_role("link", name=tab).click()
    person.page.get_by_role("region", name=tab).wait_for()
    return person


def invite(admin: Watched, name: str, role: str) -> str:
    """Add a user on the page. Returns the link of the invitation."""
    admin.page.get_by_role("button", name="Add user").click()
    form = admin.page.get_by_role("dialog", name="Add a user")
    form.get_by_label("Name").fill(name)
    form.get_by_label("E-mail").fill(f"{name}@example.com")
    form.get_by_label("Role").select_option(role)
    form.get_by_role("button", name="Add user").click()
    dialog = admin.page.get_by_role("dialog", name=f"Invitation for {name}")
    dialog.get_by_text("Example ID signs them in without one").wait_for()
    dialog.get_by_text("The link is not shown again.").wait_for()
    dialog.get_by_text("This link works on this machine only.").wait_for()
    link = str(dialog.locator("code").inner_text())
    admin.draw(f"people-invitation-{name}", whole=False)
    dialog.get_by_role("button", name="Close").click()
    return link


def test_an_invited_person_chooses_a_password_and_signs_in_until_disabled(
    browser: Any,  # noqa: F811
    stage: Stage,
) -> None:
    admin = by_key(browser, stage)
    link = invite(admin, "bea", "analyst")
    bea = Watched(browser, stage)
    bea.page.goto(link)
    bea.page.get_by_role("heading", name="Welcome, bea").wait_for()
    bea.page.get_by_text("with bea@example.com").wait_for()
    bea.page.get_by_label("New password").fill("bea and friends")
    bea.page.get_by_role("button", name="Save and sign in").click()
    bea.page.get_by_text("easy to guess").wait_for()
    bea.draw("people-choose-password", whole=False)
    bea.page.get_by_label("New password").fill(PASSWORD)
    bea.page.get_by_role("button", name="Save and sign in").click()
    bea.page.get_by_role("heading", name="Queue").wait_for()
    assert "invitation" not in bea.page.url
    again = bea.context.new_page()
    again.goto(link)
    again.get_by_role("heading", name="This link has ended").wait_for()
    again.close()
    assert bea.page.get_by_role("link", name="People").count() == 0
    bea.page.get_by_role("button", name="Sign out").click()
    for password in ("not her password", PASSWORD):
        bea.page.get_by_label("E-mail").fill("bea@example.com")
        bea.page.get_by_label("Password").fill(password)
        bea.page.locator("form", has_text="E-mail").get_by_role("button", name="Sign in").click()
        if password != PASSWORD:
            bea.page.get_by_text("is wrong, or this user is disabled").wait_for()
            bea.draw("people-sign-in", whole=False)
    bea.page.get_by_role("heading", name="Queue").wait_for()

    bea.page.get_by_role("button", name="bea", exact=True).click()
    account = bea.page.get_by_role("dialog", name="Account")
    account.get_by_text("bea@example.com · analyst").wait_for()
    account.get_by_label("Current password").fill(PASSWORD)
    account.get_by_label("New password").fill("nine purple bicycles")
    account.get_by_role("button", name="Change password").click()
    account.get_by_text("Your other sessions have ended").wait_for()
    bea.draw("people-account", whole=False)
    account.get_by_role("button", name="Close").click()

    admin.page.reload()
    row = admin.page.get_by_role("row", name="bea@example.com")
    row.wait_for()
    admin.draw("people")
    row.get_by_role("button", name="Disable").click()
    question = admin.page.get_by_role("dialog", name="Disable bea?")
    question.get_by_role("button", name="Cancel").click()
    row.get_by_role("button", name="Disable").click()
    question.get_by_role("button", name="Disable").click()
    row.get_by_text("Disabled").first.wait_for()
    bea.page.get_by_role("link", name="Documents", exact=True).click()
    bea.page.get_by_text("Your session has ended").wait_for()
    bea.close(REFUSED)
    admin.close(REFUSED)


def test_the_provider_signs_in_a_user_and_no_stranger(browser: Any, stage: Stage) -> None:  # noqa: F811
    admin = by_key(browser, stage)
    invite(admin, "cleo", "lead")
    admin.close()
    for name in ("stranger", "cleo"):
        context = browser.new_context(locale="en-GB")
        page = context.new_page()
        page.goto(stage.address)
        page.get_by_role("link", name="Sign in with Example ID").click()
        page.get_by_placeholder("sub").fill(name)
        page.get_by_role("button", name="Authorize").click()
        if name == "stranger":
            page.get_by_text("You have no account here").wait_for()
        else:
            page.get_by_role("heading", name="Queue").wait_for()
            assert page.locator("#who").inner_text().startswith("cleo")
            [cookie] = [one for one in context.cookies() if "session" in one["name"]]
            assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
        context.close()


def test_whatever_the_provider_answers_leads_to_a_page(browser: Any, stage: Stage) -> None:  # noqa: F811
    context = browser.new_context(locale="en-GB")
    page = context.new_page()
    page.goto(stage.address)
    page.get_by_role("link", name="Sign in with Example ID").click()
    page.get_by_role("button", name="Deny").click()
    page.get_by_text("The provider did not sign you in").wait_for()
    page.route(  # as Keycloak and Google answer
        "**/callback?*",
        lambda route: route.continue_(url=f"{route.request.url}&session_state=a&iss=b&authuser=0"),
    )
    page.get_by_role("link", name="Sign in with Example ID").click()
    page.get_by_placeholder("sub").fill("cleo")
    page.get_by_role("button", name="Authorize").click()
    page.get_by_role("heading", name="Queue").wait_for()
    context.close()


def test_an_older_session_signs_in_again_for_a_new_key(
    browser: Any,  # noqa: F811
    stage: Stage,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    admin = by_key(browser, stage, tab="Keys")
    admin.page.get_by_role("button", name="Create key").click()
    form = admin.page.get_by_role("dialog", name="Create a key")
    form.get_by_label("Name").fill("robot")
    form.get_by_label("documents:read").check()
    monkeypatch.setattr(auth, "FRESH", timedelta(0))
    form.get_by_role("button", name="Create key").click()
    dialog = admin.page.get_by_role("dialog", name="Sign in again")
    dialog.get_by_text("Sign in again for this change").wait_for()
    admin.draw("people-sign-in-again", whole=False)
    dialog.get_by_role("button", name="Cancel").click()
    form.get_by_text("Nothing was changed").wait_for()
    assert form.get_by_label("Name").input_value() == "robot"
    form.get_by_role("button", name="Create key").click()
    dialog.get_by_text("Sign in again for this change").wait_for()
    admin.page.keyboard.press("Escape")
    until(lambda: dialog.count() == 0, "the dialog has gone")
    form.get_by_role("button", name="Create key").click()
    dialog.get_by_text("Sign in again for this change").wait_for()
    monkeypatch.undo()
    dialog.get_by_text("Use a key").click()
    dialog.get_by_label("Key", exact=True).fill(stage.keys["ada"])
    dialog.locator("details").get_by_role("button", name="Sign in").click()
    secret = admin.page.get_by_role("dialog", name="Secret of robot").locator("code").inner_text()
    admin.draw("people-new-key", whole=False)
    headers = {"authorization": f"Bearer {secret}"}
    own = stage.http.get("/v1/keys/self", headers=headers).json()
    assert (own["name"], own["scopes"]) == ("robot", ["documents:read"])
    assert own["expires"]
    admin.page.get_by_role("button", name="Close").click()
    admin.page.get_by_role("row", name="robot").wait_for()
    admin.close(REFUSED)


def test_a_role_changes_or_stays_as_it_is_stored(
    browser: Any,  # noqa: F811
    stage: Stage,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    body = {"name": "dora", "email": "dora@example.com", "role": "viewer"}
    stage.http.post("/v1/users", json=body).raise_for_status()
    admin = by_key(browser, stage)
    row = admin.page.get_by_role("row", name="dora@example.com")
    question = admin.page.get_by_role("dialog", name="Change the role of dora")

    def change(role: str) -> None:
        row.get_by_role("button", name="Change role").click()
        question.get_by_label("Role").select_option(role)
        admin.draw("people-role", whole=False)
        question.get_by_role("button", name="Save").click()

    change("lead")
    row.get_by_text("Lead: all but people and settings").wait_for()
    monkeypatch.setattr(auth, "FRESH", timedelta(0))
    change("admin")
    again = admin.page.get_by_role("dialog", name="Sign in again")
    again.get_by_role("button", name="Cancel").click()
    question.get_by_text("Nothing was changed").wait_for()
    admin.page.keyboard.press("Escape")
    monkeypatch.undo()
    admin.page.reload()
    row.get_by_text("Lead: all but people and settings").wait_for()
    admin.close(REFUSED)


def test_keys_and_sessions_show_what_they_can_still_do(
    browser: Any,  # noqa: F811
    stage: Stage,
) -> None:
    soon = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
    wishes: dict[str, dict[str, Any]] = {
        "short": {"expires": soon},
        "office": {"addresses": ["10.1.0.0/16"]},
        "gone": {},
        "turned": {},
    }
    ids = {}
    for name, wish in wishes.items():
        made = stage.http.post("/v1/keys", json={"name": name, "scopes": ["review"], **wish})
        ids[name] = made.raise_for_status().json()["id"]
    stage.http.delete(f"/v1/keys/{ids['gone']}").raise_for_status()
    stage.http.post(f"/v1/keys/{ids['turned']}/rotate", json={}).raise_for_status()
    time.sleep(1)  # until the key has expired
    admin = by_key(browser, stage, tab="Keys")
    admin.page.get_by_text("ended key").click()
    for name, state in (
        ("short", "Expired"),
        ("office", "only from 10.1.0.0/16"),
        ("gone", "Revoked"),
        ("turned", "Old secret works until"),
        ("ben", "Active"),
    ):
        admin.page.get_by_role("row", name=name).get_by_text(state).first.wait_for()
    admin.draw("people-keys")
    admin.close()


def test_keys_are_limited_and_rotated_by_keyboard(browser: Any, stage: Stage) -> None:  # noqa: F811
    admin = by_key(browser, stage, tab="Keys")
    page, keyboard = admin.page, admin.page.keyboard
    page.get_by_role("button", name="Create key").focus()
    keyboard.press("Enter")
    question = page.get_by_role("dialog", name="Create a key")
    keyboard.type("nightly")
    question.get_by_label("review", exact=False).last.focus()
    keyboard.press("Space")
    question.get_by_label("Works only from").focus()
    keyboard.type("10.1.2.3/16")
    question.get_by_role("button", name="Create key").focus()
    keyboard.press("Enter")
    question.get_by_text("Write an address such as").wait_for()
    admin.draw("people-key-refused", whole=False)
    question.get_by_label("Works only from").fill("10.1.0.0/16, 127.0.0.1")
    question.get_by_role("button", name="Create key").press("Enter")
    shown = page.get_by_role("dialog", name="Secret of nightly")
    first = shown.locator("code").inner_text()
    shown.get_by_text("It is not shown again").wait_for()
    until_focused(shown.get_by_role("button", name="Copy"))
    keyboard.press("Escape")
    row = page.get_by_role("row", name="nightly")
    row.get_by_text("only from 10.1.0.0/16, 127.0.0.1/32").wait_for()

    row.get_by_role("button", name="Rotate").press("Enter")
    question = page.get_by_role("dialog", name="Rotate the key nightly")
    question.get_by_label("The old secret still works for").select_option("0")
    question.get_by_label("Expires after").select_option("365")
    question.get_by_label("Works only from").fill("127.0.0.1")
    question.get_by_role("button", name="Rotate").press("Enter")
    second = shown.locator("code").inner_text()
    keyboard.press("Escape")
    row.get_by_text("only from 127.0.0.1/32").wait_for()
    until_focused(row.get_by_role("button", name="Rotate"))
    for secret, status in ((first, 401), (second, 200)):
        headers = {"authorization": f"Bearer {secret}"}
        assert stage.http.get("/v1/keys/self", headers=headers).status_code == status

    row.get_by_role("button", name="Revoke").press("Enter")
    page.get_by_role("dialog", name="Revoke the key nightly?").wait_for()
    page.get_by_role("button", name="Cancel").press("Enter")
    row.get_by_role("button", name="Revoke").press("Enter")
    keyboard.press("Enter")
    row.wait_for(state="detached")
    admin.close(REFUSED)


def until_focused(control: Any) -> None:
    until(lambda: control.evaluate("one => document.activeElement === one"), "the focus")


def test_one_session_or_all_others_are_ended(browser: Any, stage: Stage) -> None:  # noqa: F811
    name = "sessions of one"
    stage.keys[name] = stage.http.post("/v1/keys", json={"name": name}).json()["secret"]
    headers = {"authorization": f"Bearer {stage.keys[name]}"}
    cookies = [
        stage.http.post("/v1/keys/sessions", headers=headers).json()["secret"] for _ in range(3)
    ]
    admin = by_key(browser, stage, name, "Sessions")
    page = admin.page
    own = page.get_by_role("row", name="This one")
    own.get_by_text("Chrome on Linux").wait_for()
    assert own.get_by_role("button").count() == 0
    rows = page.get_by_role("row", name=name)
    assert rows.count() == 4
    rows.nth(1).get_by_role("button", name="End").click()
    question = page.get_by_role("dialog", name=f"End this session of {name}?")
    question.get_by_role("button", name="End").click()
    until(lambda: rows.count() == 3, "the end of a session")
    page.get_by_role("button", name="End all others").click()
    question = page.get_by_role("dialog", name="End")
    for box in question.get_by_role("checkbox").all():
        box.set_checked(name in str(box.get_attribute("value")))
    admin.draw("people-sessions", whole=False)
    question.get_by_role("button", name="End").click()
    until(lambda: rows.count() == 1, "the end of the others")
    for secret in cookies:
        gone = stage.http.get("/v1/keys/self", headers={"authorization": f"Bearer {secret}"})
        assert gone.status_code == 401
    own.wait_for()
    admin.close()


def test_the_keys_of_a_disabled_admin_are_revoked_with_them(browser: Any, stage: Stage) -> None:  # noqa: F811
    body = {"name": "mallory", "email": "mallory@example.com", "role": "admin"}
    invitation = stage.http.post("/v1/users", json=body).raise_for_status().json()["invitation"]
    with httpx.Client(base_url=stage.address) as mallory:
        answer = {"invitation": invitation, "password": PASSWORD}
        mallory.post("/v1/sign-in/invitation", json=answer).raise_for_status()
        mallory.headers["x-csrf-token"] = mallory.get("/v1/session").json()["csrf"]
        key = (
            mallory.post("/v1/keys", json={"name": "of mallory"})
            .raise_for_status()
            .json()["secret"]
        )
        wish = {"name": "finn", "email": "finn@example.com", "role": "viewer"}
        mallory.post("/v1/users", json=wish).raise_for_status()
    headers = {"authorization": f"Bearer {key}"}
    assert stage.http.get("/v1/keys/self", headers=headers).is_success
    admin = by_key(browser, stage)
    row = admin.page.get_by_role("row", name="mallory@example.com")
    row.get_by_role("button", name="Disable").click()
    dialog = admin.page.get_by_role("dialog", name="Disable mallory")
    dialog.get_by_text("which still work: user finn").wait_for()
    admin.draw("people-disable", whole=False)
    assert dialog.get_by_label("keys that those created: of mallory").is_checked()
    dialog.get_by_role("button", name="Disable").click()
    row.get_by_text("Disabled").first.wait_for()
    assert stage.http.get("/v1/keys/self", headers=headers).status_code == 401
    admin.close()


def test_the_page_fits_a_phone(browser: Any, stage: Stage) -> None:  # noqa: F811
    name = "Maximiliane von Hohenlohe-Waldenburg"
    stage.keys[name] = stage.http.post("/v1/keys", json={"name": name}).json()["secret"]
    admin = by_key(browser, stage, name)
    admin.draw("people-long-name")
    admin.page.set_viewport_size({"width": 390, "height": 844})
    admin.draw("people-phone")
    assert admin.page.locator(".people button:visible").count() > 1
    for control in admin.page.locator(".people button:visible").all():
        assert control.bounding_box()["height"] >= 40, control
    rows = [admin.page.locator(part).bounding_box() for part in (".brand", "#who", "#nav")]
    assert rows[1]["y"] < rows[0]["y"] + rows[0]["height"]
    assert rows[1]["y"] + rows[1]["height"] <= rows[2]["y"]
    invite(admin, "emil", "uploader")
    admin.close()
