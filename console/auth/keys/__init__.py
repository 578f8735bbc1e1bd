"""Public keys: how they are written, which open an account, and the host's own."""
