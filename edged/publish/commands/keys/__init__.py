"""The actions of ``edge-publish keys``, one module each."""
