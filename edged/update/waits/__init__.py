"""The waits of the updater's process, which has one thread, and connections whose waits they are."""
