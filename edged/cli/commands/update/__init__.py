"""The verbs of ``edgectl update``, one module each."""
