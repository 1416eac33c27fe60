"""What edged is measured against. Each module runs as a process: ``python -m bench.servers.NAME SOCKET MODEL=FILE...``."""
