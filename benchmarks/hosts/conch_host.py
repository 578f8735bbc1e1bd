"""twisted.conch's manhole, over telnet and SSH, as its documentation has it; boss / sekrit."""

from __future__ import annotations

from typing import Any

from twisted.conch import manhole, manhole_ssh, telnet
from twisted.conch.checkers import InMemorySSHKeyDB, SSHPublicKeyChecker
from twisted.conch.insults import insults
from twisted.conch.ssh import keys
from twisted.cred import checkers, portal
from twisted.internet import protocol, reactor
from zope.interface import implementer

from benchmarks.hosts import control

spec = control.arguments()
namespace = {"foo": 12}
passwords = checkers.InMemoryUsernamePasswordDatabaseDontUse(boss=b"sekrit")


@implementer(portal.IRealm)
class TelnetRealm:
    """Gives each telnet user a manhole."""

    def requestAvatar(self, avatar: object, mind: object, *interfaces: object) -> Any:  # noqa: N802 - twisted's
        made = telnet.TelnetBootstrapProtocol(
            insults.ServerProtocol, manhole.ColoredManhole, namespace
        )
        return telnet.ITelnetProtocol, made, lambda: None


def telnet_factory() -> protocol.ServerFactory:
    """Serve telnet with a login."""
    access = portal.Portal(TelnetRealm(), [passwords])
    factory = protocol.ServerFactory()
    factory.protocol = lambda: telnet.TelnetTransport(telnet.AuthenticatingTelnetProtocol, access)
    return factory


def ssh_factory() -> manhole_ssh.ConchFactory:
    """Serve SSH with keys and passwords."""
    realm = manhole_ssh.TerminalRealm()
    realm.chainedProtocolFactory.protocolFactory = lambda _: manhole.ColoredManhole(namespace)
    allowed = InMemorySSHKeyDB({b"boss": [keys.Key.fromString(spec["public_key"].encode())]})
    access = portal.Portal(realm, [passwords, SSHPublicKeyChecker(allowed)])
    factory = manhole_ssh.ConchFactory(access)
    host_key = keys.Key.fromFile(spec["host_key"])
    factory.publicKeys[b"ssh-ed25519"] = host_key
    factory.privateKeys[b"ssh-ed25519"] = host_key
    return factory


ssh_port = reactor.listenTCP(0, ssh_factory(), interface="127.0.0.1")
telnet_port = reactor.listenTCP(0, telnet_factory(), interface="127.0.0.1")
control.serve()
control.reply(ssh=ssh_port.getHost().port, telnet=telnet_port.getHost().port)
reactor.run()
