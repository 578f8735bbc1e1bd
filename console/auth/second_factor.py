"""Second factors: codes of an authenticator app (TOTP, RFC 6238), a file for each user.

What every app does without being told: HMAC-SHA-1, six digits, a step of thirty seconds. A code
of the step before or after the present one is taken too, for clocks that differ and for people
who type slowly; none is taken twice, nor one older than the last that was taken. The last step is
kept on the disk, so that a restart forgets nothing.

The directory ``second_factors`` holds a file ``NAME`` for each user who has one::

    totp JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP
    used 57712345

A file that cannot be read, trusted or understood is a second factor all the same, one for which
there is no right code. The secret is in the file and in the `Enrolment` that is shown once; no
error has it.

pyotp is an extra, so only what makes or checks a code imports it.
"""

from __future__ import annotations

import hmac
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from console.errors import CredentialError
from console.files.atomic import make_private_directory, write_atomically
from console.files.exposure import exposure_of, read_with_status

if TYPE_CHECKING:
    from pyotp import TOTP

FACTORS_DIRECTORY: Final = "second_factors"
"""Within the keys directory: a file for each user who has one."""

STEP_SECONDS: Final = 30
DIGITS: Final = 6
WINDOW_STEPS: Final = 1
"""RFC 6238 section 5.2 advises one step; more gives a guesser more right answers."""

SECRET_CHARACTERS: Final = 32
"""Of base32: the 160 bits that RFC 4226 section 4 asks for."""

_FILE = re.compile(r"totp ([A-Z2-7]{32,128})\nused ([0-9]{1,18})\n")


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A new second factor, shown to its user and not in force until a code has confirmed it.

    Attributes:
        name: Whose it is.
        secret: In base32, to type it into an app.
        uri: The same as ``otpauth://``, for a QR code.
    """

    name: str
    secret: str = field(repr=False)
    uri: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Factor:
    secret: str = field(repr=False)
    used: int


class SecondFactors:
    """The files of a directory. Its owner takes care that changes come one at a time.

    The methods block.

    Args:
        directory: Made when there is something to write.
        clock: Seconds since the epoch.
    """

    def __init__(self, directory: Path, *, clock: Callable[[], float] = time.time) -> None:
        self.directory = directory
        self._clock = clock

    def names(self) -> list[str]:
        """Return the users who have a second factor, usable or not, sorted.

        Raises:
            CredentialError: If the directory cannot be trusted or read: what is missing from it
                proves nothing then.
        """
        place = str(self.directory)
        try:
            if not os.path.lexists(self.directory):  # a link to nothing is not nothing
                return []
            status = self.directory.stat()
            names = [path.name for path in self.directory.iterdir()]
            open_to_others = exposure_of(place, status, secret=False)
        except OSError as error:
            raise CredentialError(
                place, f"no password is accepted, because it cannot be read: {error.strerror}"
            ) from None
        if open_to_others:
            raise CredentialError(place, f"no password is accepted, because it {open_to_others}")
        # A name with a dot is a file that was being written when its writer was killed.
        return sorted(name for name in names if not name.startswith("."))

    def path(self, name: str) -> Path:
        """Return the file of a user."""
        return self.directory / name

    def check(self, name: str) -> None:
        """Check that a user's file can be used.

        Raises:
            CredentialError: If it cannot.
        """
        self._read(name)

    def use(self, name: str, code: str) -> bool:
        """Take a code, if it is right. It is on the disk as used when the call returns.

        Raises:
            CredentialError: If the user's file cannot be used, or pyotp is missing.
            OSError: If the file cannot be written; the code must then not count.
        """
        factor = self._read(name)
        step = self._matching_step(factor.secret, code)
        if step is None or step <= factor.used:
            return False
        self._write(name, _Factor(factor.secret, step))
        return True

    def activate(self, enrolment: Enrolment, code: str) -> bool:
        """Put a new second factor in force, if the code is one of its own. The code is used then.

        Raises:
            CredentialError: If pyotp is missing.
            OSError: If the file cannot be written. What was there before is unchanged.
        """
        step = self._matching_step(enrolment.secret, code)
        if step is None:
            return False
        make_private_directory(self.directory)
        self._write(enrolment.name, _Factor(enrolment.secret, step))
        return True

    def remove(self, name: str) -> None:
        """Remove a user's, if there is one.

        Raises:
            OSError: If the file cannot be removed.
        """
        self.path(name).unlink(missing_ok=True)

    def _matching_step(self, secret: str, code: str) -> int | None:
        totp = _totp(secret)
        digits = "".join(code.split())  # apps show 123 456
        now = int(self._clock()) // STEP_SECONDS
        found = None
        for step in range(max(0, now - WINDOW_STEPS), now + WINDOW_STEPS + 1):
            # Each is compared, whether one was found or not; surrogates are what a peer may send.
            right = totp.generate_otp(step).encode()
            if hmac.compare_digest(right, digits.encode("utf-8", "surrogatepass")):
                found = step
        return found

    def _read(self, name: str) -> _Factor:
        path = self.path(name)
        try:
            data, status = read_with_status(path)
            open_to_others = exposure_of(path, status, secret=True)
        except OSError as error:
            raise CredentialError(str(path), f"cannot be read: {error.strerror}") from None
        if open_to_others:
            raise CredentialError(str(path), f"no code is taken, because it {open_to_others}")
        found = _FILE.fullmatch(data.decode("ascii", "replace"))
        if found is None:
            raise CredentialError(
                str(path),
                f"is no second factor, so no code is right; make another: console user totp {name}",
            )
        return _Factor(found[1], int(found[2]))

    def _write(self, name: str, factor: _Factor) -> None:
        text = f"totp {factor.secret}\nused {factor.used}\n"
        write_atomically(self.path(name), text.encode())


def new_enrolment(name: str, issuer: str) -> Enrolment:
    """Make a secret of 160 bits. Nothing is written.

    Args:
        name: An existing user.
        issuer: What the app shows beside the name.

    Raises:
        CredentialError: If pyotp is missing.
    """
    require_library("codes cannot be made")
    import pyotp  # noqa: PLC0415 - an extra

    secret = pyotp.random_base32(SECRET_CHARACTERS)
    return Enrolment(name, secret, _totp(secret).provisioning_uri(name=name, issuer_name=issuer))


def require_library(consequence: str) -> None:
    """Check that the library for codes is there.

    Raises:
        CredentialError: Says what follows, and how to install it.
    """
    try:
        import pyotp  # noqa: F401, PLC0415 - an extra
    except ImportError:
        raise CredentialError(
            "second factors",
            f"pyotp is not installed, so {consequence};"
            " install it: pip install 'admin-console[totp]'",
        ) from None


def _totp(secret: str) -> TOTP:
    require_library("no code is right")
    import pyotp  # noqa: PLC0415 - an extra

    return pyotp.TOTP(secret, digits=DIGITS, interval=STEP_SECONDS)
