"""Settings: declared once, read from a file, from the environment or from code."""
