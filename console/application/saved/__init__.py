"""Saved applications: taken apart into records, written to a file, and put together again."""
