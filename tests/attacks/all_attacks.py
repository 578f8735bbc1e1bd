"""All attacks: importing this registers those of each module."""

from attacks import files, flood, guess, login, rights, ssh, telnet, text

__all__ = ["files", "flood", "guess", "login", "rights", "ssh", "telnet", "text"]
