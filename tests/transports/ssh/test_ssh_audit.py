"""What ssh-audit, the usual judge of SSH servers, says of ours."""

import json
import subprocess
import sys

from console import Console

# Those that stay, and why.
WARNINGS = {
    # Offered beside ML-KEM, for PuTTY's and Dropbear's clients and OpenSSH before 9.9.
    ("kex", "curve25519-sha256"): "does not provide protection against post-quantum attacks",
    ("kex", "curve25519-sha256@libssh.org"): (
        "does not provide protection against post-quantum attacks"
    ),
}


def test_ssh_audit_finds_no_failure(tmp_path):
    """The default configuration has no failure, and no warning but those that are explained."""
    with Console(
        "audited", credentials={"boss": "sekrit"}, ssh=0, keys=tmp_path, history=tmp_path
    ) as console:
        done = subprocess.run(
            [
                *(sys.executable, "-W", "ignore", "-m", "ssh_audit", "--json"),
                *("--skip-rate-test", "-p", str(console.ssh_port), "127.0.0.1"),
            ],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    report = json.loads(done.stdout)
    notes = {
        (kind, one["algorithm"]): one["notes"]
        for kind in ("kex", "key", "enc", "mac")
        for one in report[kind]
    }
    assert len(notes) >= 10
    assert {name: note["fail"] for name, note in notes.items() if note.get("fail")} == {}
    warned = {name: "".join(note["warn"]) for name, note in notes.items() if note.get("warn")}
    assert warned == WARNINGS
    assert ("kex", "mlkem768x25519-sha256") in notes
    assert ("kex", "kex-strict-s-v00@openssh.com") in notes  # against Terrapin
    assert report["cves"] == []
