"""A client written from docs/protocol.md alone: none of Parley's own code is imported for it.

It stands for every client in another language: JSON lines over TLS to the phone book, a probe, and msgpack
frames on a QUIC stream to a real shell.
"""

import base64
import hashlib
import json
import os
import select
import socket
import ssl
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from qh3.quic.configuration import QuicConfiguration
from qh3.quic.connection import QuicConnection
from qh3.quic.events import StreamDataReceived

from tests.e2e.world import PASSWORD, PATIENCE, Server, environment, parley


class Key:
    """A P-256 key with a self-signed certificate."""

    def __init__(self, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        made = (
            x509.CertificateBuilder(subject, subject, self._key.public_key(), x509.random_serial_number())
            .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
            .not_valid_after(datetime(9999, 12, 31, tzinfo=UTC))
            .sign(self._key, hashes.SHA256())
        )
        self.certificate = made.public_bytes(serialization.Encoding.DER)
        self.fingerprint = hashlib.sha256(self.certificate).digest()

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message, ec.ECDSA(hashes.SHA256()))


class Book:
    """The phone book: one JSON-RPC object a line."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # a client pins what it sees
        self._tls = context.wrap_socket(socket.create_connection((host, int(port)), PATIENCE))
        self._lines = self._tls.makefile("rb")
        self._number = 0

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        request = {"jsonrpc": "2.0", "id": self._number, "method": method, "params": params}
        self._tls.sendall(json.dumps(request).encode() + b"\n")
        while True:
            answer = json.loads(self._lines.readline())
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result

    def close(self) -> None:
        self._lines.close()
        self._tls.close()


class Line:
    """Frames to another shell: four bytes of length, then a msgpack map with its type in `t`."""

    def __init__(self, udp: socket.socket, peer: tuple[str, int], certificate_sha256: bytes) -> None:
        self._udp, self._peer = udp, peer
        configuration = QuicConfiguration(
            is_client=True,
            alpn_protocols=["parley/1"],
            assert_fingerprint=certificate_sha256.hex(),
            verify_mode=0,
        )
        self._quic = QuicConnection(configuration=configuration)
        self._quic.connect(peer, time.monotonic())
        self._buffer = b""

    def send(self, **frame: Any) -> None:
        payload = msgspec.msgpack.encode(frame)
        self._quic.send_stream_data(0, len(payload).to_bytes(4, "big") + payload)
        self._flush()

    def receive(self, kind: str) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            while len(self._buffer) >= 4 and len(self._buffer) >= 4 + int.from_bytes(self._buffer[:4], "big"):
                end = 4 + int.from_bytes(self._buffer[:4], "big")
                frame = msgspec.msgpack.decode(self._buffer[4:end])
                self._buffer = self._buffer[end:]
                if frame["t"] == kind:
                    return dict(frame)
            self._pump()
        raise AssertionError(f"no {kind} came")

    def _pump(self) -> None:
        self._flush()
        timer = self._quic.get_timer()
        left = 1.0 if timer is None else max(0.0, timer - time.monotonic())
        if select.select([self._udp], [], [], min(left, 1.0))[0]:
            self._quic.receive_datagram(self._udp.recvfrom(65536)[0], self._peer, time.monotonic())
        elif timer is not None and timer <= time.monotonic():
            self._quic.handle_timer(time.monotonic())
        while (event := self._quic.next_event()) is not None:
            if isinstance(event, StreamDataReceived) and event.stream_id == 0:
                self._buffer += event.data

    def _flush(self) -> None:
        for datagram, address in self._quic.datagrams_to_send(time.monotonic()):
            self._udp.sendto(datagram, address)


def knock(
    udp: socket.socket, endpoints: list[dict[str, Any]], ticket_id: bytes
) -> tuple[tuple[str, int], bytes]:
    """Where the callee answered from, and the nonce of its answer."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        for endpoint in endpoints:
            if ":" not in endpoint["host"]:
                udp.sendto(b"\x08\x01" + ticket_id + bytes(16), (endpoint["host"], endpoint["port"]))
        if select.select([udp], [], [], 0.2)[0]:
            datagram, address = udp.recvfrom(65536)
            if len(datagram) == 34 and datagram[:2] == b"\x08\x02" and datagram[2:18] == ticket_id:
                return address, datagram[18:]
    raise AssertionError("nobody answered the knock")


def test_a_client_written_from_the_protocol_page_alone_is_understood(server: Server, tmp_path: Path) -> None:
    bob = "--server", server.address, "--data", str(tmp_path / "bob")
    parley(*bob, "-c", "signup bob")
    shell = subprocess.Popen(
        [sys.executable, "-m", "shell.main", *bob, "--user", "bob"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(PARLEY_PASSWORD=PASSWORD),
    )
    assert shell.stdin is not None
    shell.stdin.write("wait request --timeout 30\naccept carol\nwait message\nmsg carol and back\n")
    shell.stdin.flush()
    book = Book(server.address)
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.bind(("127.0.0.1", 0))
            talk(book, udp)
        said, _ = shell.communicate("quit\n", timeout=PATIENCE)
    finally:
        book.close()
        shell.kill()
        shell.wait()
    assert "carol wants to talk to you." in said
    assert "carol: hello from elsewhere" in said
    assert "Delivered to carol." in said


def talk(book: Book, udp: socket.socket) -> None:
    key = Key("carol")
    welcome = book.ask("hello", major=1, minor=0, client="stranger/1")
    endpoints = [{"host": "127.0.0.1", "port": udp.getsockname()[1]}]
    certificate = base64.b64encode(key.certificate).decode()
    book.ask("signup", name="carol", password=PASSWORD, certificate=certificate, endpoints=endpoints)
    deadline = time.monotonic() + PATIENCE
    while book.ask("whois", name="bob")["status"] != "online":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    introduction = book.ask("introduce", name="bob")
    signed = base64.b64decode(introduction["ticket"])
    body, signature = msgspec.msgpack.decode(signed)
    ticket_key = Ed25519PublicKey.from_public_bytes(base64.b64decode(welcome["ticket_key"]))
    ticket_key.verify(signature, b"parley ticket 1\0" + body)
    ticket = msgspec.msgpack.decode(body)
    assert ticket["caller_fingerprint"] == key.fingerprint
    address, nonce = knock(udp, introduction["endpoints"], ticket["id"])
    callee = base64.b64decode(introduction["fingerprint"])
    line = Line(udp, address, callee)
    proof = b"parley proof 1\0" + nonce + key.fingerprint + callee + ticket["id"]
    line.send(
        t="proof", id=ticket["id"], certificate=key.certificate, signature=key.sign(proof), ticket=signed
    )
    assert hashlib.sha256(line.receive("accept")["certificate"]).digest() == callee
    message = os.urandom(16)
    line.send(t="text", id=message, written=time.time(), text="hello from elsewhere")
    assert line.receive("receipt") == {"t": "receipt", "id": message, "verdict": "held"}
    assert line.receive("receipt") == {"t": "receipt", "id": message, "verdict": "delivered"}
    answer = line.receive("text")
    assert answer["text"] == "and back"
    line.send(t="receipt", id=answer["id"], verdict="delivered")
    line.send(t="bye", code=0)
