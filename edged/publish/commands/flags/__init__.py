"""The actions of ``edge-publish flags``, one module each."""
