"""The actions of ``edge-publish root``, one module each."""
