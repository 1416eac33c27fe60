"""What publishing will cost on the network."""
