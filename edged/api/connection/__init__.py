"""The connections: which request may come in now, what answers it, an inference or the server library, and how all of them end."""
