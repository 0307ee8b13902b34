"""What the phone book is held against, where installed: ngircd and Prosody, flood limits lifted."""

import base64
import os
import shutil
from pathlib import Path

from tests.bench.generator import Script, Target, program
from tests.bench.processes import Process, free_port
from wire.certificates import make_identity

PROFILE_BYTES = 190  # of an answer to `whois`, about


class Echo(Process):
    """The limit: C, and no work at all."""

    def __init__(self, folder: Path, *, tls: bool) -> None:
        self.port, self.tls = free_port(), tls
        answer = '{"fingerprint":' + "x" * (PROFILE_BYTES - 15)
        files = _certificate(folder) if tls else ()
        super().__init__(
            [str(program("echo")), str(self.port), answer, *map(str, files)], folder / "echo.log"
        )
        self.listening(self.port)

    def target(self, clients: int) -> Target:
        """For the generator."""
        scripts: list[Script] = [[b"hello\n", b'"fingerprint"']] * clients
        requests = [b'{"method":"whois","id":1,"params":{"name":"u%07d"},"jsonrpc":"2.0"}\n' % clients]
        return Target("C echo", self.port, self.tls, scripts, requests, b'"fingerprint"')


class Ngircd(Process):
    """An IRC server in C; the look-up is WHOIS."""

    @staticmethod
    def installed() -> bool:
        """Whether it can be run here."""
        return _found("ngircd") is not None

    def __init__(self, folder: Path, *, tls: bool) -> None:
        self.port, self.tls = free_port(), tls
        plain = free_port() if tls else self.port
        certificate, key = _certificate(folder)
        config = folder / "ngircd.conf"
        tls_part = f"[SSL]\nCertFile = {certificate}\nKeyFile = {key}\nPorts = {self.port}\n" if tls else ""
        config.write_text(
            "[Global]\nName = irc.bench.invalid\nInfo = bench\nListen = 127.0.0.1\n"
            f"Ports = {plain}\nMotdPhrase = hello\nServerUID = nobody\nServerGID = nogroup\n"
            "[Limits]\nMaxConnections = 0\nMaxConnectionsIP = 0\nMaxPenaltyTime = 0\nPingTimeout = 3600\n"
            "PongTimeout = 3600\nMaxNickLength = 16\n"
            f"[Options]\nDNS = no\nIdent = no\nPAM = no\n{tls_part}"
        )
        for path in (folder, config, certificate, key):
            path.chmod(0o755 if path.is_dir() else 0o644)
        super().__init__([_found("ngircd") or "ngircd", "-n", "-f", str(config)], folder / "ngircd.log")
        self.listening(self.port)

    def target(self, clients: int, known: int) -> Target:
        """For the generator: look-ups of the first `known` clients."""
        scripts: list[Script] = [
            [b"NICK u%07d\r\nUSER bench 0 * :bench\r\n" % number, b" 376 "]
            for number in range(1, clients + 1)
        ]
        requests = [b"WHOIS u%07d\r\n" % number for number in range(1, known + 1)]
        return Target("ngircd", self.port, self.tls, scripts, requests, b" 318 ")


class Prosody(Process):
    """An XMPP server in Lua; the look-up is somebody's vcard-temp (XEP-0054)."""

    @staticmethod
    def installed() -> bool:
        """Whether it can be run here."""
        return _found("prosody") is not None

    def __init__(self, folder: Path, clients: int) -> None:
        self.port, self.tls = free_port(), True
        data = folder / "prosody"
        accounts, cards = data / "bench%2einvalid" / "accounts", data / "bench%2einvalid" / "vcard"
        for made in (accounts, cards):
            made.mkdir(parents=True)
        for number in range(1, clients + 1):
            (accounts / f"u{number:07d}.dat").write_text('return { ["password"] = "secret"; };\n')
            (cards / f"u{number:07d}.dat").write_text(
                'return { ["name"] = "vCard"; ["attr"] = { ["xmlns"] = "vcard-temp"; };'
                f' {{ ["name"] = "FN"; ["attr"] = {{}}; "Person {number} of the town"; }}; }};\n'
            )
        certificate, key = _certificate(folder)
        config = folder / "prosody.cfg.lua"
        config.write_text(
            f'data_path = "{data}"\npidfile = "{data}/prosody.pid"\ninterfaces = {{ "127.0.0.1" }}\n'
            'modules_enabled = { "saslauth"; "tls"; "disco"; "ping"; "vcard"; "roster"; "presence" }\n'
            'modules_disabled = { "s2s"; "limits"; "admin_shell"; "admin_socket" }\n'
            'authentication = "internal_plain"\nallow_registration = false\nc2s_ports = { }\n'
            f"c2s_direct_tls_ports = {{ {self.port} }}\nc2s_stanza_size_limit = 262144\n"
            'log = { error = "*console" }\nnetwork_backend = "epoll"\nrun_as_root = true\n'
            f'ssl = {{ certificate = "{certificate}"; key = "{key}"; protocol = "tlsv1_3" }}\n'
            f'c2s_direct_tls_ssl = {{ certificate = "{certificate}"; key = "{key}"; protocol = "tlsv1_3" }}\n'
            'VirtualHost "bench.invalid"\n'
        )
        super().__init__(
            [_found("prosody") or "prosody", "-F", "--config", str(config)], folder / "prosody.log"
        )
        self.listening(self.port)

    def target(self, clients: int, known: int) -> Target:
        """For the generator: cards of the first `known` clients."""
        stream = (
            b"<?xml version='1.0'?><stream:stream to='bench.invalid' version='1.0' xmlns='jabber:client'"
            b" xmlns:stream='http://etherx.jabber.org/streams'>"
        )
        bind = (
            b"<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
            b"<resource>r</resource></bind></iq>"
        )
        scripts: list[Script] = [
            [
                *(stream, b"</stream:features>"),
                b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>%s</auth>"
                % _plain(number),
                *(b"<success", stream, b"</stream:features>"),
                *(bind, b"type='result'"),
            ]
            for number in range(1, clients + 1)
        ]
        requests = [
            b"<iq type='get' id='1' to='u%07d@bench.invalid'><vCard xmlns='vcard-temp'/></iq>" % number
            for number in range(1, known + 1)
        ]
        return Target("Prosody", self.port, self.tls, scripts, requests, b"type='result'")


def _plain(number: int) -> bytes:
    return base64.b64encode(b"\0u%07d\0secret" % number)


def _found(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def _certificate(folder: Path) -> tuple[Path, Path]:
    certificate, key = folder / "bench.crt", folder / "bench.key"
    if not certificate.exists():
        identity = make_identity("bench")
        certificate.write_bytes(identity.certificate_pem)
        key.write_bytes(identity.key_pem)
    return certificate, key
