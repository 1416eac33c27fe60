"""What becomes of the versions of models: tried, activated, watched, turned down."""
