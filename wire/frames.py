"""What two shells say to each other: probes before a connection, frames on its stream.

Probes are single datagrams that share the UDP socket with QUIC and are told apart by the first byte
(RFC 9443 §3 gives QUIC 64-127 and 192-255; 4-15 are free). Frames are msgpack, each with its length before
it (`wire.framing`), on the first bidirectional stream of a QUIC connection. What a file or a pipe holds
travels on unidirectional streams of its own: the transfer's id, the offset, then the bytes.
"""

import enum
from typing import Annotated

import msgspec
from msgspec import Meta

from wire.errors import BadFrame
from wire.framing import frame
from wire.limits import (
    DIGEST_BYTES,
    MAX_CERTIFICATE,
    MAX_CHOICE,
    MAX_CHOICES,
    MAX_FILE,
    MAX_FILE_NAME,
    MAX_TEXT,
    MAX_TICKET,
)
from wire.paths import PATH_KEY_BYTES
from wire.tickets import TICKET_ID_BYTES
from wire.times import Moment

ALPN = "parley/1"
PROBE_FIRST_BYTE = 0x08
NONCE_BYTES = 16
MESSAGE_ID_BYTES = 16
TRANSFER_ID_BYTES = 16
OFFSET_BYTES = 8  # of the big-endian offset at the head of a transfer's stream
_PROOF_CONTEXT = b"parley proof 1\0"  # no other signature of an identity key can be taken for a proof


class ProbeKind(enum.IntEnum):
    """What a probe is for."""

    KNOCK = 1
    """From the caller: I hold this ticket; may I call from here?"""
    ANSWER = 2
    """From the callee: yes, you reached me; sign this nonce."""
    PUNCH = 3
    """From the callee, to the caller's addresses: opens the callee's NAT, and shows from where it sends."""


class Probe(msgspec.Struct, frozen=True):
    """A knock, its answer, or a punch. All have one size, so that an answer amplifies nothing."""

    kind: ProbeKind
    ticket_id: bytes
    nonce: bytes

    def encode(self) -> bytes:
        """The datagram."""
        return bytes((PROBE_FIRST_BYTE, self.kind)) + self.ticket_id + self.nonce


PROBE_BYTES = 2 + TICKET_ID_BYTES + NONCE_BYTES


def decode_probe(datagram: bytes) -> Probe | None:
    """The probe in a datagram, None where there is none."""
    if len(datagram) != PROBE_BYTES or datagram[0] != PROBE_FIRST_BYTE:
        return None
    try:
        kind = ProbeKind(datagram[1])
    except ValueError:
        return None
    return Probe(kind, datagram[2 : 2 + TICKET_ID_BYTES], datagram[2 + TICKET_ID_BYTES :])


class LineClose(enum.IntEnum):
    """Application error codes with which a line is closed (RFC 9000 §20.2)."""

    DONE = 0
    BAD_FRAME = 1
    """A frame that is malformed, too long or out of order."""
    BAD_PROOF = 2
    """The caller did not prove to be who the ticket names."""
    KEY_NOT_TRUSTED = 3
    """The key is not the one pinned for this name."""
    REPLACED = 4
    """A newer line to the same shell took over."""
    TOO_MANY = 5
    """The callee has as many lines as it may have."""


class Frame(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="t"):
    """The base of all frames; unknown fields are ignored."""


Choice = Annotated[str, Meta(min_length=1, max_length=MAX_CHOICE)]
Choices = Annotated[tuple[Choice, ...], Meta(max_length=MAX_CHOICES)]
MessageId = Annotated[bytes, Meta(min_length=MESSAGE_ID_BYTES, max_length=MESSAGE_ID_BYTES)]


class Proof(Frame, frozen=True, tag="proof"):
    """The caller's first frame: what it knocked with, its certificate, a signature over the nonce."""

    id: Annotated[bytes, Meta(min_length=TICKET_ID_BYTES, max_length=TICKET_ID_BYTES)]
    """The ticket's id, or the knock id of two contacts."""
    certificate: Annotated[bytes, Meta(max_length=MAX_CERTIFICATE)]
    signature: Annotated[bytes, Meta(max_length=256)]
    ticket: Annotated[bytes, Meta(max_length=MAX_TICKET)] = b""
    """As the phone book signed it; empty where the two know each other."""


class Accept(Frame, frozen=True, tag="accept"):
    """The callee's first frame: the proof holds."""

    certificate: Annotated[bytes, Meta(max_length=MAX_CERTIFICATE)]
    """The callee's own, which the handshake has proven, for the caller to keep."""
    path_key: Annotated[bytes, Meta(min_length=PATH_KEY_BYTES, max_length=PATH_KEY_BYTES)]
    """The secret with which both sides probe paths; the first bytes name the line in the clear."""


