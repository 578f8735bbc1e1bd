"""Second factors: which codes are right, when, how often, and what a broken file does."""

from __future__ import annotations

import stat
import subprocess
import sys
import threading
import time
from urllib.parse import parse_qs, unquote, urlsplit

import pyotp
import pytest

from console.application.shell import ShellFactory
from console.auth.second_factor import Enrolment, SecondFactors
from console.auth.stores.directory import FileCredentials
from console.auth.stores.memory import MemoryCredentials
from console.errors import CredentialError, UnknownUser
from console.interfaces.credentials import CredentialStore, Role

SECRET = pyotp.random_base32()

# RFC 6238, appendix B: the last six of the eight digits that it gives for SHA-1.
RFC_SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
RFC_CODES = {
    59: "287082",
    1111111109: "081804",
    1111111111: "050471",
    1234567890: "005924",
    2000000000: "279037",
    20000000000: "353130",
}


class Clock:
    """A clock that is set by hand."""

    def __init__(self, seconds=1_700_000_000):
        self.seconds = seconds

    def __call__(self):
        return self.seconds


@pytest.fixture
def clock():
    return Clock()


def code_at(clock, steps=0, secret=SECRET):
    """Make the code that an app shows so many steps from now."""
    return pyotp.TOTP(secret).at(clock.seconds + 30 * steps)


def factors_of(tmp_path, clock, secret=SECRET, used=0):
    """Write the second factor of boss as it is kept."""
    directory = tmp_path / "second_factors"
    directory.mkdir(mode=0o700, exist_ok=True)
    (directory / "boss").write_text(f"totp {secret}\nused {used}\n")
    (directory / "boss").chmod(0o600)
    return SecondFactors(directory, clock=clock)


@pytest.fixture
def store(tmp_path):
    """Boss and ann, each with a password; boss with a second factor as well."""
    store = FileCredentials(tmp_path / "keys", initial={"boss": "sekrit", "ann": "secret2"})
    enrolment = store.enrol("boss")
    assert store.activate(enrolment, pyotp.TOTP(enrolment.secret).now())
    return store


def secret_of(store, name="boss"):
    """Read a user's secret as the file's owner can."""
    return (store.directory / "second_factors" / name).read_text().split()[1]


def fresh_code(store):
    """Make a code that has not been used: that of the next step, which the window allows."""
    return pyotp.TOTP(secret_of(store)).at(time.time() + 30)


# ---------------------------------------------------------------- codes


@pytest.mark.parametrize(("seconds", "code"), RFC_CODES.items())
def test_codes_are_those_of_the_rfc(tmp_path, seconds, code):
    """The test vectors of RFC 6238 are taken, as any authenticator app makes them."""
    assert factors_of(tmp_path, Clock(seconds), RFC_SECRET).use("boss", code)


@pytest.mark.parametrize(
    ("steps", "right"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)]
)
def test_the_window_is_a_step_each_way(tmp_path, clock, steps, right):
    """Codes of the step before and after are taken, for clocks that differ, and no others."""
    assert factors_of(tmp_path, clock).use("boss", code_at(clock, steps)) is right


def test_a_code_is_good_once(tmp_path, clock):
    """A used code is refused, and so is an older one; those of later steps are taken."""
    factors = factors_of(tmp_path, clock)
    assert factors.use("boss", code_at(clock))
    assert not factors.use("boss", code_at(clock))
    assert not factors.use("boss", code_at(clock, -1))
    assert factors.use("boss", code_at(clock, 1))
    assert not factors.use("boss", code_at(clock, 1))
    clock.seconds += 30
    assert not factors.use("boss", code_at(clock))
    clock.seconds += 30
    assert factors.use("boss", code_at(clock))


def test_a_restart_forgets_no_used_code(tmp_path, clock):
    """What is used stands on the disk: another process refuses the code as well."""
    assert factors_of(tmp_path, clock).use("boss", code_at(clock))
    again = SecondFactors(tmp_path / "second_factors", clock=clock)
    assert not again.use("boss", code_at(clock))


def test_blanks_in_a_code_are_ignored(tmp_path, clock):
    """A code is taken as the app shows it."""
    code = code_at(clock)
    assert factors_of(tmp_path, clock).use("boss", f" {code[:3]} {code[3:]}\t")


