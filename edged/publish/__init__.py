"""What a publisher runs: `edge-publish`."""
