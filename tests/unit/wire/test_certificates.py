import pytest

from wire.certificates import (
    Pin,
    check_certificate,
    check_pin,
    fingerprint,
    make_identity,
    show_fingerprint,
    verifies,
)


def test_an_identity_signs_and_its_certificate_verifies() -> None:
    alice, bob = make_identity("alice"), make_identity("bob")
    signature = alice.sign(b"words")
    assert verifies(alice.certificate, signature, b"words")
    assert not verifies(alice.certificate, signature, b"other words")
    assert not verifies(bob.certificate, signature, b"words")
    assert not verifies(b"no certificate", signature, b"words")


def test_a_fingerprint_is_of_the_certificate_and_shown_as_ssh_does() -> None:
    identity = make_identity("alice")
    assert identity.fingerprint == fingerprint(identity.certificate)
    assert show_fingerprint(identity.fingerprint).startswith("SHA256:")
    assert len(show_fingerprint(identity.fingerprint)) == len("SHA256:") + 43


def test_a_certificate_that_is_none_is_refused() -> None:
    check_certificate(make_identity("alice").certificate)
    with pytest.raises(ValueError, match=r"."):
        check_certificate(b"garbage")


def test_a_pin_tells_first_same_and_changed() -> None:
    assert check_pin(None, b"a") is Pin.FIRST_SEEN
    assert check_pin(b"a", b"a") is Pin.SAME
    assert check_pin(b"a", b"b") is Pin.CHANGED
