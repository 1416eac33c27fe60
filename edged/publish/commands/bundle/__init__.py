"""The actions of ``edge-publish bundle``, one module each."""
