"""Answers that are known already, and what is known on the way to them: made by background requests when nothing else is to be done."""
