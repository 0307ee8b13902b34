"""What strangers, peers and files may hand to Parley, each as a function of any bytes: it ends as the
contract says, or a check fails. Hypothesis and atheris run the same ones.
"""

import tempfile
import unicodedata
from collections.abc import Callable
from pathlib import Path

from server import settings as server_settings
from server.errors import SettingsError, TransferFailed
from server.tokens import TokenMint
from server.transfer import read_accounts
from shell import settings as shell_settings
from shell.errors import SettingsError as ShellSettingsError
from shell.kit.transcript import difference, escape, parse
from wire.display import KEPT_FORMATS, safe
from wire.errors import BadFrame, BadName, BadTicket, ErrorCode, FrameTooLong, Refused
from wire.frames import PROBE_BYTES, decode_frame, decode_probe, encode_frame
from wire.framing import LENGTH_BYTES, FrameSplitter, LineSplitter, frame
from wire.limits import MAX_NAME
from wire.names import check_name, name_key, skeleton
from wire.rpc import (
    BadRequest,
    Request,
    decode_incoming,
    decode_requests,
    encode_error,
    encode_push,
    encode_request,
)
from wire.rpc import Reply as RawReply
from wire.tickets import open_ticket

LIMIT = 64  # bytes of a line or frame here, so that its bound is met often
KEY = bytes(range(32))
_FOLDER = Path(tempfile.gettempdir())


def check(holds: bool, promise: str) -> None:
    """Unlike `assert` it is there when Python optimises."""
    if not holds:
        raise AssertionError(promise)


def framing(data: bytes) -> None:
    """However a stream is cut, the same lines and frames come out, and a bound is a bound."""
    cut, stream = (data[0] % 16 + 1, data[1:]) if data else (1, b"")
    pieces = [stream[at : at + cut] for at in range(0, len(stream), cut)]
    lines: list[bytes] = []
    splitter = LineSplitter(LIMIT)
    try:
        for piece in pieces:
            lines += splitter.feed(piece)
    except FrameTooLong:
        check(any(len(line) > LIMIT for line in stream.split(b"\n")), "no line is over the bound")
    else:
        check(lines == stream.split(b"\n")[:-1], "a line is not as it was sent")
    whole: list[bytes] = []
    frame_splitter = FrameSplitter(LIMIT)
    try:
        for piece in pieces:
            whole += frame_splitter.feed(piece)
    except FrameTooLong:
        rest = stream[sum(LENGTH_BYTES + len(one) for one in whole) :]
        check(int.from_bytes(rest[:LENGTH_BYTES]) > LIMIT, "no frame is over the bound")
    check(stream.startswith(b"".join(map(frame, whole))), "a frame is not as it was sent")


def requests(data: bytes) -> None:
    """Each line of a shell is a request that comes back as it was, or is refused with a code."""
    for request in decode_requests(data + b"\n"):
        if isinstance(request, BadRequest):
            check(request.code in set(ErrorCode), "a refusal without a code")
            check(encode_error(request.id, request).endswith(b"\n"), "a refusal that is no line")
            continue
        [again] = decode_requests(encode_request(request.id, request.params))
        check(
            isinstance(again, Request) and (again.id, again.params) == (request.id, request.params),
            "another request",
        )


def incoming(data: bytes) -> None:
    """A line of a phone book is a reply or a push that comes back as it was, or is none."""
    try:
        found = decode_incoming(data)
    except (BadFrame, Refused):
        return
    if found is not None and not isinstance(found, RawReply):
        check(decode_incoming(encode_push(found)[:-1]) == found, "another push")


def frames(data: bytes) -> None:
    """What a peer sends: frames, probes and tickets."""
    try:
        found = decode_frame(data)
    except BadFrame:
        pass
    else:
        check(decode_frame(encode_frame(found)[LENGTH_BYTES:]) == found, "another frame")
    probe = decode_probe(data)
    check(probe is None or (len(data) == PROBE_BYTES and probe.encode() == data), "another probe")
    try:
        open_ticket(data, KEY, 0.0)
    except BadTicket:
        return
    check(False, "a ticket that nobody signed")


def tokens(data: bytes) -> None:
    """A token that was not made here is none."""
    check(TokenMint(KEY).check(data.decode(errors="replace"), 0.0) is None, "a token that nobody made")


def settings(data: bytes) -> None:
    """A settings file is read by both programs, or what is wrong is named in one line."""
    with tempfile.NamedTemporaryFile(dir=_FOLDER, suffix=".toml") as file:
        file.write(data)
        file.flush()
        for load in (server_settings.load, shell_settings.load):
            try:
                load(Path(file.name))
            except (SettingsError, ShellSettingsError) as error:
                _one_line(str(error))


