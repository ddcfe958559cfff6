"""The 41 categories of the Contract Understanding Atticus Dataset, verbatim, with their questions.

Source of the names: CUAD v1 (The Atticus Project, CC BY 4.0); the questions are shortened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from shared.errors import InvalidRequest

CATEGORIES: dict[str, str] = {
    "Document Name": "The name of the contract",
    "Parties": "Who signed it",
    "Agreement Date": "The date of the contract",
    "Effective Date": "When it takes effect",
    "Expiration Date": "When the initial term ends",
    "Renewal Term": "What follows the initial term",
    "Notice Period To Terminate Renewal": "Notice needed to stop a renewal",
    "Governing Law": "Whose law governs it",
    "Most Favored Nation": "Better terms for others must be given too",
    "Non-Compete": "A party may not compete",
    "Exclusivity": "A party must deal with the other alone",
    "No-Solicit Of Customers": "Customers or partners may not be solicited",
    "Competitive Restriction Exception": "Exceptions to the restrictions on competing",
    "No-Solicit Of Employees": "Employees may not be solicited or hired",
    "Non-Disparagement": "A party may not disparage the other",
    "Termination For Convenience": "May be ended by notice, without cause",
    "Rofr/Rofo/Rofn": "Right of first refusal, offer or negotiation",
    "Change Of Control": "Rights when a party changes hands",
    "Anti-Assignment": "Consent or notice before it is assigned",
    "Revenue/Profit Sharing": "Revenue or profit is shared",
    "Price Restrictions": "Limits on raising or reducing prices",
    "Minimum Commitment": "A least amount must be bought",
    "Volume Restriction": "Fees or consent beyond a volume",
    "Ip Ownership Assignment": "Intellectual property passes to the other party",
    "Joint Ip Ownership": "Intellectual property is owned together",
    "License Grant": "A licence is granted",
    "Non-Transferable License": "The licence may not be passed on",
    "Affiliate License-Licensor": "The licensor's affiliates grant too",
    "Affiliate License-Licensee": "The licensee's affiliates may use it too",
    "Unlimited/All-You-Can-Eat-License": "Use without limit",
    "Irrevocable Or Perpetual License": "The licence can't be ended, or never ends",
    "Source Code Escrow": "Source code is deposited with a third party",
    "Post-Termination Services": "Duties that go on after the end",
    "Audit Rights": "Books or premises may be inspected",
    "Uncapped Liability": "Liability without limit",
    "Cap On Liability": "Liability is limited",
    "Liquidated Damages": "An agreed sum for a breach or an early end",
    "Warranty Duration": "How long a warranty lasts",
    "Insurance": "Insurance must be held",
    "Covenant Not To Sue": "A party may not contest or sue",
    "Third Party Beneficiary": "Somebody else may enforce it",
}

TITLES: dict[str, str] = {
    "Document Name": "Document name",
    "Agreement Date": "Agreement date",
    "Effective Date": "Effective date",
    "Expiration Date": "Expiration date",
    "Renewal Term": "Renewal term",
    "Notice Period To Terminate Renewal": "Notice to stop renewal",
    "Governing Law": "Governing law",
    "Most Favored Nation": "Most favored nation",
    "Non-Compete": "Non-compete",
    "No-Solicit Of Customers": "No-solicit of customers",
    "Competitive Restriction Exception": "Exception to the non-compete",
    "No-Solicit Of Employees": "No-solicit of employees",
    "Non-Disparagement": "Non-disparagement",
    "Termination For Convenience": "Termination for convenience",
    "Rofr/Rofo/Rofn": "Right of first refusal",
    "Change Of Control": "Change of control",
    "Anti-Assignment": "Anti-assignment",
    "Revenue/Profit Sharing": "Revenue or profit sharing",
    "Price Restrictions": "Price restrictions",
    "Minimum Commitment": "Minimum commitment",
    "Volume Restriction": "Volume restriction",
    "Ip Ownership Assignment": "IP ownership assignment",
    "Joint Ip Ownership": "Joint IP ownership",
    "License Grant": "License grant",
    "Non-Transferable License": "Non-transferable license",
    "Affiliate License-Licensor": "Affiliate license (licensor)",
    "Affiliate License-Licensee": "Affiliate license (licensee)",
    "Unlimited/All-You-Can-Eat-License": "Unlimited license",
    "Irrevocable Or Perpetual License": "Irrevocable or perpetual license",
    "Source Code Escrow": "Source code escrow",
    "Post-Termination Services": "Post-termination services",
    "Audit Rights": "Audit rights",
    "Uncapped Liability": "Uncapped liability",
    "Cap On Liability": "Cap on liability",
    "Liquidated Damages": "Liquidated damages",
    "Warranty Duration": "Warranty duration",
    "Covenant Not To Sue": "Covenant not to sue",
    "Third Party Beneficiary": "Third-party beneficiary",
}
"""Names for people, where they differ from the category."""

SUBJECTS: dict[str, tuple[str, ...]] = {
    "Basics": ("Document Name", "Parties", "Agreement Date", "Effective Date", "Governing Law"),
    "Term and termination": (
        "Expiration Date",
        "Renewal Term",
        "Notice Period To Terminate Renewal",
        "Termination For Convenience",
        "Post-Termination Services",
        "Change Of Control",
        "Anti-Assignment",
    ),
    "Money": (
        "Revenue/Profit Sharing",
        "Price Restrictions",
        "Minimum Commitment",
        "Volume Restriction",
        "Most Favored Nation",
        "Audit Rights",
    ),
    "License and IP": (
        "License Grant",
        "Affiliate License-Licensor",
        "Affiliate License-Licensee",
        "Non-Transferable License",
        "Irrevocable Or Perpetual License",
        "Unlimited/All-You-Can-Eat-License",
        "Ip Ownership Assignment",
        "Joint Ip Ownership",
        "Source Code Escrow",
    ),
    "Restrictions": (
        "Exclusivity",
        "Non-Compete",
        "Competitive Restriction Exception",
        "No-Solicit Of Customers",
        "No-Solicit Of Employees",
        "Non-Disparagement",
        "Rofr/Rofo/Rofn",
    ),
    "Liability and disputes": (
        "Cap On Liability",
        "Uncapped Liability",
        "Liquidated Damages",
        "Warranty Duration",
        "Insurance",
        "Covenant Not To Sue",
        "Third Party Beneficiary",
    ),
}
"""The categories by what they are about, in the order for people."""

DAYS = frozenset({"Agreement Date", "Effective Date"})
"""Categories of which the value is a day, and never a duration."""

OTHER = "Other"
"""The subject of a category that is not listed, such as one that a tenant taught."""

_SPELLED = {name.casefold(): name for name in CATEGORIES}

_SUBJECT_OF = {name: subject for subject, names in SUBJECTS.items() for name in names}


def title_of(category: str) -> str:
    """Return the name of a category for people."""
    return TITLES.get(category, category)


def subject_of(category: str) -> str:
    """Return what a category is about."""
    return _SUBJECT_OF.get(category, OTHER)


def find_categories(names: Iterable[str], has_results: Callable[[str], bool]) -> tuple[str, ...]:
    """Return the categories of a filter: clause types in upper or lower case, others verbatim.

    Args:
        names: from the client.
        has_results: whether exactly this category is known from results.

    Raises InvalidRequest for an unknown category.
    """
    found: set[str] = set()
    for name in names:
        spelled = _SPELLED.get(name.casefold())
        if not spelled and not has_results(name):
            raise InvalidRequest(
                f"category: {name!r} is no clause type, and there are no such results. The list of "
                "clause types is in docs/reference/clause-types.md"
            )
        found |= {spelled or name, name}
    return tuple(found)
