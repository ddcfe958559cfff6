"""What is said about encrypted documents: what is missing, and how to give it."""

from shared.errors import EncryptedDocument

HOW = (
    "give its password, with curl as `-F password=...`, on the command line as SMALLPRINT_PASSWORD"
)


def no_password() -> EncryptedDocument:
    """No password came along."""
    return EncryptedDocument(f"the document is encrypted: {HOW}")


def wrong_password() -> EncryptedDocument:
    """The password that came along does not open it."""
    return EncryptedDocument(f"the document is encrypted, and the password given is wrong: {HOW}")
