"""Throttling of wrong passwords, codes and keys. Rules without I/O, except for the turns."""
