"""Detects text that addresses a model instead of the parties of a document.

Such a passage is not sent to a model. The filter is incomplete. The second defence is that an
answer can only point at text of the document, which a person reviews.
"""

from __future__ import annotations

import base64
import html
import re
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import unquote

_MACHINE = (
    r"(?:ai|assistant|chat ?bot|chatgpt|gpt(?:-?\d\S*)?|claude|gemini|copilot|llms?|bot"
    r"|(?:large )?language models?|(?:ai|language|automated|machine) (?:model|system|agent|review"
    r"er|assistant|tool)s?)"
)
_RULES = (
    r"(?:instruct\w*|prompts?|rules?|directions?|directives?|guidelines?|commands?|messages?"
    r"|tasks?|training)"
)
_PATTERNS = [
    re.compile(pattern)
    for pattern in (
        rf"\b(?:ignor\w*|disregard\w*|forget\w*|overrid\w*|bypass\w*|skip|drop|cancel)\b.{{0,40}}"
        rf"\b(?:previous|prior|preceding|above|earlier|former|your|all|any|these|system|original)\b"
        rf".{{0,30}}\b{_RULES}\b",
        rf"\b(?:new|updated|real|actual|hidden|special) (?:\w+ )?{_RULES}\b.{{0,20}}(?::|for you)",
        rf"\byou (?:are|act|must act|will act|should act)\b(?: now)?(?: as)?(?: an?| the)? "
        rf".{{0,25}}\b{_MACHINE}\b",
        rf"\b(?:act|behave|respond|pretend|roleplay|speak) (?:now )?(?:as|like|to be) "
        rf"(?:if you (?:are|were) )?(?:an? |the )?.{{0,20}}\b{_MACHINE}\b",
        rf"\b(?:note|notice|message|attention|memo|instruct\w*|request|hello|hi|hey|dear|warning)"
        rf"\b.{{0,12}}\b(?:to |for )?(?:the |any |all )?{_MACHINE}\b",
        rf"\bif (?:you are|this is|read by|processed by|you'?re)(?: being read by)? "
        rf"(?:an?|any|the) .{{0,20}}\b{_MACHINE}\b",
        rf"\b(?:as|being) an? {_MACHINE}\b",
        r"<\|[a-z_]{2,30}\|>|\[/?inst\]|<</?sys>>|<start_of_turn>|<end_of_turn>",
        r"## ?(?:system|instructions?|assistant|user|human|response|task)\b",
        r"(?:^|\n|\. ) *(?:system|assistant|human|developer)\s*+(?:(?:prompt|message)\s*+)?:",
        r"</?(?:system|assistant|instructions?|prompt|passage|user|tool_call|function)\b[^>]{0,40}>",
        r"\b(?:system|developer|user|hidden) (?:prompt|message)s?\b",
        r"[\"']?\bverdict[\"']? ?[:=]|[\"']quotes[\"'] ?:|[\"']role[\"'] ?: ?[\"']",
        r"\b(?:prompt injection|jailbreak|dan mode|developer mode|do anything now)\b",
        r"\b(?:respond|answer|reply|output|print|return|say|write|conclude)\b.{0,25}"
        r"\b(?:only|exactly|always|nothing but|just|simply|with the (?:json|word|verdict)|in json"
        r"|json)\b.{0,20}(?:[\"'{:\u201c\u2018]|\babsent\b|\bpresent\b|\bunsure\b|\byes\b|\bno\b)",
        r"\b(?:always|only|just|simply) (?:answer|respond|reply|say|output|conclude|return)\b",
        r"\b(?:mark|report|classify|label|treat|declare|flag)\b.{0,40}\bas (?:[\"'])?"
        r"(?:absent|present|not present|not found|unsure|safe|compliant|irrelevant)\b(?! \w)",
        r"\b(?:do not|don'?t|never) (?:extract|flag|report|mention|escalate|quote|cite|detect"
        r"|reveal|summari[sz]e)\b.{0,30}\b(?:this|the|any|following|above|below)\b.{0,20}"
        r"\b(?:clauses?|passages?|text|section|paragraph|provisions?|words|prompt)\b",
        r"\b(?:reveal|print|show|repeat|disclose|send|leak|tell)\b.{0,30}\b(?:your|the|all)\b.{0,20}"
        r"\b(?:prompt|instructions?|api key|keys?|system|secrets?|configuration)\b",
        r"\b(?:call|invoke|use|run|execute)\b.{0,15}\bthe\b.{0,20}\b(?:tool|function|plugin|browser"
        r"|code interpreter|shell)\b",
        r"\bignoriere\w*\b.{0,40}\b(?:anweisung\w*|vorherig\w*|obig\w*)\b",
        r"\bignore[zr]?\b.{0,30}\b(?:instructions?|consignes?) (?:pr[eé]c[eé]dentes?|ci-dessus)",
        r"\bignora\w*\b.{0,40}\b(?:instrucciones|istruzioni|anteriores|precedenti)\b",
        r"忽略.{0,12}(?:指令|指示|提示)|無視.{0,12}(?:指示|命令)|игнорируй\w{0,30}.{0,30}инструкц",
    )
]
_TAGS = re.compile("[\U000e0000-\U000e007f]|[\u202a-\u202e\u2066-\u2069]{2}")
_UNSEEN = frozenset(("Cf", "Mn", "Me"))  # categories of invisible characters
_FILLERS = "\u115f\u1160"  # invisible letters
_LOOKALIKES = [str.maketrans("0134@$", f"o{one}eaas") for one in "il"]
_ALPHABETS = str.maketrans(
    "\u0430\u0432\u0435\u043a\u043c\u043d\u043e\u0440\u0441\u0442\u0443\u0445\u0456\u0458\u0455"
    "\u0501\u04bb\u04cf\u051b\u051d\u0261\u03b1\u03b3\u03b5\u03b7\u03b9\u03ba\u03bd\u03bf\u03c1"
    "\u03c4\u03c5\u03c7",
    "abekmhopctyxijsdhlqwgayenikvoptux",
)
"""Small letters of Cyrillic and Greek that look like Latin ones (after UTS 39 of Unicode)."""
_SPACED = re.compile(r"\b(?:\w[ .\-_*]){5,}\w\b")
_DIVIDED = re.compile(r"(?<=\w)[-\u2010]\n *(?=\w)")
_SPACE = re.compile(r"\s")
_ENCODED = re.compile(r"[A-Za-z0-9+/_-]{24,}={0,2}")


