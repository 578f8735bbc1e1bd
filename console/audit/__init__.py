"""Audit: logins, sessions, statements and exceptions, as log entries."""
