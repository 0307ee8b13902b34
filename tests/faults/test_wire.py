"""Watches the packets: no word of a message is in any of them, and none passes the phone book."""

import os
import socket
import threading
from pathlib import Path

import pytest

from shell.host import Town
from shell.kit.player import play

SECRET = "xylophone-quagmire-7719"
SCENE = f"""alice> signup alice
/(?s:.*)/
bob> signup bob
/(?s:.*)/
alice> msg bob {SECRET} is what nobody else may read
/(?s:.*)/
bob> wait request
/(?s:.*)/
bob> accept alice
/(?s:.*)/
bob> wait message
alice: {SECRET} is what nobody else may read
"""
ETH_P_ALL = 3
IP_PROTOCOL_OFFSET, UDP = 14 + 9, 17


@pytest.mark.skipif(os.geteuid() != 0, reason="watching packets needs root")
def test_no_word_is_on_the_wire(tmp_path: Path) -> None:
    packets: list[bytes] = []
    watching = True
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)) as tap:
        tap.bind(("lo", 0))
        tap.settimeout(0.1)

        def watch() -> None:
            while watching:
                try:
                    packets.append(tap.recv(65536))
                except TimeoutError:
                    continue

        watcher = threading.Thread(target=watch)
        watcher.start()
        scene = tmp_path / "secret.transcript"
        scene.write_text(SCENE)
        try:
            failure = play(scene, Town())
        finally:
            watching = False
            watcher.join()
    assert failure is None, str(failure)
    assert any(packet[IP_PROTOCOL_OFFSET] == UDP for packet in packets if len(packet) > IP_PROTOCOL_OFFSET)
    for packet in packets:
        assert SECRET.encode() not in packet
        assert b"xylophone" not in packet
