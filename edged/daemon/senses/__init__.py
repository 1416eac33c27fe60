"""The daemon's view of the device it is on: sensors, power, network and clock, kept up to date."""
