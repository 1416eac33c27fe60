"""The actions of ``edge-publish rollout``, one module each."""
