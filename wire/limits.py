"""Every bound of the protocol, in one place, with its unit and its reason."""

KIB = 1024

MAX_FRAME = 64 * KIB  # bytes of one JSON-RPC line; the longest honest one is a full page of `list`
MAX_TEXT = 64 * KIB  # bytes of UTF-8 in one message between shells
MAX_CHOICES = 16  # answers that a question may offer
MAX_CHOICE = 64  # characters of one of them
MAX_LINE_FRAME = MAX_TEXT + 8 * KIB  # bytes of one frame between shells: a full text and all its choices
MAX_FILE = 2**53 - 1  # bytes of one file; what fits into a float exactly, eight pebibytes
MAX_FILE_NAME = 255  # characters of an offered name; more than any file system here takes in bytes
DIGEST_BYTES = 32  # SHA-256
TRANSFER_WINDOW = 8 * KIB * KIB  # bytes of one transfer under way; 40 MB/s at a round trip of 200 ms
MAX_NAME = 32  # characters of a user name
MIN_PASSWORD = 8  # characters; NIST SP 800-63B §5.1.1.2 asks for at least eight
MAX_PASSWORD = 1024  # bytes of UTF-8; bounds what one hash reads
MAX_ENDPOINTS = 16  # UDP endpoints that one shell may publish
MAX_CERTIFICATE = 2 * KIB  # bytes of DER; a self-signed P-256 certificate takes about 400
FINGERPRINT_BYTES = 32  # SHA-256
MAX_TICKET = 1 * KIB  # bytes of a signed introduction
MAX_TOKEN = 512  # characters of a resume token
MAX_CODE = 64  # characters of an invite or a reset token as somebody types it
MAX_PATTERN = 64  # characters of a pattern in `list`
MAX_WATCHED = 1_000  # names that one session may watch
MAX_ALLOWED = 1_000  # names that may see somebody whose visibility is `contacts`
MAX_BLOCKED = 500  # names that never see somebody; with those allowed they fit into one frame
MAX_NOTICE = 2 * KIB  # characters of a notice or of the reason of a kick
PAGE = 100  # people on one page of `list`

HEARTBEAT = 25.0  # seconds between a shell's pings; three fit into a phone book's patience of 75
TICKET_LIFE = 60.0  # seconds in which an introduction must be used
