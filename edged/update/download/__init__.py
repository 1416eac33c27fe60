"""One file, brought chunk by chunk from wherever it costs least, and checked as it arrives."""
