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
    with pytest.raises(rpc.BadRequest) as caught:
        rpc.decode_request(raw)
    return caught.value


def test_a_request_arrives_as_it_was_sent() -> None:
    request = Login("alice", "secret", b"\x00\xff")
    assert rpc.decode_request(rpc.encode_request(7, request)) == (7, request)


def test_a_reply_arrives_as_it_was_sent() -> None:
    profile = Profile("bob", Status.AWAY, 1.5, 1.0, bytes(32), None)
    reply = rpc.decode_incoming(rpc.encode_result(3, profile))
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
    assert rpc.decode_request(raw) == (1, Whois("bob"))


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


@given(st.binary(max_size=300))
def test_any_bytes_are_a_request_or_a_refusal(raw: bytes) -> None:
    try:
        rpc.decode_request(raw)
    except rpc.BadRequest as error:
        assert rpc.encode_error(error.id, error).endswith(b"\n")


@given(st.binary(max_size=300))
def test_any_bytes_of_a_phone_book_are_a_message_or_a_bad_frame(raw: bytes) -> None:
    with contextlib.suppress(BadFrame, Refused):
        rpc.decode_incoming(raw)


def test_a_huge_number_and_a_duplicate_key_do_no_harm() -> None:
    assert refusal(b'{"jsonrpc":"2.0","id":' + b"9" * 5000 + b',"method":"ping"}').code < 0
    twice = b'{"jsonrpc":"2.0","id":1,"method":"whois","method":"ping","params":{}}'
    assert rpc.decode_request(twice) == (1, messages.Ping())


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
