"""Writes a report as an HTML page for print: one file without scripts."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, tostring

from services.review.report.report import DISCLAIMER, Entry, KeyTerm, Report, Section

STYLE = Path(__file__).with_name("report.css").read_text("utf-8")
_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY = (
    f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
"""The content security policy: nothing but the style of this page."""
MEDIA_TYPE = "text/html; charset=utf-8"


def write_html(report: Report, links: Iterable[tuple[str, str]] = ()) -> bytes:
    """Write a report.

    Args:
        report: the report.
        links: address and text of links above it, which are not printed.
    """
    page = Element("html", lang="en")
    head = SubElement(page, "head")
    SubElement(head, "meta", charset="utf-8")
    SubElement(head, "meta", name="viewport", content="width=device-width, initial-scale=1")
    _add(head, "title", f"{report.kind}: {report.title}")
    _add(head, "style", STYLE)
    body = SubElement(page, "body")
    above = SubElement(body, "nav", {"aria-label": "Report"})
    for address, text in links:
        _add(above, "a", text, href=address)
    main = SubElement(body, "main")
    _add(main, "p", report.kind, "kind")
    _add(main, "h1", report.title)
    if report.subtitle:
        _add(main, "p", report.subtitle, "subtitle")
    if report.draft:
        _add(main, "p", report.draft, "draft")
    facts = SubElement(main, "dl")
    for name, value in report.facts:
        fact = SubElement(facts, "div")
        _add(fact, "dt", name)
        _add(fact, "dd", value)
    for section in report.sections:
        _section(main, section)
    foot = SubElement(main, "footer")
    _add(foot, "p", DISCLAIMER)
    _add(foot, "p", report.about)
    return b"<!doctype html>\n" + bytes(tostring(page, "utf-8", method="html"))


def _add(parent: Element, tag: str, text: str, of_class: str = "", **more: str) -> Element:
    element = SubElement(parent, tag, {**({"class": of_class} if of_class else {}), **more})
    element.text = text
    return element


def _section(main: Element, section: Section) -> None:
    part = SubElement(main, "section")
    _add(part, "h2", section.title)
    for text in section.paragraphs:
        _add(part, "p", text)
    if section.terms:
        _terms(part, section.terms)
    for group in section.groups:
        if group.title:
            _add(part, "h3", group.title)
        for entry in group.entries:
            _entry(part, entry)
    for own in section.lists:
        _add(part, "h3", own.title)
        names = SubElement(part, "ul")
        for name, remark in own.lines:
            line = _add(names, "li", name)
            if remark:
                _add(line, "span", f" · {remark}", "muted")


def _terms(part: Element, terms: Iterable[KeyTerm]) -> None:
    table = SubElement(part, "table")
    heads = SubElement(SubElement(table, "thead"), "tr")
    for name in ("Term", "Value", "Page", "Decision"):
        _add(heads, "th", name, "page" if name == "Page" else "", scope="col")
    for term in terms:
        lines = SubElement(table, "tbody")
        for number, value in enumerate(term.values):
            line = SubElement(lines, "tr")
            if number == 0:
                _add(line, "th", term.name, scope="rowgroup", rowspan=str(len(term.values)))
            _add(line, "td", value.text, "value")
            _add(line, "td", value.page, "page")
            _add(line, "td", value.decision)


def _entry(part: Element, entry: Entry) -> None:
    block = SubElement(part, "div", {"class": "entry"})
    head = SubElement(block, "div", {"class": "apart"})
    title = _add(head, "h4", entry.title)
    if entry.place:
        _add(title, "span", f" · {entry.place}", "muted")
    _add(head, "span", entry.decision, "decision")
    _add(block, "blockquote" if entry.quoted else "p", entry.text)
    for name, text in entry.notes:
        note = _add(block, "p", "")
        _add(note, "span", f"{name}:", "muted").tail = f" {text}"
