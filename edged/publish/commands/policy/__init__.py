"""The actions of ``edge-publish policy``, one module each."""
