"""edgectl's verbs, one module each, or a folder with one for each verb below: ``add`` makes the parser, ``run`` does the work."""
