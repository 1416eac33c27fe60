"""What the daemon and its workers both know: requests and answers, the messages between them, and the memory they share."""
