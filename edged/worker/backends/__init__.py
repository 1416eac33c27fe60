"""Runtimes that execute models, behind one interface."""

from edged.worker.backends.base import Backend, Session, Stop, stopped

__all__ = ["Backend", "Session", "Stop", "stopped"]
