"""What all transports of a console have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # all that is behind the door
    from console.auth.authenticator import Authenticator
    from console.interfaces.credentials import Principal
    from console.interfaces.terminals import Admission
    from console.transports.drop_log import DropLog
    from console.transports.unauthenticated import UnauthenticatedConnections


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportContext:
    """What the transports of a console have in common."""

    authenticator: Authenticator
    unauthenticated: UnauthenticatedConnections
    admit: Admission
    drops: DropLog
    grace_seconds: float
    banner: str
    too_many: Callable[[Principal, Sequence[Principal]], str]
    keepalive_seconds: float | None