@pytest.mark.parametrize(
    "wrong", ["", " ", "0", "+{0}", "{0}0", "0{0}", "{0}\x00", "\udcff" * 6, "{0}" * 1000]
)
def test_what_is_no_code_is_refused(tmp_path, clock, wrong):
    """Only the six digits themselves are right, whatever else a peer sends."""
    assert not factors_of(tmp_path, clock).use("boss", wrong.format(code_at(clock)))


def test_digits_of_other_scripts_are_no_code(tmp_path, clock):
    """Characters that only look or count like the digits are refused."""
    fullwidth = "".join(chr(ord(digit) - ord("0") + 0xFF10) for digit in code_at(clock))
    assert not factors_of(tmp_path, clock).use("boss", fullwidth)


def test_a_clock_at_the_epoch_harms_nothing(tmp_path):
    """A machine that has lost its time refuses codes or takes them, and does not raise."""
    clock = Clock(0)
    assert factors_of(tmp_path, clock, used=0).use("boss", code_at(clock, 1))


# ---------------------------------------------------------------- the store


def test_enrolling_takes_a_code_to_be_in_force(tmp_path):
    """Until a code has confirmed that the app works nothing has changed; that code is used."""
    store = FileCredentials(tmp_path / "keys", initial={"boss": "sekrit"})
    enrolment = store.enrol("boss", issuer="demo host")
    assert not store.second_factor()
    assert not store.has_second_factor("boss")
    app = pyotp.TOTP(enrolment.secret)
    wrong = f"{(int(app.now()) + 1) % 1_000_000:06}"
    if wrong not in {app.at(time.time() + 30 * steps) for steps in range(-2, 3)}:
        assert not store.activate(enrolment, wrong)
    assert not (tmp_path / "keys" / "second_factors").exists()
    code = app.now()
    assert store.activate(enrolment, code)
    assert store.second_factor()
    assert store.has_second_factor("boss")
    assert not store.use_code("boss", code)


def test_what_an_app_is_given(store):
    """A secret of 160 bits, and a URI that names issuer and user and asks for nothing special."""
    enrolment = store.enrol("boss", issuer="demo host")
    assert len(pyotp.TOTP(enrolment.secret).byte_secret()) == 20
    uri = urlsplit(enrolment.uri)
    assert (uri.scheme, uri.netloc, unquote(uri.path)) == ("otpauth", "totp", "/demo host:boss")
    assert parse_qs(uri.query) == {"secret": [enrolment.secret], "issuer": ["demo host"]}
    assert enrolment.secret != store.enrol("boss").secret


def test_an_enrolment_shows_nothing():
    """Its repr has the name alone."""
    assert repr(Enrolment("boss", "SECRET", "otpauth://")) == "Enrolment(name='boss')"


def test_a_code_is_asked_of_its_user_only(store):
    """Another user has no second factor, and no user's code is right for them."""
    assert store.second_factor()
    assert not store.has_second_factor("ann")
    code = fresh_code(store)
    for name in ("ann", "nobody", "", "../keys/users", ".", "..", "boss/", "boss\x00"):
        assert not store.has_second_factor(name)
        assert not store.use_code(name, code)
    assert store.use_code("boss", code)
    assert not FileCredentials(store.directory).use_code("boss", code)


def test_files_are_private(store):
    """The directory has 0700 and the file 0600, after a code was used as well."""
    assert store.use_code("boss", fresh_code(store))
    directory = store.directory / "second_factors"
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert stat.S_IMODE((directory / "boss").stat().st_mode) == 0o600


def test_enrolling_again_replaces(store):
    """A new telephone's codes are right and those of the lost one are not."""
    old = fresh_code(store)
    enrolment = store.enrol("boss")
    assert store.activate(enrolment, pyotp.TOTP(enrolment.secret).now())
    assert not store.use_code("boss", old)
    assert store.use_code("boss", fresh_code(store))


def test_a_second_factor_is_removed_alone_or_with_its_user(store):
    """Without one the password is enough again; the next user of the name has none."""
    store.remove_second_factor("boss")
    assert not store.has_second_factor("boss")
    assert not store.second_factor()
    with pytest.raises(CredentialError, match="'boss' has none"):
        store.remove_second_factor("boss")
    enrolment = store.enrol("boss")
    assert store.activate(enrolment, pyotp.TOTP(enrolment.secret).now())
    store.remove("boss")
    store.add("boss", "other")
    assert not store.has_second_factor("boss")


