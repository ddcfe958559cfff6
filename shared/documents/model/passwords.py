"""The error about an encrypted document."""

from shared.errors import EncryptedDocument

HOW = (
    "give its password: in the field of the page Documents, as SMALLPRINT_PASSWORD on the command "
    "line, or over HTTP in a new upload (`-F password=...`) or in the body of `reprocess`"
)


def password_error(password: str | None) -> EncryptedDocument:
    """Return the error of a missing or wrong password."""
    what = "encrypted, and this password is wrong" if password else "encrypted"
    return EncryptedDocument(f"the document is {what}: {HOW}")
