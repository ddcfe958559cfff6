"""How long a server of PostgreSQL that is gone is waited for.

A machine that vanishes (power, network, a switch between nodes) sends nothing: without bounds of
ours the system waits two hours before it looks, and some 15 minutes for what it has sent.
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
"""Parameters of libpq, in seconds, the last in milliseconds: a server that is silent is asked for a
sign after 30 s, and given up a minute after its last one at the latest, or 30 s after anything was
sent to it that it did not take. A query may take as long as it takes: the server's system answers
meanwhile. Who sends more than that system keeps leaves the last one out: a server whose disk stands
still takes nothing for a while, and is there.
"""


def timeouts(url: URL) -> dict[str, str]:
    """These parameters for a connection, but for those that its URL states itself; none for another
    database or driver.
    """
    if url.drivername != "postgresql+psycopg":
        return {}
    return {name: value for name, value in DEFAULTS.items() if name not in url.query}
