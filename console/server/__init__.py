"""What runs on the console's thread: sockets, transports, sessions, from start to stop."""
