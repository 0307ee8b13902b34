"""What `why` says: where the way to somebody stops, on whose side, and what to do."""

from shell.ladder import Facts, Measured, Rung, climb
from shell.line.candidates import Attempt, Candidate, PathKind
from shell.line.model import Consent, Contact
from wire.messages import Endpoint, Profile, Status
from wire.names import name_key

PROFILE = Profile("bob", Status.ONLINE, 1.0, 1.0, bytes(32))
OUTSIDE = Endpoint("203.0.113.2", 6000, outside=True)
DIRECT = Candidate(("192.168.1.9", 5000), PathKind.DIRECT)
PUNCHED = Candidate(("203.0.113.6", 6000), PathKind.PUNCHED)


def steps(rungs: list[Rung]) -> list[tuple[str, bool]]:
    return [(rung.step, rung.passed) for rung in rungs]


def attempt(*candidates: Candidate) -> Attempt:
    made = Attempt(candidates, 0.0)
    made.due(0.0)
    return made


def test_a_name_without_an_account_is_the_end() -> None:
    assert steps(climb(Facts("nobody", no_account="There is no account nobody."))) == [("account", False)]


def test_a_block_of_ones_own_is_the_end() -> None:
    contact = Contact(name_key("bob"), "bob", Consent.BLOCKED)
    rungs = climb(Facts("bob", contact, profile=PROFILE))
    assert rungs[0] == Rung("consent", False, "you blocked bob: unblock bob")
    assert not any(rung.step == "line" for rung in rungs)


def test_somebody_offline_is_the_end() -> None:
    away = Profile("bob", Status.OFFLINE, 1.0, 1.0, bytes(32))
    assert steps(climb(Facts("bob", profile=away))) == [("account", True), ("there", False)]


def test_an_open_line_shows_its_path_and_how_good_it_is() -> None:
    rungs = climb(
        Facts(
            "bob", profile=PROFILE, outside=OUTSIDE, path=PUNCHED, measured=Measured(10, [0.02, 0.03, 0.01])
        )
    )
    assert rungs[-2:] == [
        Rung("line", True, "open, punched, straight to 203.0.113.6:6000 over UDP"),
        Rung("round trip", True, "20.0 ms; 7 of 10 pings lost"),
    ]


def test_a_relayed_line_says_so() -> None:
    relayed = Candidate(("relay-1", 0), PathKind.RELAYED)
    assert climb(Facts("bob", profile=PROFILE, path=relayed))[-1].finding == (
        "open, relayed, still end-to-end encrypted"
    )


def test_a_line_without_the_phone_book_goes_on() -> None:
    rungs = climb(Facts("bob", no_phone_book="The phone book is away.", path=PUNCHED, outside=OUTSIDE))
    assert Rung("phone book", False, "The phone book is away; the line does without") in rungs
    assert ("line", True) in steps(rungs)


def test_a_key_that_was_never_seen_is_not_as_pinned() -> None:
    key = climb(Facts("bob", Contact(name_key("bob"), "bob"), profile=PROFILE))[1]
    assert key == Rung("key", True, "none is pinned yet: the first line pins it")


def test_a_message_that_waits_for_consent_is_said_to() -> None:
    facts = Facts("bob", profile=PROFILE, outside=OUTSIDE, path=PUNCHED, held=1)
    assert climb(facts)[-1] == Rung(
        "request", False, "bob has to accept you; your message waits there until then"
    )


def test_where_a_line_is_open_what_did_not_answer_is_in_nobodys_way() -> None:
    tried = attempt(DIRECT, PUNCHED)
    tried.answered(PUNCHED, b"nonce", 0.012)
    relayed = Candidate(("relay-1", 0), PathKind.RELAYED)
    for path, ways in (PUNCHED, 1), (relayed, 2):
        rungs = climb(Facts("bob", profile=PROFILE, outside=OUTSIDE, attempt=tried, path=path))
        assert steps(rungs).count(("way", True)) == 1
        assert sum(rung.step == "way" for rung in rungs) == ways


def test_each_way_says_what_it_answered() -> None:
    tried = attempt(DIRECT, PUNCHED)
    tried.answered(PUNCHED, b"nonce", 0.012)
    ways = [rung for rung in climb(Facts("bob", profile=PROFILE, attempt=tried)) if rung.step == "way"]
    assert ways == [
        Rung("way", False, "direct 192.168.1.9:5000: knocked once, no answer"),
        Rung("way", True, "punched 203.0.113.6:6000: answered after 12.0 ms"),
    ]


def failed(tried: Attempt, outside: Endpoint | None = OUTSIDE) -> str:
    rungs = climb(Facts("bob", profile=PROFILE, outside=outside, attempt=tried, failure="No answer."))
    assert not rungs[-1].passed
    assert "What usually helps: one network for both" in rungs[-1].finding
    return rungs[-1].finding


def test_the_silent_side_is_named() -> None:
    assert "your side is silent" in failed(attempt(PUNCHED), outside=None)
    assert "UDP is probably blocked on the side of bob" in failed(attempt(DIRECT))
    assert "symmetric" in failed(attempt(DIRECT, PUNCHED))
    same_port = Candidate((PUNCHED.address[0], DIRECT.address[1]), PathKind.PUNCHED)
    guessed = failed(attempt(DIRECT, same_port))
    assert "nothing of bob was heard, though bob is online" in guessed
    assert "it may be blocked on the side of bob" in guessed
    assert "symmetric" in failed(attempt(same_port))
    heard = attempt(PUNCHED)
    heard.punched(PUNCHED)
    assert "bob reaches you" in failed(heard)
