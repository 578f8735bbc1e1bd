"""Frontends: how statements are read and outcomes shown, full-screen, line by line, or once."""
