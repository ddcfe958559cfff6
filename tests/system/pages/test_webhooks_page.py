"""The tab Webhooks of People in a real browser, with a receiver on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.local_server import Receiver, Reply
from tests.system.pages.review_stage import Stage, new_stage, pdf_of, until
from tests.system.pages.test_people_page import REFUSED, until_focused
from tests.system.pages.test_review_pages import Watched, browser  # noqa: F401


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("data")
    with new_stage(folder, ingest_webhook_networks="127.0.0.0/8") as stage:
        yield stage


def test_a_webhook_is_added_tested_repaired_and_deleted_by_keyboard(
    browser: Any,  # noqa: F811
    stage: Stage,
) -> None:
    admin = Watched(browser, stage)
    page, keyboard = admin.sign_in(), admin.page.keyboard
    page.goto(f"{stage.address}/people?tab=webhooks")
    page.get_by_role("heading", name="No webhooks").wait_for()
    admin.draw("webhooks-none", whole=False)

    def press(name: str, within: Any = page) -> None:
        within.get_by_role("button", name=name, exact=True).press("Enter")

    with Receiver() as receiver:
        press("Add webhook")
        form = page.get_by_role("dialog", name="Add a webhook")
        keyboard.type("https://10.0.0.1/hook")
        keyboard.press("Enter")
        form.get_by_text("is not public").wait_for()
        admin.draw("webhooks-refused", whole=False)
        form.get_by_label("Address").fill(receiver.url("/hook"))
        form.get_by_label("Description").fill("Case system")
        form.get_by_label("review.decided").press("Space")
        form.get_by_label("Description").press("Enter")
        secret = page.get_by_role("dialog", name="Secret of the webhook")
        secret.get_by_text("It is not shown again.").wait_for()
        first = secret.locator("code").inner_text()
        assert first.startswith("whsec_")
        press("Close", secret)
        page.get_by_role("heading", name=receiver.url("/hook")).wait_for()

        press("Send a test")
        page.get_by_text("Delivered: the receiver answered 204").wait_for()
        assert len(receiver.ids()) == 1
        log = page.get_by_role("row", name="webhook.test")
        log.get_by_text("Delivered").wait_for()
        press("Send again", log)
        until(lambda: receiver.ids() == [receiver.ids()[0]] * 2, "the repetition")
        until_focused(log.get_by_role("button", name="Send again"))

        receiver.answer = lambda _request: Reply(500)
        press("Send a test")
        page.get_by_text("Not delivered: The receiver answered 500").wait_for()
        page.get_by_text("Failing: 1 try").wait_for()
        admin.draw("webhook-failing")
        admin.check_access("webhook-failing")
        page.get_by_label("State").select_option("failed")
        log.first.get_by_text("The receiver answered 500").wait_for()
        until(lambda: log.count() == 1, "the filter")
        press("Edit")
        form = page.get_by_role("dialog", name="Edit the webhook")
        assert form.get_by_label("review.decided").is_checked()
        form.get_by_label("review.decided").press("Space")
        form.get_by_label("Description").fill("Old case system")
        press("Save", form)
        page.get_by_text("All events").wait_for()

        press("Disable")
        question = page.get_by_role("dialog", name="Disable this webhook?")
        question.get_by_text(receiver.url("/hook")).wait_for()
        press("Disable", question)
        page.get_by_text("Disabled by ada").wait_for()
        stage.fail(stage.upload("scan.pdf", pdf_of([("A scan.",)])), "it has no text")
        receiver.answer = lambda _request: Reply()
        press("Enable")
        press("Send failed ones again")
        press("Send again", page.get_by_role("dialog", name="Send failed messages again?"))
        page.get_by_text("1 message sent again.").wait_for()
        until(lambda: b"document.ended" in receiver.requests[-1].body, "the message")

        press("Replace the secret")
        press("Replace", page.get_by_role("dialog", name="Replace the secret?"))
        assert secret.locator("code").inner_text() != first
        press("Close", secret)
        page.get_by_text("The old secret also signs until").wait_for()

        page.set_viewport_size({"width": 390, "height": 844})
        admin.draw("webhook-phone")
        page.get_by_role("link", name="All webhooks").press("Enter")
        row = page.get_by_role("row", name="Old case system")
        row.get_by_text("All events").wait_for()
        admin.draw("webhooks-phone")
        row.get_by_role("link").press("Enter")
        press("Delete")
        question = page.get_by_role("dialog", name="Delete this webhook?")
        question.get_by_text(receiver.url("/hook")).wait_for()
        press("Delete", question)
        page.get_by_role("heading", name="No webhooks").wait_for()
    admin.close(REFUSED)
