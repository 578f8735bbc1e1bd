"""The settings of a console, as they are passed to the console's thread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from console.config.settings import (
    EvaluationSettings,
    ListenSettings,
    LoginSettings,
    SessionSettings,
)
from console.interfaces.credentials import CredentialStore

if TYPE_CHECKING:  # the events are not needed to start
    from console.events import Subscriber


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The settings of one run of a console.

    Attributes:
        notice: Called at each login, on the console's thread.
        subscribers: The service's event subscribers; called on a separate thread.
        forked: Called in a forked child, which has no thread of the console.
    """

    name: str
    namespace: dict[str, Any]
    credentials: CredentialStore
    listeners: tuple[ListenSettings, ...]
    login: LoginSettings
    keys: Path
    history: Path | None
    evaluation: EvaluationSettings
    sessions: SessionSettings
    notice: Callable[[], str]
    subscribers: tuple[Subscriber, ...]
    forked: Callable[[], None]
