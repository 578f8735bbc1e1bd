"""Context: whose code is running, the names it sees, and what Ctrl-C must not interrupt."""
