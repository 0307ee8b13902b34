"""Safety numbers: sixty digits that two people compare over a phone to know that no key was swapped. Pure.

As in Signal's "Numeric Fingerprint": each side's key gives thirty digits by an iterated SHA-512, which makes
a search for a key with the same digits that much dearer; the lesser half stands first, so that both see one
number.
"""

import hashlib

ITERATIONS = 5_200  # as in Signal
GROUPS, GROUP_BYTES, GROUP_DIGITS = 6, 5, 5  # of each half
_CONTEXT = b"parley safety number 1\0"


def safety_number(own: bytes, other: bytes) -> tuple[str, ...]:
    """Twelve groups of five digits from two fingerprints, in whichever order they are given."""
    first, second = sorted((_half(own), _half(other)))
    return first + second


def _half(fingerprint: bytes) -> tuple[str, ...]:
    digest = _CONTEXT + fingerprint
    for _ in range(ITERATIONS):
        digest = hashlib.sha512(digest + fingerprint).digest()
    chunks = (digest[index * GROUP_BYTES : (index + 1) * GROUP_BYTES] for index in range(GROUPS))
    return tuple(f"{int.from_bytes(chunk) % 10**GROUP_DIGITS:0{GROUP_DIGITS}d}" for chunk in chunks)
