"""Codes at the login: by SSH and telnet alike, once for both, and more than one under attack."""

import asyncio
import contextlib
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pyotp
import pytest

from console import FileCredentials, LoginSettings
from console.auth.authenticator import Authenticator
from console.auth.guessing.codes import FREE_WRONG_CODES, LAPSE_SECONDS, NEXT_SECONDS, Codes
from console.auth.guessing.failures import REMEMBERED
from console.auth.passwords import hash_password
from console.events import EventBus
from console.interfaces.credentials import CredentialStore, Peer
from support import rawssh
from support.clients import SSH_OPTIONS, need
from support.rawclients import Lines
from support.rawssh import RawSsh, string, uint32
from support.servers import DEADLINE_SECONDS, clean_environment

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
APP = pyotp.TOTP(SECRET)
PASSWORDS = {"boss": "sekrit", "ann": "secret2"}


# ---- with clients


@pytest.fixture
def guarded(make, tmp_path):
    """A console on which boss has a second factor, and ann has none."""
    keys = tmp_path / "keys"
    store = FileCredentials(keys, initial=PASSWORDS)
    store.prepare()
    (keys / "second_factors").mkdir(mode=0o700)
    file = keys / "second_factors" / "boss"
    file.touch(0o600)
    file.write_text(f"totp {SECRET}\nused 0\n")
    with make(telnet=0, ssh=0, credentials=store) as console:
        yield console


