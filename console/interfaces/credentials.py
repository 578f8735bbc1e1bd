"""Users and their credentials: keys, certificates, credential stores, principals."""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field


class Role(enum.Enum):
    """A user's rights. A viewer inspects, an operator evaluates, an admin also manages sessions.

    A user who evaluates Python in the process can do all that the process can. So the limit
    between operator and admin is a convention. The limit between viewer and operator is enforced:
    a viewer's session evaluates nothing.
    """

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Peer:
    """The other end of a connection.

    Attributes:
        host: The peer's IP address as text; empty for a Unix socket, which has none.
        port: The peer's TCP port; 0 for a Unix socket.
        uid: The user ID of the process at the other end of a Unix socket; None for TCP.
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
    """The options of a key in an ``authorized_keys`` line (sshd(8)). All are enforced.

    Attributes:
        sources: The patterns of ``from=``; empty for any address.
        command: The statement of ``command=``, which runs instead of the client's command or
            shell.
        expires_at: ``expiry-time=``, in seconds since the epoch; None for never.
        pty: Whether the client may request a terminal; False for ``restrict`` and ``no-pty``.
        authority: ``cert-authority``: the key signs certificates and is not accepted for a login
            itself.
        principals: ``principals=``: the principals of which a certificate of this authority has
            to name one; empty if it has to name the user.
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

    ``blob`` is the key in the wire form of RFC 4253 section 6.6; keys are compared by it.
    ``place`` is the file and line of the key.
    """

    algorithm: str
    blob: bytes
    fingerprint: str
    comment: str
    place: str
    options: KeyOptions = KeyOptions()


@dataclass(frozen=True, slots=True)
class Certificate:
    """The fields of an OpenSSH certificate (PROTOCOL.certkeys) with a verified signature.

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
    """A public key that a peer offers, alone or in a certificate, before it has signed."""

    algorithm: str
    blob: bytes
    certificate: Certificate | None = None


class CredentialStore(ABC):
    """The store of the users. Derive from this to let the users of your service log in.

    Two methods are abstract: `password_hash` and `authorized_keys`. The others have defaults, for
    a store without roles, second factors and revocations.

    The methods may block. `prepare` is called on a thread of the console's pool before any socket
    listens. The others are called on the authenticator's own thread, one at a time. None is called
    on an event loop. An exception that one of these raises is logged, and the login is refused.
    """

    @abstractmethod
    def password_hash(self, name: str) -> str | None:
        """Return the user's argon2 hash in PHC form; None if no password is accepted.

        Return the same hash until the password changes. After a change, a connection that logged
        in with the old hash gets no further session.

        Args:
            name: The user name that the peer sent: any characters, and maybe no existing user.
        """

    @abstractmethod
    def authorized_keys(self, name: str) -> Sequence[AuthorizedKey]:
        """Return the public keys that are accepted for this user, and no others."""

    def prepare(self) -> None:
        """Check at the console's start that the users can be read. Checks nothing by default.

        Raises:
            ConsoleError: If they cannot be read. The console does not start then.
        """
        return

    def role(self, name: str) -> Role:
        """Return the user's role; it counts from the next session. By default an operator."""
        return Role.OPERATOR

    def second_factor(self) -> bool:
        """Whether any user has a second factor: then all are asked for a code. By default no."""
        return False

    def has_second_factor(self, name: str) -> bool:
        """Whether the user needs a code in addition to the password. By default no.

        Called only after the password has been verified.
        """
        return False

    def use_code(self, name: str, code: str) -> bool:
        """Verify a code and mark it as used: each is valid once. By default no code is valid.

        Returns:
            Whether the code is right and was not used before.
        """
        return False

    def is_revoked(self, key: OfferedKey) -> str:
        """Return why a key or certificate is revoked; empty if it is not, as by default."""
        return ""

    def strict(self) -> CredentialStore:
        """Return the same users, in a store that raises an error for what it cannot read.

        The users of open sessions are looked up in it: what cannot be read ends no session. By
        default it is this store. Override this where an unreadable file reads as "no such user".
        """
        return self


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated user, the same for each transport.

    Attributes:
        user: The name in the store.
        transport: The transport of the login.
        peer: The address of the other end, as text.
        method: ``password`` or ``publickey``.
        role: What the user may do.
        command: A statement that runs in place of what the client asks for, as the key has it.
        pty: Whether the client may have a terminal.
        proof: A digest of the hash that the password was compared with, which another password
            changes; empty for a key.
        key: The key or certificate of the login; None for a password.
        address: The other end, for the ``from=`` of the key.
        login: The number of the login; all sessions of a connection have the same one.
    """

    user: str
    transport: str
    peer: str
    method: str
    role: Role = Role.OPERATOR
    command: str | None = None
    pty: bool = True
    proof: bytes = field(default=b"", repr=False, compare=False)
    key: OfferedKey | None = field(default=None, repr=False, compare=False)
    address: Peer = field(default=Peer(""), repr=False, compare=False)
    login: int = field(default=0, repr=False, compare=False)


class AccessState(enum.Enum):
    """What has become of the access of a user who has logged in."""

    HELD = "held"
    EXPIRED = "expired"
    CHANGED = "password changed"
    ENDED = "ended"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Access:
    """The answer to whether a login would still succeed.

    Attributes:
        state: HELD if it would; EXPIRED if only the time of the key or certificate is over;
            CHANGED if the password is another one; ENDED if the user, the password or the key has
            been removed or revoked; UNKNOWN if it cannot be looked up now.
        principal: The principal with what the store says now; as it was if ENDED or UNKNOWN.
        reason: Why it is not HELD, for the log.
        changed_by: The number of the session whose statement changed the password; 0 if not known.
    """

    state: AccessState
    principal: Principal
    reason: str = ""
    changed_by: int = 0
