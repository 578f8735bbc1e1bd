"""Audit: who came, what they ran, what went wrong, as log entries."""
