"""Run a service: its parts, its worker, and its processes."""

from shared.runtime.service import Handler, Service
from shared.runtime.worker import Worker

__all__ = ["Handler", "Service", "Worker"]
