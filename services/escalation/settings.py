"""What may be configured in escalation."""

from __future__ import annotations

from pydantic import Field

from shared.settings import CommonSettings, Port


class Settings(CommonSettings):
    """Settings of escalation, beside the common ones. There is no provider to configure yet."""

    escalation_port: Port = Field(8405, description="port of escalations, costs and policy")
    escalation_database_url: str = Field(
        "", description="SQLAlchemy URL; empty: escalation.db below the data folder"
    )