def test_only_users_have_second_factors(store):
    """A name that the store does not know is an error."""
    for call in (
        lambda: store.enrol("nobody"),
        lambda: store.remove_second_factor("nobody"),
        lambda: store.activate(Enrolment("nobody", SECRET, ""), pyotp.TOTP(SECRET).now()),
    ):
        with pytest.raises(UnknownUser):
            call()


# ---------------------------------------------------------------- what may be wrong


def broken(path, how):
    """Break a second factor's file."""
    if how == "empty":
        path.write_text("")
    elif how == "cut":
        path.write_text(path.read_text()[:20])
    elif how == "no step":
        path.write_text(path.read_text().replace("used ", "used x"))
    elif how == "short secret":
        path.write_text("totp ABCDEFGH\nused 0\n")
    elif how == "binary":
        path.write_bytes(b"\xff" * 100)
    elif how == "endless":
        path.write_bytes(b"a" * (2 * 1024 * 1024))
    elif how == "readable":
        path.chmod(0o644)
    elif how == "writable":
        path.chmod(0o660)
    elif how == "dangling":
        path.unlink()
        path.symlink_to("nowhere")
    else:
        path.unlink()
        path.mkdir()


@pytest.mark.parametrize(
    "how",
    [
        *("empty", "cut", "no step", "short secret", "binary", "endless"),
        *("readable", "writable", "dangling", "directory"),
    ],
)
def test_a_broken_file_fails_closed(store, caplog, how):
    """The user still has a second factor, no code is right, and one line of the log says why."""
    code = fresh_code(store)
    secret = secret_of(store)
    path = store.directory / "second_factors" / "boss"
    broken(path, how)
    for _ in range(3):
        assert store.second_factor()
        assert store.has_second_factor("boss")
        assert not store.use_code("boss", code)
        assert not store.use_code("boss", "")
    (record,) = caplog.records
    assert record.getMessage().startswith(f"{path}: ")
    assert secret not in caplog.text
    assert not store.has_second_factor("ann")


def test_a_broken_file_is_told_at_the_start(store, caplog):
    """The problem is logged before any login fails, and once."""
    (store.directory / "second_factors" / "boss").write_text("")
    store.prepare()
    store.use_code("boss", "123456")
    assert len(caplog.records) == 1
    assert "console user totp boss" in caplog.text


def test_a_directory_that_others_can_change_fails_closed(store, caplog):
    """Where others could have removed a file, a password alone authenticates no user."""
    directory = store.directory / "second_factors"
    code = fresh_code(store)
    directory.chmod(0o770)
    for _ in range(2):
        assert store.second_factor()
        for name in ("boss", "ann"):
            assert store.has_second_factor(name)
            assert not store.use_code(name, code)
    (record,) = caplog.records
    assert f"chmod go-w {directory}" in record.getMessage()
    with pytest.raises(CredentialError, match="chmod go-w"):
        store.prepare()
    directory.chmod(0o700)
    store.prepare()
    assert not store.has_second_factor("ann")
    assert store.use_code("boss", code)


def test_a_file_in_the_directorys_place_fails_closed(store):
    """What is not a directory is no evidence, so each user needs a code, and none is right."""
    directory = store.directory / "second_factors"
    (directory / "boss").unlink()
    directory.rmdir()
    assert not store.second_factor()
    directory.write_text("")
    assert store.second_factor()
    assert store.has_second_factor("ann")
    with pytest.raises(CredentialError, match="cannot be read: Not a directory"):
        store.prepare()


def test_a_directory_elsewhere_is_as_safe_as_the_way_there(store, tmp_path):
    """If it is a link, others must not be able to move it; a dangling link is an error."""
    directory, elsewhere = store.directory / "second_factors", tmp_path / "shared" / "factors"
    elsewhere.parent.mkdir(mode=0o700)
    directory.rename(elsewhere)
    directory.symlink_to(elsewhere)
    assert store.second_factor()
    assert not store.has_second_factor("ann")
    elsewhere.parent.chmod(0o777)
    assert store.has_second_factor("ann")
    assert not store.use_code("boss", fresh_code(store))
    elsewhere.rename(tmp_path / "gone")
    assert store.has_second_factor("boss")
    with pytest.raises(CredentialError, match="no password is accepted"):
        store.prepare()


