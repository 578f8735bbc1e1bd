"""Attacks over telnet: malformed, endless and excessive negotiation (RFC 854, 855)."""

import zlib

from attacks.harness import attack, pour, read_rest, read_until
from support.rawssh import Gone

IAC, DONT, DO, WONT, WILL, SB, SE = 255, 254, 253, 252, 251, 250, 240
ABORT, BRK, IP, AYT, EC, EL, EOF = 238, 243, 244, 246, 247, 248, 236
ECHO, SGA, STATUS, TM, TTYPE, NAWS, LINEMODE, NEW_ENVIRON = 1, 3, 5, 6, 24, 31, 34, 39
MSDP, MCCP2, MCCP3, GMCP = 69, 86, 87, 201
EVERY_OPTION = range(256)


def subnegotiation(option, content):
    return bytes([IAC, SB, option]) + content.replace(b"\xff", b"\xff\xff") + bytes([IAC, SE])


def window(columns, rows):
    return subnegotiation(NAWS, columns.to_bytes(2, "big") + rows.to_bytes(2, "big"))


def commands(command, options=EVERY_OPTION):
    return b"".join(bytes([IAC, command, option]) for option in options)


ACCEPTANCE = commands(WILL, (SGA, TTYPE, NAWS, NEW_ENVIRON)) + commands(DO, (SGA, ECHO))

PACKETS = {
    "MSDP table": bytes.fromhex("fffa450161020378fff0"),
    "MSDP array": bytes.fromhex("fffa450161020501fff0"),
    "MSDP nested 400 deep": subnegotiation(MSDP, b"\x01a\x02" + b"\x05\x02" * 400),
    "MCCP3 and a bomb": subnegotiation(MCCP3, b"") + zlib.compress(bytes(16 * 2**20), 9),
    "MCCP2": commands(DO, [MCCP2]) + subnegotiation(MCCP2, b""),
    "GMCP": subnegotiation(GMCP, b'Core.Hello {"a": ' + b"[" * 1000),
    "NEW_ENVIRON of 60 KB": ACCEPTANCE
    + subnegotiation(NEW_ENVIRON, b"\x00" + b"\x00LANG\x01x" * 9000),
    "NEW_ENVIRON with USER": ACCEPTANCE
    + subnegotiation(NEW_ENVIRON, b"\x00\x00USER\x01boss\x03LOGNAME\x01boss"),
    "STATUS questions": subnegotiation(STATUS, b"\x01"),
    "NAWS of wrong lengths": ACCEPTANCE
    + b"".join(subnegotiation(NAWS, b"\x01" * length) for length in (0, 1, 2, 3, 5, 6, 100)),
    "NAWS that is not escaped": bytes([IAC, SB, NAWS]) + b"\xff" * 4 + bytes([IAC, SE]),
    "NAWS 65535x65535": ACCEPTANCE + window(65535, 65535),
    "thousands of resizes": ACCEPTANCE
    + b"".join(window(40 + number % 200, 10 + number % 90) for number in range(2000)),
    "a subnegotiation of every option": b"".join(
        subnegotiation(option, bytes([0, 1, 2, 3])) for option in range(255)
    ),
    "a subnegotiation without end": bytes([IAC, SB, NEW_ENVIRON, 0]) + b"x" * 20000,
    "a subnegotiation without end, of no option": bytes([IAC, SB]) + bytes([IAC, IAC]) * 10000,
    "TTYPE of 20 KB": commands(WILL, [TTYPE]) + subnegotiation(TTYPE, b"\x00" + b"x" * 20000),
    "TTYPE with escapes": commands(WILL, [TTYPE])
    + subnegotiation(TTYPE, b"\x00\x1b]0;owned\x07\x9b2J\r\n"),
    "bytes FF alone": bytes([IAC]) * 1000,
    "FF twice": bytes([IAC, IAC]) * 1000,
    "DO each option": commands(DO),
    "DONT each option": commands(DONT),
    "WILL each option": commands(WILL),
    "WONT each option": commands(WONT),
    "an option on and off": commands(DO, [ECHO]) + commands(DONT, [ECHO]),
    "DO TIMING-MARK": commands(DO, [TM]),
    "are you there": bytes([IAC, AYT]),
    "each command there is": b"".join(bytes([IAC, code]) for code in range(200, 250)),
    "erasing": (b"x" * 50 + bytes([IAC, EC]) * 60 + bytes([IAC, EL])) * 10,
    "a line of wide characters erased": ("漢" * 60).encode() + b"\x7f" * 80,
    "CR without LF": b"\r" * 1000,
    "CR NUL and LF NUL": b"\r\0\n\0\0\r\r\n\n\0" * 100,
    "NUL": bytes(1000),
    "invalid UTF-8": b"\xc3\xff\xff\xf0\x9f\xe2\x28\xa1\xed\xa0\x80" * 100,
    "escape sequences": b"\x1b[" + b"1;" * 500 + b"\x1b]0;x\x1bO\x1b\x1b[[\x9b\x90",
    "empty lines": b"\r\n" * 500,
}

