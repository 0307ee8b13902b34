import contextlib
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire import messages, rpc
from wire.errors import BadFrame, ErrorCode, Refused
from wire.messages import METHODS, NOTIFICATIONS, Login, Message, Person, Presence, Profile, Status, Whois


def line(**members: object) -> bytes:
    return json.dumps({"jsonrpc": "2.0", **members}).encode()


def refusal(raw: bytes) -> rpc.BadRequest:
    [refused] = rpc.decode_requests(raw + b"\n")
    assert isinstance(refused, rpc.BadRequest)
    return refused


def asked(raw: bytes) -> tuple[rpc.RequestId, Message]:
    [request] = rpc.decode_requests(raw + b"\n")
    assert isinstance(request, rpc.Request)
    return request.id, request.params


def test_a_request_arrives_as_it_was_sent() -> None:
    request = Login("alice", "secret", b"\x00\xff")
    assert asked(rpc.encode_request(7, request)[:-1]) == (7, request)


def test_a_reply_arrives_as_it_was_sent() -> None:
    profile = Profile("bob", Status.AWAY, 1.5, 1.0, bytes(32), None)
    reply = rpc.decode_incoming(rpc.encode_replies([rpc.Result(3, profile)]))
    assert isinstance(reply, rpc.Reply)
    assert rpc.decode_result(Whois("bob"), reply) == profile


def test_a_push_arrives_as_it_was_sent() -> None:
    push = Presence("bob", Status.BUSY)
    assert rpc.decode_incoming(rpc.encode_push(push)) == push


def test_a_refusal_arrives_with_code_words_and_wait() -> None:
    sent = Refused(ErrorCode.RATE_LIMITED, "Slower.", retry_after=2.5)
    reply = rpc.decode_incoming(rpc.encode_error(3, sent))
    assert isinstance(reply, rpc.Reply)
    with pytest.raises(Refused, match="Slower") as caught:
        rpc.decode_result(Whois("bob"), reply)
    assert (caught.value.code, caught.value.retry_after) == (ErrorCode.RATE_LIMITED, 2.5)
    assert caught.value.slug == "rate-limited"


def test_unknown_fields_are_ignored() -> None:
    raw = line(id=1, method="whois", params={"name": "bob", "of_the_future": [1]}, extra={})
    assert asked(raw) == (1, Whois("bob"))


@pytest.mark.parametrize(
    ("raw", "code", "request_id"),
    [
        (b"{", ErrorCode.PARSE_ERROR, None),
        (b"\xff\xfe", ErrorCode.PARSE_ERROR, None),
        (b"[" * 100_000, ErrorCode.INVALID_REQUEST, None),
        (b'{"x":' + b"[" * 100_000, ErrorCode.PARSE_ERROR, None),
        (b"[]", ErrorCode.INVALID_REQUEST, None),
        (b"7", ErrorCode.INVALID_REQUEST, None),
        (b'{"jsonrpc":"1.0","id":4,"method":"ping"}', ErrorCode.INVALID_REQUEST, 4),
        (line(method="ping"), ErrorCode.INVALID_REQUEST, None),
        (line(id="x" * 65, method="ping"), ErrorCode.INVALID_REQUEST, None),
        (line(id=5, method="frobnicate"), ErrorCode.METHOD_NOT_FOUND, 5),
        (line(id=6, method="whois", params={}), ErrorCode.INVALID_PARAMS, 6),
        (line(id=6, method="whois", params={"name": 7}), ErrorCode.INVALID_PARAMS, 6),
        (line(id=6, method="whois", params={"name": "x" * 33}), ErrorCode.INVALID_PARAMS, 6),
        (line(id=6, method="whois", params={"name": "x"}) + b"}", ErrorCode.PARSE_ERROR, None),
        (b'{"jsonrpc":"2.0","id":1e999,"method":"ping"}', ErrorCode.INVALID_REQUEST, None),
    ],
)
def test_each_fault_has_its_code_of_the_specification(
    raw: bytes, code: ErrorCode, request_id: int | None
) -> None:
    error = refusal(raw)
    assert (error.code, error.id) == (code, request_id)


def test_a_reply_made_once_arrives_like_any_other() -> None:
    profile = Profile("bob", Status.AWAY, 1.5, 1.0, bytes(32), None)
    replies = [rpc.Result(number, result) for number, result in ((1, profile), (2, rpc.encode_once(profile)))]
    first, second = rpc.encode_replies(replies).splitlines()
    assert second == first.replace(b'"id":1', b'"id":2')


@given(st.binary(max_size=300))
def test_any_bytes_are_requests_or_refusals(raw: bytes) -> None:
    for request in rpc.decode_requests(raw + b"\n"):
        if isinstance(request, rpc.BadRequest):
            assert rpc.encode_error(request.id, request).endswith(b"\n")


LINES = st.one_of(
    st.builds(lambda name: rpc.encode_request(1, Whois(name))[:-1], st.text(min_size=1, max_size=32)),
    st.sampled_from([b"", b" ", b"{", b"{}", line(id=5, method="frobnicate"), line(id=6, method="whois")]),
    st.binary(max_size=40).filter(lambda raw: b"\n" not in raw),
)


@given(st.lists(LINES, max_size=6))
def test_lines_that_come_together_say_what_each_says_alone(lines: list[bytes]) -> None:
    together = rpc.decode_requests(b"".join(one + b"\n" for one in lines))
    alone = [request for one in lines for request in rpc.decode_requests(one + b"\n")]
    assert [repr(request) for request in together] == [repr(request) for request in alone]


def test_a_request_ends_with_its_line() -> None:
    ping = line(id=1, method="ping")
    two = rpc.decode_requests(ping + ping + b"\n")
    halves = rpc.decode_requests(ping[:9] + b"\n" + ping[9:] + b"\n")
    assert [type(request) for request in two + halves] == [rpc.BadRequest] * 3


@given(st.binary(max_size=300))
def test_any_bytes_of_a_phone_book_are_a_message_or_a_bad_frame(raw: bytes) -> None:
    with contextlib.suppress(BadFrame, Refused):
        rpc.decode_incoming(raw)


def test_a_huge_number_and_a_duplicate_key_do_no_harm() -> None:
    assert refusal(b'{"jsonrpc":"2.0","id":' + b"9" * 5000 + b',"method":"ping"}').code < 0
    twice = b'{"jsonrpc":"2.0","id":1,"method":"whois","method":"ping","params":{}}'
    assert asked(twice) == (1, messages.Ping())


@pytest.mark.parametrize("host", ["example.org", "", "224.0.0.1", "0.0.0.0", "::", "1.2.3", "x" * 46])
def test_an_endpoint_is_an_address_of_one_machine(host: str) -> None:
    raw = line(id=1, method="endpoints", params={"endpoints": [{"host": host, "port": 1}]})
    assert refusal(raw).code == ErrorCode.INVALID_PARAMS


def test_every_message_has_one_method_and_survives_the_wire() -> None:
    kinds: list[type[Message]] = [request for request, _ in METHODS.values()]
    assert len(set(kinds)) == len(METHODS)
    assert len(set(NOTIFICATIONS.values())) == len(NOTIFICATIONS)
    for kind in (*kinds, *NOTIFICATIONS.values()):
        assert msgspec.json.schema(kind)


def test_a_person_has_no_more_fields_than_a_list_needs() -> None:
    assert Person.__struct_fields__ == ("name", "status")
