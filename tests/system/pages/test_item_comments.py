"""Comments on an item in a real browser: by keyboard, with author and time, and deleted again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.system.pages.review_stage import CONTRACT, Stage, new_stage, pdf_of
from tests.system.pages.test_review_pages import Watched, browser, heading

__all__ = ["browser"]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with new_stage(tmp_path_factory.mktemp("data")) as stage:
        stage.contract = stage.upload("Northwind – Halden, distribution.pdf", pdf_of(CONTRACT))
        stage.extract(stage.contract)
        yield stage


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_reviewers_talk_about_an_item(browser: Any, stage: Stage, scheme: str) -> None:
    ada = Watched(browser, stage, color_scheme=scheme)
    page = ada.sign_in()
    page.keyboard.press("Enter")
    heading(page, "Right of first refusal")
    address = page.url
    page.keyboard.press("m")
    page.keyboard.type("Does Schedule B <b>name</b> them?")
    page.keyboard.press("Control+Enter")
    mine = page.locator(".comments li")
    mine.get_by_text("Does Schedule B <b>name</b> them?").wait_for()
    page.get_by_role("button", name="Skip").click()
    heading(page, "Change of control")
    assert page.locator(".comments li").count() == 0
    ada.close_tab()

    ben = Watched(browser, stage, color_scheme=scheme)
    page = ben.sign_in("ben")
    page.goto(address)
    heading(page, "Right of first refusal")
    page.locator(".comments li").wait_for()
    assert page.get_by_role("button", name="Delete your comment").count() == 0
    page.keyboard.press("m")
    page.keyboard.type("Yes,\non page 3.")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.locator(".comments li").nth(1).wait_for()
    shown = page.locator(".comments li").all_inner_texts()
    assert [one.split()[0] for one in shown] == ["ada", "ben"]
    assert "Yes,\non page 3." in shown[1]
    for width, height in ((1440, 900), (820, 1180), (390, 844)):
        page.set_viewport_size({"width": width, "height": height})
        page.locator(".comments").scroll_into_view_if_needed()
        ben.draw(f"comments-{scheme}-{width}", ".desk", whole=False)
        ben.check_access(f"comments-{scheme}-{width}")
    page.set_viewport_size({"width": 1280, "height": 800})
    page.get_by_role("button", name="Delete your comment").click()
    page.locator(".comments li").nth(1).wait_for(state="detached")
    page.keyboard.press("m")
    page.keyboard.type("Perhaps")
    page.keyboard.press("Escape")
    assert page.get_by_label("Comment", exact=True).is_hidden()
    page.get_by_role("button", name="Skip").click()
    heading(page, "Change of control")
    page.locator(".entry", has_text="Right of first refusal").click()
    heading(page, "Right of first refusal")
    page.keyboard.press("m")
    assert page.get_by_label("Comment", exact=True).input_value() == "Perhaps"
    page.keyboard.press("Escape")
    item = stage.http.get(f"/v1/items/{address.split('item=')[1]}").json()
    for one in item["comments"]:
        stage.http.delete(f"/v1/items/{item['id']}/comments/{one['id']}").raise_for_status()
    ben.close_tab()
    ada.close()
    ben.close()
