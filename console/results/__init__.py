"""How values and exceptions read."""
