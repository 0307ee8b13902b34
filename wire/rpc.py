"""JSON-RPC 2.0 as one JSON text a line: typed messages in and out, and every error the specification names.

Only what Parley needs: no batches (§6), no calls from the phone book to a shell, no notifications from a
shell (they could not be refused).
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Union, cast

import msgspec
from msgspec import Meta

from wire.errors import BadFrame, ErrorCode, ErrorObject, Refused
from wire.messages import METHOD_OF, METHODS, NOTIFICATIONS, Message

MAX_ID = 64  # characters of an id that is a string
RequestId = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | Annotated[str, Meta(max_length=MAX_ID)]


class Request(msgspec.Struct, frozen=True, tag_field="method", gc=False):
    """A request as it arrived: the base of one type for each method, so that decoding takes one step."""

    jsonrpc: Literal["2.0"]
    id: RequestId
    params: Message


class Result(msgspec.Struct, frozen=True, gc=False):
    """The reply to a request that was carried out."""

    id: RequestId
    result: Message | msgspec.Raw
    jsonrpc: str = "2.0"


class Failure(msgspec.Struct, frozen=True, gc=False):
    """The reply to a request that was refused; without an id, words that answer no request."""

    id: RequestId | None
    error: ErrorObject
    jsonrpc: str = "2.0"


class _Loose(msgspec.Struct, frozen=True):
    jsonrpc: Literal["2.0"]
    method: str
    id: RequestId
    params: msgspec.Raw = msgspec.Raw(b"{}")


class _Incoming(msgspec.Struct, frozen=True):
    jsonrpc: Literal["2.0"]
    id: RequestId | None = None
    method: str | None = None
    params: msgspec.Raw = msgspec.Raw(b"{}")
    result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: ErrorObject | None = None


class _Id(msgspec.Struct, frozen=True):
    id: Any = None


class _OutRequest(msgspec.Struct, frozen=True):
    method: str
    id: RequestId
    params: Message
    jsonrpc: str = "2.0"


class _OutPush(msgspec.Struct, frozen=True):
    method: str
    params: Message
    jsonrpc: str = "2.0"


def _request_of(method: str, request: type[Message]) -> type[Request]:
    needed = any(field.required for field in msgspec.structs.fields(request))
    params: tuple[str, type] | tuple[str, type, Any] = ("params", request)
    if not needed:
        params = ("params", request, msgspec.field(default_factory=request))
    made = msgspec.defstruct(request.__name__, [params], bases=(Request,), tag=method, frozen=True, gc=False)
    return cast(type[Request], made)


class BadRequest(Refused):
    """A line that is no request; `id` is that of the request where one could be read."""

    def __init__(self, code: ErrorCode, message: str, request_id: RequestId | None) -> None:
        super().__init__(code, message)
        self.id = request_id


class Reply(msgspec.Struct, frozen=True):
    """A reply as it arrived; `decode_result` types it once its request is known."""

    id: RequestId
    result: bytes
    error: ErrorObject | None


_UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError)
_encoder = msgspec.json.Encoder()
_loose_requests = msgspec.json.Decoder(_Loose)
_requests = msgspec.json.Decoder(
    Union[tuple(_request_of(method, request) for method, (request, _) in METHODS.items())]  # noqa: UP007
)
_incoming = msgspec.json.Decoder(_Incoming)
_ids = msgspec.json.Decoder(_Id)
_params = {method: msgspec.json.Decoder(request) for method, (request, _) in METHODS.items()}
_results = {request: msgspec.json.Decoder(reply) for request, reply in METHODS.values()}
_pushes = {method: msgspec.json.Decoder(push) for method, push in NOTIFICATIONS.items()}


def encode_request(request_id: RequestId, request: Message) -> bytes:
    """A request as one line."""
    return _encoder.encode(_OutRequest(METHOD_OF[type(request)], request_id, request)) + b"\n"


def encode_replies(replies: Sequence[Result | Failure]) -> bytes:
    """Replies, each as one line."""
    return _encoder.encode_lines(replies)


def encode_error(request_id: RequestId | None, error: Refused) -> bytes:
    """A refusal as one line."""
    return encode_replies([Failure(request_id, error.to_object())])


def encode_once(message: Message) -> msgspec.Raw:
    """A result for many replies."""
    return msgspec.Raw(_encoder.encode(message))


def encode_push(push: Message) -> bytes:
    """A notification as one line."""
    return _encoder.encode(_OutPush(METHOD_OF[type(push)], push)) + b"\n"


def decode_requests(lines: bytes) -> list[Request | BadRequest]:
    """What a shell asks, in whole lines: each a request, or what is wrong with it."""
    try:
        requests: list[Request | BadRequest] = _requests.decode_lines(lines)
        if len(requests) == lines.count(b"\n"):  # the decoder minds the texts, not the line feeds
            return requests
    except _UNDECODABLE:
        pass
    return [_decode_request(line) for line in lines.split(b"\n") if line]


def _decode_request(line: bytes) -> Request | BadRequest:
    """One request. What is wrong with it is found out in steps, with the codes of JSON-RPC 2.0 §5.1."""
    try:
        whole: Request = _requests.decode(line)
    except _UNDECODABLE:
        pass
    else:
        return whole
    try:
        request = _loose_requests.decode(line)
    except _UNDECODABLE as error:
        return _bad_request(line, error)
    decoder = _params.get(request.method)
    if decoder is None:
        return BadRequest(
            ErrorCode.METHOD_NOT_FOUND, f"There is no method {request.method[:32]!r}.", request.id
        )
    try:
        return Request(request.jsonrpc, request.id, decoder.decode(request.params))
    except _UNDECODABLE as error:
        return BadRequest(ErrorCode.INVALID_PARAMS, f"{request.method}: {error}", request.id)


def decode_incoming(line: bytes) -> Reply | Message | None:
    """What the phone book sends: a reply, a push, or None for a push of a newer version.

    Raises `BadFrame` for anything else.
    """
    try:
        incoming = _incoming.decode(line)
        if incoming.method is not None:
            decoder = _pushes.get(incoming.method)
            return decoder.decode(incoming.params) if decoder else None
    except _UNDECODABLE as error:
        raise BadFrame(f"The phone book sent something that is no message: {error}") from None
    if incoming.id is None:
        if incoming.error is not None:
            raise Refused.from_object(incoming.error)
        raise BadFrame("The phone book sent a message that is neither reply nor notification.")
    result = b"{}" if isinstance(incoming.result, msgspec.UnsetType) else bytes(incoming.result)
    return Reply(incoming.id, result, incoming.error)


def decode_result(request: Message, reply: Reply) -> Message:
    """The typed result of a request. Raises `Refused` for an error reply, `BadFrame` for a wrong one."""
    if reply.error is not None:
        raise Refused.from_object(reply.error)
    try:
        return _results[type(request)].decode(reply.result)
    except _UNDECODABLE as error:
        method = METHOD_OF[type(request)]
        raise BadFrame(f"The phone book's answer to {method} is no such answer: {error}") from None


def _bad_request(line: bytes, error: Exception) -> BadRequest:
    """Tells malformed JSON from JSON that is no request."""
    try:
        found = _ids.decode(line).id
    except _UNDECODABLE:
        if isinstance(error, msgspec.ValidationError):
            return BadRequest(ErrorCode.INVALID_REQUEST, f"That is no request: {error}", None)
        return BadRequest(ErrorCode.PARSE_ERROR, "That line is not JSON.", None)
    try:
        known: RequestId | None = msgspec.convert(found, RequestId | None)
    except msgspec.ValidationError:
        known = None
    return BadRequest(ErrorCode.INVALID_REQUEST, f"That is no request: {error}", known)
