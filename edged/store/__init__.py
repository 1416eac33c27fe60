"""What is on the disk: verified bundles, and which slot holds which."""
