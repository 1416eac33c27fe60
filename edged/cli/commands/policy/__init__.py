"""The verbs of ``edgectl policy``, one module each."""
