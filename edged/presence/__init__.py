"""Whether a person uses this device, asked of systemd-logind by a process that can do nothing else (``edged-presence``)."""