def accounts(data: bytes) -> None:
    """A file of accounts is taken, or what is wrong is named in one line."""
    with tempfile.NamedTemporaryFile(dir=_FOLDER, suffix=".toml") as file:
        file.write(data)
        file.flush()
        try:
            for account in read_accounts(Path(file.name)):
                check(name_key(account.name) == account.key, "an account that nobody would find")
        except TransferFailed as error:
            _one_line(str(error))


def transcripts(data: bytes) -> None:
    """Any text is a transcript; what is escaped is expected as it is."""
    text = data.decode(errors="replace")
    for step in parse(text):
        check("\n" not in step.typed, "a typed line with its end")
        difference(step.expected[:1], "")
    lines = tuple(text.splitlines())
    check(difference(tuple(map(escape, lines)), text) is None, "an output that differs from itself")


def names(data: bytes) -> None:
    """A name is allowed and found again, or refused with a reason; shown, it controls no terminal."""
    text = data.decode(errors="surrogateescape")
    shown = safe(text)
    check(not any(map(_acts, shown)), "a character that acts on a terminal")
    check(safe(shown) == shown, "what was made safe is not")
    key = name_key(text)
    # One letter may stand for several (`ß`), so a key may be longer than a name; none is looked for as one.
    check(len(key) > MAX_NAME or name_key(key) == key, "the key of a key is another")
    try:
        name = check_name(text)
    except BadName as error:
        _one_line(safe(str(error)))
        return
    check(0 < len(name) <= MAX_NAME, "a name over its bound")
    check(name_key(name) == name_key(text), "the name is found under another key")
    check(check_name(name) == name, "a name that is not allowed twice")
    skeleton(name)


def _acts(character: str) -> bool:
    """Whether a character can move a cursor, turn text around or end a line."""
    category = unicodedata.category(character)
    return category in ("Cc", "Cs", "Zl", "Zp") or (category == "Cf" and character not in KEPT_FORMATS)


def _one_line(sentence: str) -> None:
    check(bool(sentence) and "\n" not in sentence, "a reason that is no single line")


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target
    for target in (framing, requests, incoming, frames, tokens, settings, accounts, transcripts, names)
}

SEEDS: dict[str, tuple[bytes, ...]] = {
    "framing": (b"\x03one\ntwo\n", b"\x05" + frame(b"abc") + frame(b"")),
    "requests": (
        b'{"jsonrpc":"2.0","id":1,"method":"hello","params":{"major":1,"minor":0,"client":"x"}}',
        b'{"jsonrpc":"2.0","id":"a","method":"whois","params":{"name":"bob"}}',
        b'{"jsonrpc":"2.0","id":1,"id":2,"method":"ping","method":"list"}',
        b'{"jsonrpc":"2.0","id":' + b"9" * 400 + b',"method":"ping"}',
        b'{"jsonrpc":"2.0","id":1e400,"method":"ping"}',
        b'{"jsonrpc":"2.0","id":1,"method":"ping","params":' + b"[" * 2000,
        b'{"jsonrpc":"2.0","id":1,"method":"\\ud800","params":{}}',
        b'{"jsonrpc":"2.0","id":2,"method":"endpoints","params":{"endpoints":[{"host":"::1","port":1}]}}',
    ),
    "incoming": (
        b'{"id":1,"result":{},"jsonrpc":"2.0"}',
        b'{"method":"presence","params":{"name":"bob","status":"online"},"jsonrpc":"2.0"}',
        b'{"id":null,"error":{"code":131,"message":"full"},"jsonrpc":"2.0"}',
    ),
    "frames": (b"\x81\xa1t\xa6accept", b"\x82\xa1t\xa3bye\xa4code\x00", b"\x08\x01" + bytes(32)),
    "tokens": (b"", b"AAAA" * 20),
    "settings": (
        b'[server]\nlisten = ":1"\n[shell]\nbell = false\n',
        b"[server]\nhash_queue = 99999999999999999999999\n",
        b"[server]\nlisten = 1\nlisten = 2\n",
        b"server = 1\n",
        b"[[server]]\n",
        b"a = " + b"[" * 900,
        b"[server]\nregistration = []\n",
        b"[server]\nlogin_delay_seconds = nan\n",
    ),
    "accounts": (b"format = 1\n", b"format = 1\n[[account]]\nid = 1\n", b"account = 7\nformat = 1\n"),
    "transcripts": (b"a comment\nalice> list\n/.*/\nbob> \n", b"parley> x\n\\/ /(/ \\\\/\n"),
    "names": (
        b"alice",
        "\u202eevil\u0000".encode(),
        "Straße".encode(),
        "ａｌｉｃｅ".encode(),
        b"\xff\xfe",
        "…".encode() * 32,
    ),
}
"""Where mutation begins; what once broke something stands here for good."""
