"""Values and exceptions as text."""
