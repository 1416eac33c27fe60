"""What the fleet's documents mean on this device, and the parts that obey them at once."""
