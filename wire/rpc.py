"""JSON-RPC 2.0 as one JSON text a line: typed messages in and out, and every error the specification names.

Only what Parley needs: no batches (§6), no calls from the phone book to a shell, no notifications from a
shell (they could not be refused).
"""

from typing import Annotated, Any, Literal, Union, cast

import msgspec
from msgspec import Meta

from wire.errors import BadFrame, ErrorCode, ErrorObject, Refused
from wire.messages import METHOD_OF, METHODS, NOTIFICATIONS, Message

MAX_ID = 64  # characters of an id that is a string
RequestId = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | Annotated[str, Meta(max_length=MAX_ID)]


class _Request(msgspec.Struct, frozen=True):
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


class _OutResult(msgspec.Struct, frozen=True):
    id: RequestId
    result: Message
    jsonrpc: str = "2.0"


class _OutError(msgspec.Struct, frozen=True):
    id: RequestId | None
    error: ErrorObject
    jsonrpc: str = "2.0"


class _OutPush(msgspec.Struct, frozen=True):
    method: str
    params: Message
    jsonrpc: str = "2.0"


class _WholeRequest(msgspec.Struct, frozen=True, tag_field="method"):
    """The base of one type for each method, which decode a request in one step."""

    jsonrpc: Literal["2.0"]
    id: RequestId


def _request_of(method: str, request: type[Message]) -> type[_WholeRequest]:
    needed = any(field.required for field in msgspec.structs.fields(request))
    params: tuple[str, type] | tuple[str, type, Any] = ("params", request)
    if not needed:
        params = ("params", request, msgspec.field(default_factory=request))
    made = msgspec.defstruct(request.__name__, [params], bases=(_WholeRequest,), tag=method, frozen=True)
    return cast(type[_WholeRequest], made)


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


_encoder = msgspec.json.Encoder()
_requests = msgspec.json.Decoder(_Request)
_whole_requests = msgspec.json.Decoder(
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


def encode_result(request_id: RequestId, result: Message) -> bytes:
    """A reply as one line."""
    return _encoder.encode(_OutResult(request_id, result)) + b"\n"


def encode_error(request_id: RequestId | None, error: Refused) -> bytes:
    """A refusal as one line."""
    return _encoder.encode(_OutError(request_id, error.to_object())) + b"\n"


def encode_push(push: Message) -> bytes:
    """A notification as one line."""
    return _encoder.encode(_OutPush(METHOD_OF[type(push)], push)) + b"\n"


def decode_request(line: bytes) -> tuple[RequestId, Message]:
    """What a shell asks. Raises `BadRequest` with the code that JSON-RPC 2.0 §5.1 gives each fault."""
    try:
        whole = _whole_requests.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
        return _decode_in_steps(line)
    return whole.id, whole.params


def _decode_in_steps(line: bytes) -> tuple[RequestId, Message]:
    """Finds out what exactly is wrong with a request that is not right as a whole."""
    try:
        request = _requests.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise _bad_request(line, error) from None
    decoder = _params.get(request.method)
    if decoder is None:
        raise BadRequest(
            ErrorCode.METHOD_NOT_FOUND, f"There is no method {request.method[:32]!r}.", request.id
        )
    try:
        return request.id, decoder.decode(request.params)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise BadRequest(ErrorCode.INVALID_PARAMS, f"{request.method}: {error}", request.id) from None


def decode_incoming(line: bytes) -> Reply | Message | None:
    """What the phone book sends: a reply, a push, or None for a push of a newer version.

    Raises `BadFrame` for anything else.
    """
    try:
        incoming = _incoming.decode(line)
        if incoming.method is not None:
            decoder = _pushes.get(incoming.method)
            return decoder.decode(incoming.params) if decoder else None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
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
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        method = METHOD_OF[type(request)]
        raise BadFrame(f"The phone book's answer to {method} is no such answer: {error}") from None


def _bad_request(line: bytes, error: Exception) -> BadRequest:
    """Tells malformed JSON from JSON that is no request."""
    try:
        found = _ids.decode(line).id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
        if isinstance(error, msgspec.ValidationError):
            return BadRequest(ErrorCode.INVALID_REQUEST, f"That is no request: {error}", None)
        return BadRequest(ErrorCode.PARSE_ERROR, "That line is not JSON.", None)
    try:
        known: RequestId | None = msgspec.convert(found, RequestId | None)
    except msgspec.ValidationError:
        known = None
    return BadRequest(ErrorCode.INVALID_REQUEST, f"That is no request: {error}", known)