def speaks_to_machines(text: str) -> str | None:
    """Return the first words that address a model, if there are any."""
    if found := _TAGS.search(text):
        return f"characters that nobody sees, such as U+{ord(found[0][0]):04X}"
    for one in (text, *_decoded(text)):
        for form in _forms(one):
            for pattern in _PATTERNS:
                if found := pattern.search(form):
                    return "".join(c if c.isprintable() else " " for c in found[0].strip()[:80])
    return None


def _forms(text: str) -> Iterator[str]:
    """Variants of the text: in one line, without spaced or divided words, with look-alikes
    replaced.
    """
    clear = _seen(unicodedata.normalize("NFKC", text))
    clear = re.sub(r"[^\S\n]+", " ", clear.casefold())
    flat = clear.replace("\n", " ")
    yield clear
    yield flat
    yield _SPACED.sub(lambda spaced: re.sub(r"[ .\-_*]", "", spaced[0]), flat)
    if _DIVIDED.search(clear):
        yield _DIVIDED.sub("", clear).replace("\n", " ")
    yield from (flat.translate(table) for table in _LOOKALIKES)
    if (latin := flat.translate(_ALPHABETS)) != flat:
        yield latin


def _decoded(text: str) -> Iterator[str]:
    """The text decoded from HTML entities, percent signs, Base64 and hexadecimal digits."""
    yield from (form for form in (html.unescape(text), unquote(text)) if form != text)
    for run in _ENCODED.findall(_seen(text)):
        for decode in (bytes.fromhex, _of_base64):
            with suppress(ValueError):
                words = decode(run).decode(errors="replace")  # odd bytes hide nothing
                if _SPACE.search(words):
                    yield words


def _seen(text: str) -> str:
    """The text without invisible characters."""
    if text.isascii():
        return text
    return "".join(c for c in text if unicodedata.category(c) not in _UNSEEN and c not in _FILLERS)


def _of_base64(run: str) -> bytes:
    bare = run.rstrip("=").replace("-", "+").replace("_", "/")
    return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