# Each Ctrl-C is answered by a new prompt, before login by the connection's end.
INTERRUPTS = {
    "interrupt, break and abort": bytes([IAC, IP, IAC, BRK, IAC, ABORT]),
    "end of file": bytes([IAC, EOF]),
}

BEFORE_BYTES = 80 * 1024
"""More than an unauthenticated connection may send, which is 64 KiB."""

AFTER_BYTES = 32 * 1024

AMPLIFICATION = 8
"""The most bytes answered for each byte sent: AYT has nine for two."""


def repeated(packet, size):
    """Repeat a packet until it has this many bytes, at least once."""
    return packet * max(1, size // len(packet))


def check_amplification(sent, received):
    assert len(received) < AMPLIFICATION * sent + 4096, f"{sent} bytes made {len(received)}"


def before_login(packet):
    def strike(site):
        client = site.telnet()
        flood = repeated(packet, BEFORE_BYTES)
        sent, received, left = pour(client, flood)
        check_amplification(sent, received)
        assert b">>>" not in received
        if not left and sent > 65536:
            read_rest(client)  # the server ends it: that exceeds the byte limit
        return len(flood) // len(packet)

    return strike


def after_login(name, packet, size=AFTER_BYTES):
    def strike(site):
        client = site.telnet_session()
        flood = repeated(packet, size)
        sent, received, left = pour(client, flood)
        check_amplification(sent, received)
        if not left:
            # Ends what the flood has begun, and shows that all of it has been handled.
            end = bytes([IAC, SE]) if "without end" in name else b""
            client.sendall(end + b"\x03\r\nprint('al' + 'ive')\r\n")
            try:
                read_until(client, b"alive")
            except Gone:
                site.notes.append("the session was ended")
        return len(flood) // len(packet)

    return strike


for _name, _packet in {**PACKETS, **INTERRUPTS}.items():
    attack(f"telnet, before login: {_name}")(before_login(_packet))
for _name, _packet in PACKETS.items():
    attack(f"telnet, in a session: {_name}")(after_login(_name, _packet))


def fullscreen_session(site):
    """Log in as a terminal with a window, which gets the editor."""
    client = site.telnet()
    client.sendall(
        ACCEPTANCE + window(80, 24) + subnegotiation(TTYPE, b"\x00xterm-256color") + b"boss\r\0"
    )
    read_until(client, b"password: ")
    client.sendall(b"sekrit\r\0")
    read_until(client, b">>> ")
    return client


@attack("telnet, full screen: thousands of resizes", growth_mib=24)
def resizes_of_an_editor(site):
    client = fullscreen_session(site)
    client.sendall(b"x = 1")
    flood = b"".join(window(40 + number % 200, 10 + number % 90) for number in range(3000))
    pour(client, flood)
    client.sendall(b"\x15print('al' + 'ive')\r\0")
    read_until(client, b"alive")
    return 3000


@attack("telnet, full screen: 65535x65535", growth_mib=48)
def a_huge_window(site):
    client = fullscreen_session(site)
    client.sendall(window(65535, 65535) + b"print('al' + 'ive')\r\0")
    read_until(client, b"alive")
    return 1


@attack("telnet, 10 MB of FF before login")
def ten_megabytes(site):
    client = site.telnet()
    _, _, left = pour(client, bytes([IAC]) * 10_000_000)
    assert left
    return 1
