"""What crosses the network: typed messages, framing, names, certificates, tickets.

Both programs import this package; it imports neither. Nothing here opens a socket or reads a clock.
"""

PROTOCOL_MAJOR = 1
"""A shell and a phone book of different major versions do not talk; `hello` says so."""
PROTOCOL_MINOR = 0
"""Minor versions only add fields and methods; unknown fields are ignored."""
VERSION = "0.1.0"
"""Version of both programs."""
DEFAULT_PORT = 6969
"""TCP port of the phone book."""
SERVICE_TYPE = "_parley._tcp.local."
"""Under this type phone books are announced on a local network (RFC 6763 §7)."""