def test_a_code_that_cannot_be_kept_as_used_is_not_taken(store, caplog):
    """Where nothing can be written a code would be good twice, so it is good never."""
    lock = store.directory / ".lock"
    lock.unlink()
    lock.mkdir()
    assert not store.use_code("boss", fresh_code(store))
    assert "cannot be written" in caplog.text


def test_a_left_over_temporary_file_is_ignored(store):
    """The temporary file of a killed writer is not a second factor."""
    store.remove_second_factor("boss")
    (store.directory / "second_factors" / ".boss.0123.tmp").write_text("")
    assert not store.second_factor()


WITHOUT_PYOTP = """
import sys
sys.modules["pyotp"] = None
from console.auth.stores.directory import FileCredentials
store = FileCredentials(sys.argv[1])
print(store.second_factor(), store.has_second_factor("boss"), store.has_second_factor("ann"))
print(store.use_code("boss", "123456"))
for call in (store.prepare, lambda: store.enrol("ann")):
    try:
        call()
    except Exception as error:
        print(type(error).__name__, error)
"""


def test_without_the_extra_it_fails_closed(store):
    """Codes are still asked for and none is right; a start is refused with what to install."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_PYOTP, store.directory],
        capture_output=True,
        text=True,
        check=True,
    )
    one, two, three, four = done.stdout.splitlines()
    assert (one, two) == ("True True False", "False")
    for line in (three, four):
        assert line.startswith("CredentialError second factors: pyotp is not installed")
        assert line.endswith("pip install 'admin-console[totp]'")
    store.remove_second_factor("boss")
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_PYOTP, store.directory],
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(done.stdout.splitlines()) == 3  # a console without second factors needs no pyotp


def test_the_library_is_loaded_for_codes_only(tmp_path):
    """A console whose users have no second factor does not pay for pyotp."""
    code = """
import sys
from console.auth.stores.directory import FileCredentials
store = FileCredentials(sys.argv[1], initial={"boss": "sekrit"})
store.prepare()
print(store.second_factor(), "pyotp" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "keys"], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False False\n"


# ---------------------------------------------------------------- several at once

USER = """
import sys
from console.auth.stores.directory import FileCredentials
store = FileCredentials(sys.argv[1])
print("ready", flush=True)
for line in sys.stdin:
    print(int(store.use_code("boss", line)), flush=True)
"""


def test_two_processes_take_a_code_once(store):
    """Of processes that check one code at the same time exactly one takes it."""
    users = [
        subprocess.Popen(
            [sys.executable, "-c", USER, store.directory],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for user in users:
        assert user.stdout.readline() == "ready\n"
    code = fresh_code(store)
    for user in users:
        user.stdin.write(f"{code}\n" * 5)
        user.stdin.close()
    taken = sum(int(line) for user in users for line in user.stdout)
    for user in users:
        user.stdout.close()
        assert user.wait() == 0
    assert taken == 1


def test_threads_take_a_code_once(store):
    """The same within one process."""
    code, taken = fresh_code(store), []
    threads = [
        threading.Thread(target=lambda: taken.append(store.use_code("boss", code)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == [False] * 7 + [True]


# ---------------------------------------------------------------- shells


def test_a_shell_asks_its_store(store):
    """A shell over a store takes neither the second factor nor the role away."""
    shell = ShellFactory(credentials=store)
    store.set_role("ann", Role.VIEWER)
    assert (shell.role("boss"), shell.role("ann")) == (Role.ADMIN, Role.VIEWER)
    assert shell.second_factor()
    assert shell.has_second_factor("boss")
    assert not shell.has_second_factor("ann")
    code = fresh_code(store)
    assert shell.use_code("boss", code)
    assert not shell.use_code("boss", code)
    (store.directory / "users").chmod(0o666)
    with pytest.raises(CredentialError):
        shell.prepare()


def test_a_shell_of_its_own_has_an_admin_and_no_codes():
    """The howto's user owns the service; a store without roles and codes has operators."""
    shell = ShellFactory()
    shell.prepare()
    assert shell.role("admin") is Role.ADMIN
    assert not shell.second_factor()
    assert not shell.has_second_factor("admin")
    assert not shell.use_code("admin", "123456")

    class Store(CredentialStore):
        def password_hash(self, name):
            return None

        def authorized_keys(self, name):
            return ()

    assert ShellFactory(credentials=Store()).role("boss") is Role.OPERATOR
    assert not ShellFactory(credentials=MemoryCredentials()).second_factor()
