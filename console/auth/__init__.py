"""Credentials: where users are kept, and who turns what a peer shows into a principal."""
