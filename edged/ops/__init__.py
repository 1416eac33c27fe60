"""What a fleet's operators say to all devices in signed documents, and what one device makes of it."""
