"""Processes that execute models, and how the daemon talks to them."""
