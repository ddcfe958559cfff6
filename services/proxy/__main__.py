"""`python -m services.proxy` runs the reverse proxy."""

import threading

import uvicorn

from services.proxy.proxy import ENDING_SECONDS, create_app
from services.proxy.settings import OriginSettings
from shared.logs import configure_logs
from shared.settings import load
from shared.tracing import collected
from shared.web.connections import ServerLimits
from shared.web.server import DRAIN_SECONDS, Server


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    settings, leaving = load(OriginSettings), threading.Event()
    configure_logs("origin", settings.log_level, settings.log_format)
    with collected(settings.traces):
        config = uvicorn.Config(
            create_app(settings, leaving),
            host=settings.host,
            port=settings.origin_port,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=ENDING_SECONDS,
        )
        bounds = ServerLimits(connections=settings.http_connections)
        Server(
            config,
            leaving,
            leave=DRAIN_SECONDS,
            bounds=bounds,
            trusted_proxies=settings.trusted_proxies,
        ).run()


if __name__ == "__main__":
    main()
