"""edgectl's verbs, one module each: ``add`` makes the parser, ``run`` does the work."""
