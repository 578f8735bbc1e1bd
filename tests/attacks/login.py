"""Attacks on SSH logins: requests without proof, and unsolicited answers (RFC 4252)."""

import base64
import contextlib
import time

from attacks.harness import attack, fresh_address
from attacks.ssh import NOISE, UNAUTHENTICATED_BYTES
from support import rawssh
from support.rawssh import Gone, boolean, string, uint32


def refused(*requests):
    """Make requests one after the other; none may authenticate."""

    def strike(site):
        client = site.ssh().handshake()
        with contextlib.suppress(Gone):
            user = site.target.fresh_user()
            for method, *fields in requests:
                client.request(user, method, *fields)
                client.expect(rawssh.USERAUTH_FAILURE)
        return len(requests)

    return strike


LOGINS = {
    "none": [("none",)],
    "no method": [("",)],
    "a method that there is not": [("\x1b]0;owned\x07",), ("x" * 5000,)],
    "hostbased": [
        (
            "hostbased",
            *map(string, ("ssh-ed25519", b"\0\0\0\x0bssh-ed25519", "trusted", "boss", "signature")),
        )
    ],
    "gssapi-with-mic": [("gssapi-with-mic", uint32(1), string(b"\x06\x09*\x86H\x86\xf7"))],
    "gssapi-keyex": [("gssapi-keyex", string("mic"))],
    "gssapi with many mechanisms": [("gssapi-with-mic", uint32(0xFFFFFFFF))],
    "publickey of noise": [
        ("publickey", boolean(False), string("ssh-ed25519"), string(NOISE[:100])),
        ("publickey", boolean(True), string("ssh-ed25519"), string(""), string("")),
        ("publickey", boolean(True), string("none"), string(NOISE[:32]), string(NOISE[:64])),
    ],
    "publickey cut short": [("publickey", boolean(True), uint32(0xFFFFFFF))],
    "password cut short": [("password", boolean(False), uint32(0xFFFFFFF))],
    "a password to be changed": [
        ("password", boolean(True), string("sekrit"), string("owned")),
    ],
    "a password of 30 KB": [("password", boolean(False), string("x" * 30000))],
    "a password that is not UTF-8": [("password", boolean(False), string(b"\xff\xfe"))],
    "a password with NUL": [("password", boolean(False), string(b"sekrit\0"))],
    "a password with escapes": [("password", boolean(False), string(b"\x1b]0;owned\x07\x9b"))],
    "keyboard-interactive of noise": [("keyboard-interactive", string(b"\xff"), string(b"\xff"))],
}
for _name, _requests in LOGINS.items():
    attack(f"ssh, login: {_name}", log_lines=4)(refused(*_requests))


@attack("ssh, login: none, without end", log_lines=8)
def none_without_end(site):
    client = site.ssh().handshake()
    tries = 0
    with contextlib.suppress(Gone):
        for _ in range(2000):
            client.request("boss", "none")
            client.expect(rawssh.USERAUTH_FAILURE)
            tries += 1
    assert client.sent_bytes < UNAUTHENTICATED_BYTES, f"{tries} requests were answered"
    return tries


@attack("ssh, login: user names", log_lines=20)
def user_names(site):
    names = (
        *("", "\0", "boss\0", "x" * 1023, "x" * 5000, "../../boss", "boss\n", "%s%n{0}", "$(id)"),
        *("\x1b]0;owned\x07", "\x9b2J", "\u202eboss", "\u2028x", "a\tb c=d reason=none", b"\xff"),
        *("\U000e0041", "boss\u2067", "bo\u0455s", "BOSS", " boss", "boss "),
    )
    for name in names:
        client = site.ssh(fresh_address()).handshake()
        with contextlib.suppress(Gone):
            # A careless comparison takes some of these names for boss: the password is boss's.
            assert not client.guess(name, "sekrit"), name
    return len(names)


@attack("ssh, login: answers to no question", log_lines=4)
def answers_without_question(site):
    client = site.ssh().handshake()
    with contextlib.suppress(Gone):
        client.send(rawssh.INFO_RESPONSE, uint32(1), string("sekrit"))
        client.expect(rawssh.USERAUTH_FAILURE)
    return 1


