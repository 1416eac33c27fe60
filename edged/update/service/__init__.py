"""The updater's process, which is there for ever: it polls, has refreshes run, and attends to who asks."""
