"""Small documents that we made for end-to-end tests."""

import json
from collections.abc import Mapping
from email.message import EmailMessage
from typing import Any

CONTRACT = """SERVICES AGREEMENT No. {number}
This Services Agreement is made as of March {day}, 2024 (the "Effective Date") by and between
Northwind Mills {number}, Inc., a Delaware corporation, and Contoso Bakeries LLC ("Client").
1. Term. This Agreement begins on the Effective Date and continues for two (2) years.
2. Assignment. Neither party may assign this Agreement without the other's written consent.
3. Governing Law. This Agreement shall be governed by the laws of the State of New York.
4. Insurance. Northwind shall maintain commercial general liability insurance of $1,000,000.
5. Audit. Client may audit the books of Northwind once a year on ten days' notice.
"""

_LABELS = (
    "Cash and cash equivalents",
    "Inventories",
    "Other assets",
    "Total assets",
    "Accounts payable",
    "Long-term debt",
    "Total liabilities",
    "Common stock",
    "Retained earnings",
    "Total stockholders' equity",
    "Total liabilities and stockholders' equity",
)


def contract(number: int = 1) -> bytes:
    """A short contract with obvious clauses; each number gives different bytes."""
    return CONTRACT.format(number=number, day=1 + number % 28).encode()


def filing(name: str = "acme-2023", *, broken: bool = True, offset: int = 0) -> dict[str, Any]:
    """A balance sheet in structured form. If `broken`, two digits of total assets are swapped."""
    cash, stock, other, payable, debt, common = 600_123, 400_456, 100_789, 301_111, 300_222, 100_000
    cash += offset
    assets, liabilities = cash + stock + other, payable + debt
    retained = assets - liabilities - common
    equity = common + retained
    earlier = [cash, stock, other, assets, payable, debt, liabilities, common, retained, equity]
    earlier.append(assets)
    now = list(earlier)
    now[3] += 9_000 if broken else 0
    rows = [
        {"label": label, "values": [a, b], "unit": "USD"}
        for label, a, b in zip(_LABELS, now, earlier, strict=True)
    ]
    columns = [{"end": "20231231"}, {"end": "20221231"}]
    statement = {"statement": "balance_sheet", "columns": columns, "rows": rows}
    return {"id": name, "company": "Acme", "form": "10-K", "statements": [statement]}


def report(name: str = "acme-2023", *, broken: bool = True, offset: int = 0) -> bytes:
    """A filing as a JSON document in bytes."""
    return json.dumps(filing(name, broken=broken, offset=offset)).encode()


def document_json(**more: Any) -> dict[str, Any]:
    """A contract that has ended, as REST returns it."""
    moment = "2026-01-02T03:04:05Z"
    return {
        **dict.fromkeys(("created", "updated", "ended"), moment),
        "id": "doc_1",
        "name": "a.pdf",
        "sha256": "0" * 64,
        "size": 3,
        "media_type": "application/pdf",
        "kind": "contract",
        "kind_source": "type",
        "state": "ended",
        "outcome": "complete",
        "pages": 2,
        "attempt": 1,
        "actor": "ann",
        **more,
    }


def mail(subject: str, attached: Mapping[str, bytes], body: str = "See what is attached.") -> bytes:
    """A mail with these attachments, by their names, in the format of Python's library."""
    message = EmailMessage()
    message["Message-ID"] = f"<{subject.replace(' ', '-')}@example.com>"
    message["From"] = "Ann <ann@example.com>"
    message["To"] = "Bob <bob@example.com>"
    message["Subject"] = subject
    message.set_content(f"Dear Bob,\n\n{body}\n\nAnn\n")
    for name, data in attached.items():
        message.add_attachment(data, "application", "octet-stream", filename=name)
    return message.as_bytes()
