"""How a service runs: its parts, its worker, and the processes it can be started as."""

from shared.runtime.service import Handler, Service
from shared.runtime.worker import Worker

__all__ = ["Handler", "Service", "Worker"]
