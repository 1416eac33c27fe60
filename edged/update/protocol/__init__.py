"""What is said between the updater's processes, on its control socket, and to the daemon."""
