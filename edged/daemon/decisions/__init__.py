"""Has requests decided by policy, and does what was decided: another variant, later, elsewhere, or not at all."""
