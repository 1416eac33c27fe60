"""What was signed."""

MODEL = b"These bytes stand for a model.\n"
