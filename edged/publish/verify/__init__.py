"""Look at a published repository as a device would, and name everything that is wrong with it at once."""
