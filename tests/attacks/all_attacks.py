"""All attacks: importing this registers those of each module."""

from attacks import flood, guess, login, rights, ssh, telnet, text

__all__ = ["flood", "guess", "login", "rights", "ssh", "telnet", "text"]
