"""Saved applications: split into records, written to a file, and restored."""
