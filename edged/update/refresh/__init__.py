"""The refresh process: brings the store up to date once, says what it found, and ends."""
