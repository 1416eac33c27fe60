"""What edged counts about its own work."""
