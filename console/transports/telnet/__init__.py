"""Telnet (RFC 854), in plain text or within TLS."""
