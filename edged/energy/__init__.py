"""What models cost a device: energy where it can be measured, bytes, and time at each thermal level; kept by day."""
