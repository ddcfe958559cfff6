"""Time limits for a PostgreSQL server that vanished (power, network, failover).

Without these limits the operating system waits up to two hours, and 15 minutes for sent data.
"""

from __future__ import annotations

from sqlalchemy.engine import URL

DEFAULTS = {
    "connect_timeout": "10",
    "keepalives": "1",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
"""Parameters of libpq, in seconds; the last one in milliseconds.

A silent server is probed after 30 s and given up after a minute, or 30 s after data it did not
take. Queries may take longer, since the server's system answers the probes. Leave out the last one
to send much at once: a server with a slow disk takes no data for a while, and still works.
"""


def timeouts(url: URL) -> dict[str, str]:
    """The parameters that a URL of PostgreSQL does not state itself; none for another database."""
    if url.drivername != "postgresql+psycopg":
        return {}
    return {name: value for name, value in DEFAULTS.items() if name not in url.query}
