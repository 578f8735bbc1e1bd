"""The options before a key in authorized_keys, and the addresses of from=."""

from __future__ import annotations

import calendar
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from console.auth.keys.addresses import in_networks, matches_sources, sources_problem
from console.auth.keys.options import options_text, parse_options
from console.errors import InvalidKey
from console.interfaces.credentials import KeyOptions, Peer

UNIX = Peer("", uid=1000)

# ---------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", KeyOptions()),
        ('from="10.0.0.0/8,!10.1.*"', KeyOptions(sources=("10.0.0.0/8", "!10.1.*"))),
        ('command="print(\\"a, b\\")"', KeyOptions(command='print("a, b")')),
        (r'command="a\b\\c"', KeyOptions(command=r"a\b\\c")),
        (r'command="\\" x"', KeyOptions(command='\\" x')),
        ("restrict", KeyOptions(pty=False)),
        ("no-pty", KeyOptions(pty=False)),
        ("pty", KeyOptions()),
        ("restrict,pty", KeyOptions()),
        ("pty,restrict", KeyOptions(pty=False)),
        ("no-pty,pty", KeyOptions()),
        ("cert-authority", KeyOptions(authority=True)),
        (
            'principals="ops,dba",cert-authority',
            KeyOptions(authority=True, principals=("ops", "dba")),
        ),
        ("RESTRICT,Cert-Authority", KeyOptions(pty=False, authority=True)),
        ('COMMAND="x"', KeyOptions(command="x")),
        ("no-port-forwarding,no-agent-forwarding,no-X11-forwarding,no-user-rc", KeyOptions()),
        ("restrict,port-forwarding,agent-forwarding,X11-forwarding,user-rc", KeyOptions(pty=False)),
    ],
)
def test_options_are_read_as_sshd_reads_them(text, expected):
    """Names in any case, the later of restrict and pty, quotes escaped by a backslash."""
    assert parse_options(text, "file:1") == expected


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ('environment="A=b"', "'environment' is not enforced"),
        ('permitopen="host:1"', "'permitopen' is not enforced"),
        ('permitlisten="1"', "'permitlisten' is not enforced"),
        ('tunnel="0"', "'tunnel' is not enforced"),
        ("verify-required", "'verify-required' is not enforced"),
        ("no-touch-required", "'no-touch-required' is not enforced"),
        ("touch-required", "'touch-required' is not enforced"),
        ("no-restrict", "'no-restrict' is not enforced"),
        ("no-cert-authority", "'no-cert-authority' is not enforced"),
        ("unknown-option", "'unknown-option' is not enforced"),
        ("ptyx", "'ptyx' is not enforced"),
        ("Unknown", "'Unknown' is not enforced"),
        ("restrict,unknown", "'unknown' is not enforced"),
        ('"quoted"', "'before the key' is not well-formed"),
        (",restrict", "'before the key' is not well-formed"),
        ("restrict,,pty", "'before the key' is not well-formed"),
        ("restrict,", "a comma too many"),
        ("command=ls", "'command' is not well-formed"),
        ('command="ls', "'command' is not well-formed"),
        ('command="ls"x', "'command' is not well-formed"),
        (r'command="a\\"', "'command' is not well-formed"),
        ("command", "'command' needs a value in quotes"),
        ("from", "'from' needs a value in quotes"),
        ('command=""', "'command' is empty"),
        ('command="  "', "'command' is empty"),
        ('command="a",command="a"', "'command' is there twice"),
        ('from="*",From="*"', "'From' is there twice"),
        ('cert-authority,principals="a",principals="a"', "'principals' is there twice"),
        ('restrict="yes"', "'restrict' takes no value"),
        ('no-user-rc="yes"', "'no-user-rc' takes no value"),
        ('cert-authority=""', "'cert-authority' takes no value"),
        ('principals="ops"', "for a cert-authority only"),
        ('cert-authority,principals=""', "'principals' has an empty entry"),
        ('cert-authority,principals="a,,b"', "'principals' has an empty entry"),
        ('cert-authority,principals="a, b"', "blanks around one"),
        ('from=""', "'from' has an empty entry"),
        ('from="bastion.example"', "'from' is neither an address nor a network"),
        ('from="!thief.example,*"', "'from' is neither an address nor a network"),
        ('expiry-time="tomorrow"', "'expiry-time' is not YYYYMMDD"),
        ('command="\x1b[2J"', "a control character"),
        ('command="\udcff"', "not UTF-8"),
        ("restrict\0", "a control character"),
    ],
)
def test_what_is_not_enforced_or_malformed_is_refused_by_name(options, problem):
    """An option that is malformed or not enforced refuses the line, by its name."""
    with pytest.raises(InvalidKey) as caught:
        parse_options(options, "file:3")
    text = str(caught.value)
    assert text.startswith("file:3: ")
    assert problem in text
    assert "\n" not in text


