"""The daemon's side of the workers: starts them, hands them runs and memory, and takes their answers."""
