"""Safety numbers: sixty digits that two people compare over a phone to know that no key was swapped. Pure.

As in Signal's "Numeric Fingerprint": each side's key gives thirty digits by an iterated SHA-512, which makes
a search for a key with the same digits that much dearer; the lesser half stands first, so that both see one
number.
"""

import hashlib

ITERATIONS = 5_200  # as in Signal
GROUPS, GROUP_BYTES, GROUP_DIGITS = 6, 5, 5  # of each half
QUIET_ZONE = 4  # light modules around a QR code (ISO/IEC 18004 §5.3.8)
_HALVES = {(False, False): " ", (True, False): "▀", (False, True): "▄", (True, True): "█"}
_CONTEXT = b"parley safety number 1\0"


def safety_number(own: bytes, other: bytes) -> tuple[str, ...]:
    """Twelve groups of five digits from two fingerprints, in whichever order they are given."""
    first, second = sorted((_half(own), _half(other)))
    return first + second


def qr_code(number: tuple[str, ...]) -> tuple[str, ...]:
    """The digits as a QR code, two rows of modules a line, the dark ones drawn."""
    import segno  # when one is asked for

    code = segno.make("".join(number), error="m", micro=False)
    rows = [[bool(module) for module in row] for row in code.matrix_iter(border=QUIET_ZONE)]
    rows += [[False] * len(rows[0])] * (len(rows) % 2)
    return tuple(
        "".join(_HALVES[pair] for pair in zip(upper, lower, strict=True))
        for upper, lower in zip(rows[::2], rows[1::2], strict=True)
    )


def _half(fingerprint: bytes) -> tuple[str, ...]:
    digest = _CONTEXT + fingerprint
    for _ in range(ITERATIONS):
        digest = hashlib.sha512(digest + fingerprint).digest()
    chunks = (digest[index * GROUP_BYTES : (index + 1) * GROUP_BYTES] for index in range(GROUPS))
    return tuple(f"{int.from_bytes(chunk) % 10**GROUP_DIGITS:0{GROUP_DIGITS}d}" for chunk in chunks)
