"""Hardware in the loop: one suite for a virtual board and for real ones, on labgrid."""
