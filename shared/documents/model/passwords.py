"""The error about an encrypted document."""

from shared.errors import EncryptedDocument

HOW = (
    "give its password, with curl as `-F password=...`, on the command line as SMALLPRINT_PASSWORD"
)


def password_error(password: str | None) -> EncryptedDocument:
    """Return the error of a missing or wrong password."""
    what = "encrypted, and this password is wrong" if password else "encrypted"
    return EncryptedDocument(f"the document is {what}: {HOW}")
