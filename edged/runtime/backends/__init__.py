"""Runtimes that execute models, behind one interface."""

from edged.runtime.backends.base import Backend, Session

__all__ = ["Backend", "Session"]
