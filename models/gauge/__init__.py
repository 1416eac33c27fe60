"""A reader of round analog gauges: it finds the needle's angle in a small grey picture."""
