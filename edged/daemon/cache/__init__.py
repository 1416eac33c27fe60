"""Answers that are known already: made by background requests when nothing else is to be done, and given at once when somebody waits."""
