"""The file of a saved application: its format, and whether it can be trusted.

A line of text with the format's version and the SHA-256 of all that follows; a line of JSON about
the application; and what ``records.py`` makes of its parts. Restoring that runs code. So a file is
read only if no user but ours or root can have written it, and parsed only if it is whole.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from console.errors import StateError
from console.files.atomic import write_atomically
from console.files.exposure import ExposedFileError, read_checked, require_unexposed
from console.text import escape_line

VERSION: Final = 2
_MAGIC: Final = b"console tap "


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says about itself.

    Attributes:
        name: The application's.
        saved_at: When, in ISO 8601.
        python: The version that saved it.
        bytecode: The kind of bytecode in it; empty if there is none.
        not_saved: What could not be saved, a line each.
    """

    name: str
    saved_at: str
    python: str
    bytecode: str
    not_saved: tuple[str, ...]


def write(path: Path, header: Header, payload: bytes) -> None:
    """Replace a file, or leave it as it was; for its owner alone (0600). Blocks; any thread.

    Raises:
        StateError: If it cannot be written.
    """
    rest = json.dumps(dataclasses.asdict(header)).encode() + b"\n" + payload
    first = b"%s%d %s\n" % (_MAGIC, VERSION, hashlib.sha256(rest).hexdigest().encode())
    try:
        require_unexposed(path, None, secret=False, own_group=True, sticky=True)
        write_atomically(path, first + rest)
    except ExposedFileError as error:
        raise StateError(str(path), error.exposure.problem, error.exposure.remedy) from None
    except (OSError, ValueError, RuntimeError) as error:  # a null byte, a link to itself
        raise StateError(
            str(path),
            f"cannot be written: {_reason(error)}",
            "what was there before is unchanged; save to another place",
        ) from None


def read(path: Path) -> tuple[Header, bytes]:
    """Read a file that was saved. Nothing of it is run.

    Returns:
        What it says about itself, and the rest.

    Raises:
        StateError: If it cannot be read or trusted, is damaged, or of an unknown version.
    """
    return _parse(path, _read(path))


def _read(path: Path) -> bytes:
    """Read a file that no user but ours or root can have written."""
    try:
        return read_checked(path, secret=False, own_group=True, sticky=True, limit_bytes=None)
    except ExposedFileError as error:
        exposure = error.exposure
        raise StateError(
            str(path), exposure.problem, f"if you trust it: {exposure.remedy}"
        ) from None
    except (OSError, ValueError, RuntimeError) as error:  # as in write()
        raise StateError(
            str(path), f"cannot be read: {_reason(error)}", "name a file that was saved"
        ) from None


def _parse(path: Path, data: bytes) -> tuple[Header, bytes]:
    first, _, rest = data.partition(b"\n")
    version, _, digest = first.removeprefix(_MAGIC).partition(b" ")
    if not first.startswith(_MAGIC) or not version.isdigit():
        raise StateError(str(path), "is not a saved application", "name a file that was saved")
    if int(version) != VERSION:
        raise StateError(
            str(path),
            f"has format {int(version)}, and this version of console knows {VERSION} only",
            "restore it with the version of console that saved it",
        )
    line, _, payload = rest.partition(b"\n")
    # Before the header is looked at, and long before anything of the pickles runs.
    if hashlib.sha256(rest).hexdigest().encode() != digest:
        raise StateError(
            str(path), "is damaged: its checksum is wrong", "restore an older file, if there is one"
        )
    try:
        about = json.loads(line)
        about["not_saved"] = tuple(about["not_saved"])
        return Header(**about), payload
    except (ValueError, TypeError, KeyError):
        raise StateError(
            str(path),
            "is damaged: it does not say what it holds",
            "restore an older file, if there is one",
        ) from None


def _reason(error: BaseException) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return escape_line(text)
