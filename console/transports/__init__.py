"""Transports: speak ssh or telnet, and yield terminals of authenticated principals."""
