"""What review answers is written beside it, as it is."""

from infra.schemas import openapi_of
from tests.support import ROOT


def test_the_file_beside_the_service_is_what_it_answers() -> None:
    """`make schemas` writes the file; a route that changed without it is found here."""
    assert (ROOT / "services/review/openapi.json").read_text("utf-8") == openapi_of("review")
