"""Users and what they prove themselves with: keys, certificates, credential stores, principals."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol


class Role(enum.Enum):
    """What a user may do. A viewer looks, an operator evaluates, an admin also manages sessions.

    Whoever evaluates Python in the process can do all that the process can: between operator and
    admin stands convention, between viewer and operator a wall.
    """

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Peer:
    """The other end of a connection.

    Attributes:
        host: Its IP address as text; empty for a Unix socket, which has none.
        port: Its port.
        uid: The system user at the other end of a Unix socket; None for TCP.
    """

    host: str
    port: int = 0
    uid: int | None = None

    def __str__(self) -> str:
        if not self.host:
            return "unix" if self.uid is None else f"unix:{self.uid}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class KeyOptions:
    """What stands before a key in an ``authorized_keys`` line (sshd(8)), all of it enforced.

    Attributes:
        sources: The patterns of ``from=``; empty for any address.
        command: The statement of ``command=``, which runs whatever the client asks for.
        expires_at: ``expiry-time=``, in seconds since the epoch; None for never.
        pty: Whether a terminal may be had: ``restrict`` and ``no-pty`` take it away.
        authority: ``cert-authority``: the key signs certificates and opens nothing itself.
        principals: ``principals=``: what a certificate of this authority has to name instead of
            the user; empty for the user's name.
    """

    sources: tuple[str, ...] = ()
    command: str | None = None
    expires_at: float | None = None
    pty: bool = True
    authority: bool = False
    principals: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AuthorizedKey:
    """One line of an ``authorized_keys`` file: a key that lets a user in, or an authority.

    ``blob`` is the key in the wire form of RFC 4253 section 6.6, which is what keys are compared
    by; ``place`` is the file and line that grants it.
    """

    algorithm: str
    blob: bytes
    fingerprint: str
    comment: str
    place: str
    options: KeyOptions = KeyOptions()


@dataclass(frozen=True, slots=True)
class Certificate:
    """What an OpenSSH certificate says (PROTOCOL.certkeys), its authority's signature verified.

    Attributes:
        authority: The key that signed it, in wire form.
        is_user: Whether it is for a user; else it is for a host.
        valid_after: In seconds since the epoch.
        valid_before: In seconds since the epoch; 2**64 - 1 for ever.
        critical: The critical options, name and data.
        extensions: The names of the extensions (``permit-pty``).
    """

    authority: bytes
    is_user: bool
    serial: int
    key_id: str
    principals: tuple[str, ...]
    valid_after: int
    valid_before: int
    critical: tuple[tuple[str, bytes], ...]
    extensions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OfferedKey:
    """A public key that a peer shows, alone or in a certificate. It proves nothing yet."""

    algorithm: str
    blob: bytes
    certificate: Certificate | None = None


class CredentialStore(Protocol):
    """Where users are kept. Implement this to let the users of your service in.

    The methods may block: they are called on the authenticator's own thread, never on a loop, and
    one at a time. An exception lets nobody in; it is logged.

    A store may have more methods, which are looked for by name:

    * ``role(name) -> Role``: without it everybody is an operator.
    * ``second_factor() -> bool``: whether any user has one, so that all are asked for a code.
    * ``has_second_factor(name) -> bool`` and ``use_code(name, code) -> bool``: the code of one
      user, which is good once.
    * ``is_revoked(key: OfferedKey) -> str``: why a key or certificate opens nothing any more;
      empty if it is not revoked.
    """

    def password_hash(self, name: str) -> str | None:
        """Return the user's argon2 hash in PHC form; None if no password lets this user in.

        The same one until the password changes: another one ends what the old one let in.
        """

    def authorized_keys(self, name: str) -> Sequence[AuthorizedKey]:
        """Return the public keys that open exactly this user's account."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody who has proved who they are, the same for each transport.

    Attributes:
        user: The name in the store.
        transport: How they came.
        peer: The address of the other end, as text.
        method: ``password`` or ``publickey``.
        role: What they may do.
        command: A statement that runs whatever they ask for, as their key has it.
        pty: Whether they may have a terminal.
        proof: A digest of what their password was compared with, which another password changes;
            empty for a key.
    """

    user: str
    transport: str
    peer: str
    method: str
    role: Role = Role.OPERATOR
    command: str | None = None
    pty: bool = True
    proof: bytes = field(default=b"", repr=False, compare=False)
