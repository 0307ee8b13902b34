"""What hypothesis makes of the field's terms."""

from hypothesis import strategies as st

from wire.limits import MAX_NAME

names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]*", fullmatch=True).filter(
    lambda name: len(name) <= MAX_NAME
)
"""User names that the rules allow, of Latin letters."""
