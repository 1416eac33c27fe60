"""Asks the repository's host whether it has something new, for some hundred bytes, and says when to ask again."""
