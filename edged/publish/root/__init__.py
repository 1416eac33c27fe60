"""The root of trust: made by several people, gathered signature by signature, and replaced when keys are lost."""
