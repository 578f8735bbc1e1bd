"""Password hashing: what is compared, what is refused, and at what cost."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from argon2 import PasswordHasher, Type
from hypothesis import given, settings
from hypothesis import strategies as st

from console.auth.passwords import (
    LANES,
    MEMORY_KIB,
    PASSES,
    PASSWORD_CHARACTERS,
    check_password,
    hash_password,
    is_usable_hash,
    verify,
)
from console.errors import CredentialError

SHA512_CRYPT = (
    "$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/"
    "jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/"
)


def test_a_hash_verifies_its_password_only():
    """The password verifies, another does not, and the hash has our parameters and a fresh salt."""
    phc = hash_password("sekrit")
    assert phc.startswith(f"$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}$")
    assert "sekrit" not in phc
    assert hash_password("sekrit") != phc
    assert verify(phc, "sekrit")
    assert not verify(phc, "Sekrit")
    assert not verify(phc, "sekrit ")
    assert not verify(phc, "")


@pytest.mark.parametrize(
    ("stored", "typed"),
    [
        ("caf\u00e9", "cafe\u0301"),  # composed and decomposed: two keyboards
        ("cafe\u0301", "caf\u00e9"),
        ("\u212bngstr\u00f6m", "A\u030angstro\u0308m"),
        ("a b", "a\u00a0b"),  # a no-break space, which Mac keyboards type easily
        ("IX", "I\u00adX"),  # SASLprep takes the soft hyphen out before we see it (RFC 4013, 3)
        ("\u2168", "IX"),
        ("\U0001f511 key", "\U0001f511 key"),
    ],
)
def test_spellings_of_one_password_are_the_same(stored, typed):
    """What looks the same is the same password, over each transport."""
    assert verify(hash_password(stored), typed)


@pytest.mark.parametrize(
    "stored",
    [
        None,
        "",
        "x",
        "*",
        "!",
        "sekrit",
        SHA512_CRYPT,
        "$2b$12$abcdefghijklmnopqrstuv",
        "$argon2id$",
        "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$",
        "$argon2id$v=19$m=0,t=0,p=0$c2FsdHNhbHRzYWx0$AAAAAAAAAAAAAAAAAAAAAA",
        "$argon2id$v=19$m=99999999999999999999,t=2,p=1$c2FsdHNhbHRzYWx0$AAAAAAAAAAAAAAAAAAAAAA",
        "$argon2id$v=19$m=8,t=1,p=1$YQ$YQ",
    ],
)
def test_what_is_no_argon2_hash_authenticates_no_user(stored):
    """Neither the stored text itself nor anything like it is a password."""
    for password in ("", "x", "sekrit", stored or "None"):
        assert verify(stored, password) is False


def test_a_hash_of_another_type_from_a_store_authenticates_no_user():
    """A store that keeps to no type does not make the check raise."""
    assert verify(b"$argon2id$", "sekrit") is False
    assert verify(12, "sekrit") is False


def test_hashes_made_with_other_parameters_verify():
    """A hash made by another tool, or by us before a change of parameters, still works."""
    for kind in (Type.ID, Type.I):
        phc = PasswordHasher(time_cost=1, memory_cost=64, parallelism=2, type=kind).hash("sekrit")
        assert is_usable_hash(phc)
        assert verify(phc, "sekrit")
        assert not verify(phc, "wrong")


@pytest.mark.parametrize(
    ("password", "problem"),
    [
        ("", "empty"),
        ("\u00ad", "empty"),  # nothing is left of it once normalised
        ("sekrit\n", "control character"),
        ("se\x00krit", "control character"),
        ("s" * (PASSWORD_CHARACTERS + 1), "longer than 1024"),
        (b"sekrit", "not bytes"),
    ],
)
def test_passwords_that_cannot_be_typed_are_refused(password, problem):
    """A bad new password is refused with the reason, and is not quoted."""
    for refuse in (check_password, hash_password):
        with pytest.raises(CredentialError, match=problem) as caught:
            refuse(password)
        assert "krit" not in str(caught.value)


def test_a_password_longer_than_the_limit_never_verifies():
    """The cut password is not accepted in its place, and the longest one allowed is."""
    longest = "s" * PASSWORD_CHARACTERS
    phc = hash_password(longest)
    assert verify(phc, longest)
    assert not verify(phc, longest + "s")


@settings(max_examples=30, deadline=None)
@given(phc=st.none() | st.text(max_size=200), password=st.text(max_size=50))
def test_verify_never_raises(phc, password):
    """Any stored text and any bytes of a peer give an answer, and it is no."""
    assert verify(phc, password) is False
    assert (
        verify(phc, password.encode("utf-8", "replace").decode("ascii", "surrogateescape")) is False
    )


def test_an_unknown_user_costs_as_much_as_a_wrong_password():
    """The two compute for as long within a factor of two; no hashing would be a thousandth."""

    def cost(stored):
        # Of this process alone, whatever else the machine does; threads of argon2 count.
        begin = time.process_time()
        assert not verify(stored, "wrong")
        return time.process_time() - begin

    known = hash_password("sekrit")
    unknown = (None, "x", SHA512_CRYPT, "$argon2id$v=19$m=8,t=1,p=1$YQ$YQ")
    # In turns, and the least of each: caches that others fill cost all of them the same.
    rounds = [[cost(stored) for stored in (known, *unknown)] for _ in range(8)]
    least, *others = map(min, zip(*rounds, strict=True))
    for seconds in others:
        assert 0.5 < seconds / least < 2


def test_importing_the_module_does_not_import_argon2():
    """A console without a login by password does not load the library."""
    code = (
        "import sys, console.auth.stores.directory;"
        "print('argon2' in sys.modules, 'asyncssh' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"