@pytest.mark.parametrize("option", ["command", "environment", "from", "expiry-time", "principals"])
def test_no_value_is_quoted_in_an_error(option):
    """A command may hold a password."""
    for text in (f'{option}="hunter2', f'{option}="hunter2",{option}="x"', f"{option}=hunter2"):
        with pytest.raises(InvalidKey) as caught:
            parse_options(text, "file:3")
        assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("20300102Z", (2030, 1, 2, 0, 0, 0)),
        ("203001020304Z", (2030, 1, 2, 3, 4, 0)),
        ("20300102030405Z", (2030, 1, 2, 3, 4, 5)),
        ("20300102030405z", (2030, 1, 2, 3, 4, 5)),
        ("20300102UTC", (2030, 1, 2, 0, 0, 0)),
        ("19700102Z", (1970, 1, 2, 0, 0, 0)),
    ],
)
def test_expiry_in_utc(text, moment):
    """Each form of sshd's with Z or UTC behind it."""
    options = parse_options(f'expiry-time="{text}"', "file:1")
    assert options.expires_at == calendar.timegm(moment)


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kolkata"])
def test_expiry_in_local_time(monkeypatch, zone):
    """Without Z the time is the server's own."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        for text in ("20300102", "203001020000", "20300102000000"):
            options = parse_options(f'expiry-time="{text}"', "file:1")
            assert options.expires_at == time.mktime((2030, 1, 2, 0, 0, 0, 0, 0, -1))
    finally:
        monkeypatch.undo()
        time.tzset()


def test_the_earliest_expiry_counts():
    """As in sshd, in whatever order they stand."""
    for order in (("20310101Z", "20300101Z"), ("20300101Z", "20310101Z")):
        text = ",".join(f'expiry-time="{one}"' for one in order)
        assert parse_options(text, "f").expires_at == calendar.timegm((2030, 1, 1, 0, 0, 0))


@pytest.mark.parametrize(
    "text",
    [
        *("", "2030", "2030-01-02", "2030010203Z", "203001020304051Z", "٢٠٣٠٠١٠٢", " 20300102"),
        *("20301301Z", "20300230Z", "20300100Z", "203001022400Z", "203001020060Z"),
        *("20300102000060Z", "00000000Z", "19691231Z", "19700101Z", "20300102ZZ", "20300102UTCZ"),
    ],
)
def test_an_expiry_that_is_no_time_is_refused(text):
    """Neither a guess nor 'never' is made of it; sshd takes February the 30th for March."""
    with pytest.raises(InvalidKey, match="'expiry-time' "):
        parse_options(f'expiry-time="{text}"', "file:1")


ENTRIES = st.lists(
    st.text(st.characters(exclude_characters=', "\\\t', min_codepoint=33, max_codepoint=0x2FFF))
    .map(str.strip)
    .filter(bool),
    min_size=1,
    max_size=3,
).map(tuple)


@given(
    st.builds(
        KeyOptions,
        sources=st.sampled_from([(), ("10.0.0.0/8", "!10.1.*"), ("::1",)]),
        command=st.none() | st.sampled_from(['print("x, y")', "\\ \\n", 'a\\"b', "é"]),
        expires_at=st.none() | st.integers(1, 2**37).map(float),
        pty=st.booleans(),
        authority=st.just(value=True),
        principals=st.just(()) | ENTRIES,
    )
)
def test_options_round_trip(options):
    """What the list shows is read as the same options."""
    try:
        assert parse_options(options_text(options), "file:1") == options
    except InvalidKey as error:
        assert "control character" in str(error)


PIECES = st.sampled_from(
    [
        *(
            "from",
            "command",
            "expiry-time",
            "restrict",
            "pty",
            "no-",
            "cert-authority",
            "principals",
        ),
        *("=", '"', "\\", ",", " ", "*", "!", "10.0.0.0/8", "20300101", "Z", "\0", "\udcff"),
    ]
)


@given(st.text() | st.lists(PIECES | st.text(max_size=4), max_size=40).map("".join))
@example('command="' + "\\" * 5000)
@example('command="' + '\\"' * 5000)
@example(('"' * 3 + "\\" * 3) * 2000)
@example("pty," * 4000)
def test_no_options_raise_anything_else(text):
    """Any text is options, or refused as InvalidKey in one line; in time linear in its length."""
    try:
        options = parse_options(text, "file:1")
    except InvalidKey as error:
        assert "\n" not in str(error)
    else:
        assert parse_options(options_text(options), "file:1") == options


# ---------------------------------------------------------------- addresses


@pytest.mark.parametrize(
    ("host", "sources", "expected"),
    [
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3", "10.0.0.0/8", True),
        ("10.1.2.3", "0.0.0.0/0", True),
        ("10.1.2.3", "11.0.0.0/8", False),
        ("10.1.2.3", "10.1.2.4,10.1.2.3", True),
        ("10.1.2.3", "10.*", True),
        ("10.1.2.3", "10.?.2.3", True),
        ("10.11.2.3", "10.?.2.3", False),
        ("110.1.2.3", "10.*", False),
        ("10.1.2.3", "*", True),
        ("10.1.2.3", "*.*.*.*", True),
        ("10.1.2.3", "!10.1.2.3,*", False),
        ("10.1.2.3", "*,!10.1.2.3", False),
        ("10.1.2.3", "!10.1.0.0/16,10.0.0.0/8", False),
        ("10.2.2.3", "!10.1.0.0/16,10.0.0.0/8", True),
        ("10.1.2.3", "!10.1.*,*", False),
        ("10.1.2.3", "!11.0.0.0/8", False),
        ("2001:db8::7", "2001:db8::/32", True),
        ("2001:db8::7", "2001:DB8:*", True),
        ("2001:db8::7", "2001:db8:0:0:0:0:0:7", True),
        ("2001:db8::7", "::/0", True),
        ("2001:db8::7", "0.0.0.0/0", False),
        ("2001:db8::7", "*", True),
        ("10.1.2.3", "::/0", False),
        ("::ffff:10.1.2.3", "10.0.0.0/8", True),
        ("::ffff:10.1.2.3", "!10.0.0.0/8,*", False),
        ("::ffff:10.1.2.3", "::/0", False),
        ("fe80::1%eth0", "fe80::/10", False),
        ("fe80::1%eth0", "!fe80::/10,*", False),
        ("fe80::1%eth0", "*", True),
        ("not an address", "*", False),
        ("bastion", "10.0.0.0/8", False),
    ],
)
def test_from_matches_as_sshd_matches(host, sources, expected):
    """Networks, wildcards and negation, over both families."""
    entries = sources.split(",")
    assert sources_problem(entries) is None
    assert matches_sources(Peer(host), entries) is expected


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("127.0.0.0/8", True),
        ("127.*", True),
        ("10.0.0.0/8", False),
        ("!127.0.0.1,*", False),
        ("!::1,*", False),
        ("*", True),
    ],
)
def test_a_unix_peer_counts_as_loopback(sources, expected):
    """It is on this machine: each of both addresses lets it in, each of both keeps it out."""
    assert matches_sources(UNIX, sources.split(",")) is expected


@pytest.mark.parametrize(
    "pattern",
    [
        *("", "!", "bastion", "bastion.example", "*.example", "fe80*", "cafe.*", "!*.example"),
        *("10.0.0.1/8", "10.0.0.0/33", "::1/129", "10.0.0.0/255.0.0.0", "10.1", "10", "010.0.0.1"),
        *("1.2.3.4.5", "256.0.0.1", "10.0.0.0/", "10.0.0.0/+8", "[::1]", "::1%lo", "10.0.0.0 /8"),
        *("!!10.0.0.1", "10.0.0.*/8", "٣.0.0.1", "10.0.0.0/٨", "user@10.0.0.1", "::g*"),
    ],
)
def test_what_no_address_can_match_is_refused(pattern):
    """A host name, or a slip in a network, would lock out, or not keep out, in silence."""
    assert sources_problem(["*", pattern])


def test_a_network_with_bits_too_many_is_told_with_the_right_one():
    """The remedy can be copied."""
    assert sources_problem(["10.1.2.3/8"]) == (
        "has bits behind the network's prefix; write 10.0.0.0/8"
    )


@pytest.mark.parametrize(
    ("peer", "networks", "expected"),
    [
        (Peer("10.1.2.3"), "10.0.0.0/8", True),
        (Peer("10.1.2.3"), "11.0.0.0/8,10.1.2.3", True),
        (Peer("10.1.2.3"), "11.0.0.0/8", False),
        (Peer("::ffff:10.1.2.3"), "10.0.0.0/8", True),
        (Peer("::1"), "::1/128", True),
        (UNIX, "127.0.0.1", True),
        (UNIX, "::1", True),
        (UNIX, "10.0.0.0/8", False),
        (Peer("strange"), "0.0.0.0/0,::/0", False),
    ],
)
def test_source_address_of_a_certificate(peer, networks, expected):
    """Addresses and networks; a Unix peer counts as loopback."""
    assert in_networks(peer, networks) is expected


@pytest.mark.parametrize("networks", ["", "*", "!10.0.0.1", "10.0.0.0/8,", "10.0.0.1/8", "host"])
def test_a_source_address_knows_neither_wildcards_nor_negation(networks):
    """As in sshd, one such entry makes the whole list invalid."""
    with pytest.raises(ValueError, match=r".") as caught:
        in_networks(Peer("10.0.0.1"), networks)
    assert "\n" not in str(caught.value)


def naive(text, pattern):
    """Match by trying everything."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(naive(text[at:], pattern[1:]) for at in range(len(text) + 1))
    return bool(text) and pattern[0] in {"?", text[0]} and naive(text[1:], pattern[1:])


@given(st.ip_addresses(), st.text("*?.:0123456789abcdef", max_size=8))
def test_wildcards_match_what_trying_everything_matches(address, pattern):
    """The quick way is right."""
    if "*" in pattern and not sources_problem([pattern]):
        assert matches_sources(Peer(str(address)), [pattern]) is naive(
            str(getattr(address, "ipv4_mapped", None) or address), pattern
        )


def test_many_stars_cost_no_time():
    """A pattern that would keep a regular expression busy for ever is answered at once."""
    assert not matches_sources(Peer("111.111.111.111"), ["*1" * 2000 + "?*9"])
