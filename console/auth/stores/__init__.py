"""Credential stores: where users are kept."""
