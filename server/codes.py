"""One-time codes that an operator hands over: invites and reset tokens. Pure.

A code is read out or typed, so it is written in Crockford's base 32 (no I, L, O, U), in groups of four. Only
its SHA-256 is kept: with 80 bits of randomness it cannot be guessed or found from its digest.
"""

import hashlib

CODE_BYTES = 10  # of randomness: 16 characters
GROUP = 4  # characters between dashes
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford
_BITS = 5  # of one character
_MISREAD = str.maketrans("OILU", "011V")


def write_code(random: bytes) -> str:
    """Random bytes as a code, such as `7KQF-9XWM-3TPD-H2VC`."""
    number = int.from_bytes(random)
    length = -(-len(random) * 8 // _BITS)
    letters = [
        _ALPHABET[number >> shift & (2**_BITS - 1)] for shift in range((length - 1) * _BITS, -1, -_BITS)
    ]
    return "-".join("".join(letters[start : start + GROUP]) for start in range(0, length, GROUP))


def code_digest(typed: str) -> bytes:
    """What is kept of a code; letters that were misread, spaces, case and dashes make no difference."""
    letters = "".join(letter for letter in typed.upper() if letter.isalnum()).translate(_MISREAD)
    return hashlib.sha256(letters.encode()).digest()
