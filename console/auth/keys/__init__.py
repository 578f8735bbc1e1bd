"""Public keys: their formats, the decision which user they authenticate, and the host keys."""
