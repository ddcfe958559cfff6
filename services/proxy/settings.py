"""Settings of the proxy."""

from __future__ import annotations

from pydantic import Field

from shared.settings import CommonSettings, Port


class OriginSettings(CommonSettings):
    """The addresses of the proxy and of the services."""

    origin_port: Port = Field(8400, description="port that browsers and clients use")
    extraction_url: str = Field("http://127.0.0.1:8402", description="the extraction service")
    triage_url: str = Field("http://127.0.0.1:8403", description="the triage service")
    review_url: str = Field("http://127.0.0.1:8404", description="the review service")
    escalation_url: str = Field("http://127.0.0.1:8405", description="the escalation service")
    origin_probes: str = Field(
        "",
        description="addresses of workers and relays to probe and measure, comma-separated; a host "
        "name counts with all its IP addresses",
    )

    def services(self) -> dict[str, str]:
        """The address of each service by its name."""
        return {
            "ingest": self.ingest_url,
            "extraction": self.extraction_url,
            "triage": self.triage_url,
            "review": self.review_url,
            "escalation": self.escalation_url,
        }

    def processes(self) -> list[str]:
        """The addresses of all processes that answer probes."""
        addresses = (address.strip() for address in self.origin_probes.split(","))
        return [*self.services().values(), *(address for address in addresses if address)]
