"""When a new version may take over on a device, and whether it may stay. Pure."""