class Text(Frame, frozen=True, tag="text"):
    """A message."""

    id: MessageId
    written: Moment
    """When it was written, seconds since the epoch by the writer's clock."""
    text: Annotated[str, Meta(max_length=MAX_TEXT)]
    choices: Choices | None = None
    """For a question: the answers that it offers, none where any will do; None for what asks nothing."""
    answers: Annotated[bytes, Meta(max_length=MESSAGE_ID_BYTES)] = b""
    """The id of the question that this answers; empty for what answers none."""


class Verdict(enum.Enum):
    """What became of a message at its recipient."""

    DELIVERED = "delivered"
    """It rests in the recipient's mailbox."""
    HELD = "held"
    """It rests there as a request that waits for consent."""
    REFUSED = "refused"
    """The recipient declined it; it is not kept."""


class Receipt(Frame, frozen=True, tag="receipt"):
    """Sent only after the recipient's disk has it."""

    id: MessageId
    verdict: Verdict


class Read(Frame, frozen=True, tag="read"):
    """The recipient has looked at this message and all before it; sent only where they want that to be known.

    Said again on each new line: the last one holds, so none needs an answer.
    """

    id: MessageId


class Bye(Frame, frozen=True, tag="bye"):
    """The last frame before a line is closed on purpose. QUIC's own close says the same, but whoever gets it
    waits out the draining period (RFC 9000 §10.2.2) before the connection counts as over."""

    code: int


TransferId = Annotated[bytes, Meta(min_length=TRANSFER_ID_BYTES, max_length=TRANSFER_ID_BYTES)]
Offset = Annotated[int, Meta(ge=0, le=MAX_FILE)]


class TransferKind(enum.Enum):
    """What is moved."""

    FILE = "file"
    FOLDER = "folder"
    """As a tar archive of files and folders."""
    PIPE = "pipe"
    """What a program writes, of unknown size."""


class StopReason(enum.Enum):
    """Why a transfer ends before its end."""

    DECLINED = "declined"
    """Its recipient does not want it."""
    CANCELLED = "cancelled"
    """One side changed its mind, or knows nothing of it."""
    NO_CONSENT = "no consent"
    """Only accepted contacts may offer."""
    TOO_LARGE = "too large"
    """It is larger than its recipient takes."""
    TOO_MANY = "too many"
    """Too many wait already."""
    CHANGED = "changed"
    """The file is gone or is no longer what was offered."""
    DAMAGED = "damaged"
    """What arrived is not what was sent."""
    DISK_FAILED = "disk failed"
    """It could not be read or written."""


class Offer(Frame, frozen=True, tag="offer"):
    """Somebody would send a file; said again on each new line until the transfer is over."""

    id: TransferId
    kind: TransferKind
    name: Annotated[str, Meta(max_length=MAX_FILE_NAME)]
    """As the sender calls it; the recipient makes a name of its own of it."""
    size: Offset | None = None
    """Bytes that will travel; None where that is not known."""


class Take(Frame, frozen=True, tag="take"):
    """The recipient wants it, from this offset on, on a new stream."""

    id: TransferId
    offset: Offset


class Credit(Frame, frozen=True, tag="credit"):
    """The recipient has put so much away; `TRANSFER_WINDOW` bytes more may travel."""

    id: TransferId
    offset: Offset


class End(Frame, frozen=True, tag="end"):
    """The sender has sent all: so many bytes with this SHA-256."""

    id: TransferId
    size: Offset
    sha256: Annotated[bytes, Meta(min_length=DIGEST_BYTES, max_length=DIGEST_BYTES)]


class Taken(Frame, frozen=True, tag="taken"):
    """All of it rests with the recipient, and the checksum holds."""

    id: TransferId


class Stop(Frame, frozen=True, tag="stop"):
    """The transfer is over, from whichever side."""

    id: TransferId
    reason: StopReason


TransferFrame = Offer | Take | Credit | End | Taken | Stop
AnyFrame = Proof | Accept | Text | Receipt | Read | Bye | TransferFrame

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[AnyFrame] = msgspec.msgpack.Decoder(AnyFrame)


def encode_frame(value: Frame) -> bytes:
    """The frame with its length before it."""
    return frame(_encoder.encode(value))


def decode_frame(payload: bytes) -> AnyFrame:
    """The frame in a payload; raises `BadFrame`."""
    try:
        return _decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise BadFrame(f"That is no frame: {error}") from None


def proof_message(nonce: bytes, caller: bytes, callee: bytes, knock_id: bytes) -> bytes:
    """What the caller signs: the callee's fresh nonce, both fingerprints, the knock; each of fixed size."""
    return _PROOF_CONTEXT + nonce + caller + callee + knock_id
