"""Where users and keys are kept if no directory is named."""

from __future__ import annotations

from pathlib import Path


def default_keys_directory() -> Path:
    """Return the directory of users and keys of this system user, where none is named."""
    import platformdirs  # noqa: PLC0415 - 12 ms that a console with a directory of its own saves

    return platformdirs.user_data_path("console") / "keys"
