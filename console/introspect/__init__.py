"""Introspection: what an operator asks a live service that its objects do not tell."""
