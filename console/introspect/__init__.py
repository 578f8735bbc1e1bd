"""Introspection: tasks, threads, stacks, signatures and source of a live service."""
