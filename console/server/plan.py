"""What a console serves: its settings, as the console's thread gets them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from console.config.settings import (
    EvaluationSettings,
    ListenSettings,
    LoginSettings,
    SessionSettings,
)
from console.interfaces.credentials import CredentialStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a console serves. ``notice`` is called at each login, ``forked`` in a forked child."""

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
    forked: Callable[[], None]
