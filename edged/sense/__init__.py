"""What a device can tell about its surroundings: how warm it is, what powers it. What is not known is said with the reason why."""