def by_ssh(console, tmp_path, user, code, method="keyboard-interactive"):
    """Let OpenSSH's client answer the questions; return whether the login succeeded."""
    need("ssh")
    answers = tmp_path / "askpass"
    answers.write_text('#!/bin/sh\ncase "$1" in *Code*) echo "$CODE";; *) echo "$WORD";; esac\n')
    answers.chmod(0o700)
    done = subprocess.run(
        [
            *("ssh", *SSH_OPTIONS, "-p", str(console.ssh_port)),
            *("-o", f"PreferredAuthentications={method}", "-o", "NumberOfPasswordPrompts=1"),
            *(f"{user}@127.0.0.1", "'let in'"),
        ],
        env={
            **clean_environment(tmp_path),
            "SSH_ASKPASS": str(answers),
            "SSH_ASKPASS_REQUIRE": "force",
            "CODE": code,
            "WORD": PASSWORDS[user],
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
    )
    return done.stdout == "'let in'\n"


def by_telnet(console, user, code, source="127.0.0.1"):
    """Type name, password and code; return whether there is a prompt."""
    with Lines(console.telnet_port, source) as client:
        for question, answer in (
            ("username: ", user),
            ("password: ", PASSWORDS[user]),
            ("code (Enter if you have none): ", code),
        ):
            client.until(question)
            client.send(f"{answer}\n")
        client.until("\r\n")
        while ">>> " not in client.seen and "login incorrect" not in client.seen:
            client._receive("answer")
        return ">>> " in client.seen


def by_packets(console, user, code, source):
    """Answer both questions of keyboard-interactive at once; return whether that was right."""
    with RawSsh(console.ssh_port, source=source) as client:
        client.handshake().request(user, "keyboard-interactive", string(""), string(""))
        client.expect(rawssh.INFO_REQUEST)
        answers = uint32(2) + string(PASSWORDS[user]) + string(code)
        client.send(rawssh.INFO_RESPONSE, answers)
        answer = client.expect(rawssh.USERAUTH_FAILURE, rawssh.USERAUTH_SUCCESS)
        return answer[0] == rawssh.USERAUTH_SUCCESS


def test_a_code_is_asked_for_by_both_transports(guarded, tmp_path):
    """Password and code authenticate; a wrong code or the password alone does not."""
    code, following = APP.now(), APP.at(time.time() + 30)
    assert not by_ssh(guarded, tmp_path, "boss", "000000")
    assert not by_ssh(guarded, tmp_path, "boss", "", method="password")
    assert by_ssh(guarded, tmp_path, "boss", code)
    assert not by_telnet(guarded, "boss", "", "127.0.0.2")
    assert not by_telnet(guarded, "boss", code, "127.0.0.3")  # it has been used for SSH
    assert by_telnet(guarded, "boss", following, "127.0.0.4")
    assert not by_ssh(guarded, tmp_path, "boss", following)


def test_who_has_no_second_factor_presses_enter(guarded, tmp_path):
    """A user without a second factor is asked too; Enter, or SSH's password method, is enough."""
    assert by_telnet(guarded, "ann", "")
    assert by_ssh(guarded, tmp_path, "ann", "")
    assert by_ssh(guarded, tmp_path, "ann", "", method="password")


def test_of_many_at_once_one_has_the_code(guarded):
    """Over SSH and telnet at the same moment, from ten addresses, a code is accepted once."""
    code = APP.now()

    def come(number):
        source = f"127.0.1.{number + 1}"
        return (by_telnet, by_packets)[number % 2](guarded, "boss", code, source)

    with ThreadPoolExecutor(10) as pool:
        assert sum(pool.map(come, range(10))) == 1


# ---- under attack


@pytest.fixture
def besieged(clock):
    """Codes of boss, at which a client with the password has guessed."""
    codes = Codes(clock)
    for number in range(FREE_WRONG_CODES + 1):
        codes.wrong("boss", f"203.0.113.{number}")
    return codes


def test_slips_cost_nothing(clock):
    """A few wrong codes are followed by a right one, which is enough."""
    codes = Codes(clock)
    for _ in range(FREE_WRONG_CODES):
        codes.wrong("boss", "here")
    assert codes.right("boss", "here")


def test_under_attack_two_right_codes_are_needed(besieged):
    """One after the other, from the same place; other users need one."""
    assert not besieged.right("boss", "here")
    assert not besieged.right("boss", "there")
    assert besieged.right("boss", "here")
    assert not besieged.right("boss", "here")
    assert besieged.right("ann", "there")


def test_a_wrong_code_between_two_right_ones_starts_again(besieged):
    """A guesser does not collect hits, and other sources and users are not affected."""
    assert not besieged.right("boss", "here")
    besieged.wrong("boss", "here")
    assert not besieged.right("boss", "here")
    besieged.wrong("boss", "there")
    assert besieged.right("boss", "here")


def test_the_first_of_two_codes_is_not_kept_for_long(besieged, clock):
    """A code of an hour ago does not count beside a code of now."""
    assert not besieged.right("boss", "here")
    clock.now += NEXT_SECONDS + 1
    assert not besieged.right("boss", "here")


def test_an_attack_is_forgotten(besieged, clock):
    """Ten hours later one code is enough again, however long it was."""
    for _ in range(10_000):
        besieged.wrong("boss", "there")
    clock.now += 9.9 * LAPSE_SECONDS
    assert not besieged.right("boss", "here")
    clock.now += 0.2 * LAPSE_SECONDS
    assert besieged.right("boss", "there")


def test_what_is_kept_of_codes_is_bounded(besieged):
    """Right codes from everywhere leave no more than so many places in memory."""
    for number in range(REMEMBERED + 100):
        besieged.right("boss", str(number))
    assert len(besieged._first_right) == REMEMBERED


class OneFactor(CredentialStore):
    """Boss, with a password and a list of codes."""

    def __init__(self):
        self.phc = hash_password("sekrit")
        self.codes = ["111111", "222222"]

    def password_hash(self, name):
        return self.phc

    def authorized_keys(self, name):
        return ()

    def has_second_factor(self, name):
        return True

    def use_code(self, name, code):
        with contextlib.suppress(ValueError):
            self.codes.remove(code)
            return True
        return False


def test_the_code_cannot_be_guessed_with_the_password():
    """After some wrong codes a right one is answered like them, and the next one is accepted."""
    events = []
    bus = EventBus()
    bus.subscribe(events.append)

    async def main():
        quick = LoginSettings(failure_seconds=0.001, failure_most_seconds=0.001)
        authenticator = Authenticator(OneFactor(), bus, quick)

        async def come(number, code):
            peer = Peer(f"198.51.100.{number}", 1)
            principal = await authenticator.password(
                "boss", "sekrit", code, transport="ssh", peer=peer
            )
            return principal is not None

        try:
            for number in range(FREE_WRONG_CODES + 1):
                assert not await come(number, "000000")
            return [await come(100, code) for code in ("111111", "222222")]
        finally:
            authenticator.close()

    assert asyncio.run(main()) == [False, True]
    assert "the next one lets in" in events[-2].reason
