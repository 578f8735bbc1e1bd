"""All attacks: importing this registers those of each module."""

import attacks_flood
import attacks_guess
import attacks_login
import attacks_ssh
import attacks_telnet
import attacks_text

__all__ = [
    "attacks_flood",
    "attacks_guess",
    "attacks_login",
    "attacks_ssh",
    "attacks_telnet",
    "attacks_text",
]