@attack("ssh, login: many answers to one question", log_lines=6)
def answers_to_one_question(site):
    """Of many answers to one question no more are checked than there are tries."""
    user = site.target.fresh_user()
    for count in (0, 2, 1000, 0xFFFFFFFF):
        client = site.ssh(fresh_address()).handshake()
        with contextlib.suppress(Gone):
            client.request(user, "keyboard-interactive", string(""), string(""))
            client.expect(rawssh.INFO_REQUEST)
            answers = b"".join(string(user) for _ in range(min(count, 1000)))
            client.send(rawssh.INFO_RESPONSE, uint32(count), answers)
            client.expect(rawssh.USERAUTH_FAILURE)
    client = site.ssh().handshake()
    with contextlib.suppress(Gone):
        client.request(user, "keyboard-interactive", string(""), string(""))
        client.expect(rawssh.INFO_REQUEST)
        for word in ("one", "two", "three", "four", "five", user):
            client.send(rawssh.INFO_RESPONSE, uint32(1), string(word))
            time.sleep(0.01)  # so that its check has begun, which the next answer cancels
    client.wait_gone()  # and no success
    return 10


@attack("ssh, login: a key and another's signature", log_lines=6)
def wrong_signatures(site):
    """An accepted key authenticates only with its own signature over this connection."""
    theirs = authorized_blob(site)
    client = site.ssh().handshake()
    with contextlib.suppress(Gone):
        client.sign_request("boss", rawssh.make_ed25519(), blob=theirs)
        client.expect(rawssh.USERAUTH_FAILURE)
        client.request("boss", "publickey", boolean(False), string("ssh-ed25519"), string(theirs))
        client.expect(rawssh.PK_OK)
        # The query for boss's key was answered: that proves nothing, for no method.
        client.request("boss", "none")
        client.expect(rawssh.USERAUTH_FAILURE)
        client.request("deputy", "none")
        client.expect(rawssh.USERAUTH_FAILURE)
    return 4


@attack("ssh, login: a hundred keys", log_lines=10)
def many_keys(site):
    client = site.ssh().handshake()
    tries = 0
    with contextlib.suppress(Gone):
        for _ in range(100):
            blob = rawssh.ed25519_blob(rawssh.make_ed25519())
            fields = (boolean(False), string("ssh-ed25519"), string(blob))
            client.request("boss", "publickey", *fields)
            client.expect(rawssh.USERAUTH_FAILURE)
            tries += 1
    assert tries <= 20, "more keys than an agent has"
    return tries


@attack("ssh, login: guesses under other names", log_lines=6)
def guesses_under_other_names(site):
    """The tries of a connection are counted for all user names."""
    client = site.ssh().handshake()
    tries = 0
    with contextlib.suppress(Gone):
        for number in range(20):
            assert not client.guess(f"unknown{number}", "wrong")
            tries += 1
    assert tries <= 3, f"{tries} tries on one connection"
    return tries


@attack("ssh, login: guesses by every method", log_lines=6)
def guesses_by_every_method(site):
    """A connection has three tries, of any method."""
    user = site.target.fresh_user()
    client = site.ssh().handshake()
    answered = 0
    with contextlib.suppress(Gone):
        for number in range(6):
            if number % 2:
                client.request(user, "keyboard-interactive", string(""), string(""))
                client.expect(rawssh.INFO_REQUEST)
                client.send(rawssh.INFO_RESPONSE, uint32(1), string("wrong"))
                client.expect(rawssh.USERAUTH_FAILURE)
            else:
                assert not client.guess(user, "wrong")
            answered += 1
    assert answered <= 3, f"{answered} guesses on one connection"
    return answered


@attack("ssh, login: fifty guesses at once", log_lines=6)
def guesses_at_once(site):
    """A guess that is sent before the last one is answered costs a try as well."""
    user = site.target.fresh_user()
    client = site.ssh().handshake()
    with contextlib.suppress(Gone):
        for number in range(50):
            client.send_password(user, user if number >= 10 else f"wrong {number}")
            if number < 10:
                time.sleep(0.01)  # so that its check has begun, which the next guess cancels
    client.wait_gone()  # and no success
    return 50


def authorized_blob(site):
    """Return boss's public key in wire form."""
    line = site.target.key_file.with_suffix(".pub").read_text()
    return base64.b64decode(line.split()[1])
