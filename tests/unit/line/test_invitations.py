"""Who may knock: tickets are good for one line, contacts for as long as they stand, strangers never."""

from shell.line.invitations import MAX_ANNOUNCED, MAX_STANDING, Admission, Invitation, Invitations
from wire.certificates import Fingerprint

ALICE, BOB = Fingerprint(b"a" * 32), Fingerprint(b"b" * 32)


def admission(number: int, signed: bytes = b"") -> Admission:
    return Admission(number.to_bytes(16), "alice", ALICE, "bob", BOB, signed)


def standing(number: int, nonce: bytes = b"n", expires: float = 100.0) -> Invitation:
    return Invitation(admission(number), nonce, expires)


def test_a_ticket_is_good_for_one_line_and_only_as_it_was_signed() -> None:
    table = Invitations()
    table.announce(admission(1, b"signed"), b"nonce", 60.0)
    knock = admission(1).id
    assert table.redeem(knock, b"another", b"fresh", 1.0) is None
    assert table.redeem(knock, b"", b"fresh", 1.0) is None
    found = table.redeem(knock, b"signed", b"fresh", 1.0)
    assert found is not None
    assert found.nonce == b"nonce"
    assert table.redeem(knock, b"signed", b"fresh", 1.0) is None
    assert table.find(knock, 1.0) is None


def test_an_invitation_expires() -> None:
    table = Invitations()
    table.announce(admission(1, b"signed"), b"nonce", 60.0)
    table.stand([standing(2, expires=60.0)])
    for number, signed in ((1, b"signed"), (2, b"")):
        assert table.find(admission(number).id, 60.0) is not None
        assert table.find(admission(number).id, 60.1) is None
        assert table.redeem(admission(number).id, signed, b"fresh", 60.1) is None


def test_a_contact_may_call_again_but_each_line_has_a_nonce_of_its_own() -> None:
    table = Invitations()
    table.stand([standing(1, b"first")])
    knock = admission(1).id
    nonces = []
    for fresh in (b"second", b"third", b"fourth"):
        found = table.redeem(knock, b"", fresh, 1.0)
        assert found is not None
        nonces.append(found.nonce)
    assert nonces == [b"first", b"second", b"third"]
    # Standing anew for other contacts keeps what a knock was already answered with.
    table.stand([standing(1, b"other"), standing(2)])
    found = table.find(knock, 1.0)
    assert found is not None
    assert found.nonce == b"fourth"


def test_whoever_no_longer_stands_is_gone_at_once() -> None:
    table = Invitations()
    table.stand([standing(1)])
    table.stand([])
    assert table.find(admission(1).id, 1.0) is None


def test_strangers_cannot_crowd_contacts_out_nor_fill_the_memory() -> None:
    table = Invitations()
    table.stand(standing(number) for number in range(MAX_STANDING + 10))
    for number in range(MAX_ANNOUNCED + 10):
        table.announce(admission(1_000_000 + number, b"s"), b"n", 60.0)
    assert table.find(admission(0).id, 1.0) is not None
    assert table.find(admission(MAX_STANDING).id, 1.0) is None
    assert table.find(admission(1_000_000).id, 1.0) is None
    assert table.find(admission(1_000_000 + MAX_ANNOUNCED + 9).id, 1.0) is not None
