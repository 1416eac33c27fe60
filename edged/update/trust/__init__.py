"""What the repository really says, with python-tuf, and what is kept of it."""
