"""What a repository's files are read from: its host, behind the gate, or what somebody brings."""
