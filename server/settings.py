"""The `[server]` section of a settings file. What a person wrote there is read, never written."""

import ipaddress
import os
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from server.errors import SettingsError
from settings.file import BadSettings, read_section
from wire import DEFAULT_PORT

KIB_A_LANE = 8  # of memory, at least (RFC 9106 §3.1)
MAX_HASH_KIB = 1 << 22  # 4 GiB, twice what RFC 9106 §4 recommends to whoever has the most
MAX_PASSES, MAX_LANES = 100, 64  # of a hash: beyond, nobody would wait for a login
Positive = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(gt=0)]


class ServerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Every key with its default; `settings.toml` says what each is for."""

    listen: str = f"0.0.0.0:{DEFAULT_PORT}"  # others must reach it
    data: str = ""
    announce: bool = True
    registration: Literal["open", "invite", "closed"] = "open"
    addresses: Literal["introduced", "members"] = "introduced"
    tls_certificate: str = ""
    tls_key: str = ""
    argon2_time: Annotated[int, Meta(ge=1, le=MAX_PASSES)] = 2
    argon2_memory_kib: Annotated[int, Meta(ge=KIB_A_LANE, le=MAX_HASH_KIB)] = 19_456
    argon2_parallelism: Annotated[int, Meta(ge=1, le=MAX_LANES)] = 1
    hash_threads: Positive = 1
    hash_queue: Positive = 64
    max_connections: Positive = 10_000
    connections_per_address: Positive = 2_000
    max_unauthenticated: Positive = 1_000
    unauthenticated_per_address: Positive = 200
    handshake_seconds: Positive = 10
    login_seconds: Positive = 20
    line_seconds: Positive = 20
    silence_seconds: Positive = 75
    login_failures_per_account: Positive = 5
    login_failures_per_address: Positive = 20
    login_delay_seconds: Seconds = 1.0
    login_delay_max_seconds: Seconds = 300.0
    login_forget_seconds: Seconds = 600.0
    signups_per_hour: Positive = 120
    introductions_per_minute: Positive = 120
    relay: bool = False
    relay_kib_per_second: Positive = 256
    relay_mib_per_day: Positive = 1024
    requests_per_second: Positive = 20_000
    send_buffer_kib: Positive = 256
    drain_seconds: Annotated[float, Meta(ge=0)] = 0.0
    metrics_listen: str = ""
    log_file: str = ""
    log_format: Literal["text", "json"] = "text"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    def __post_init__(self) -> None:
        """Raises ValueError for what does not fit together."""
        least = KIB_A_LANE * self.argon2_parallelism
        if self.argon2_memory_kib < least:
            raise ValueError(
                f"argon2_memory_kib is {self.argon2_memory_kib}: expected {least} or more, "
                f"since argon2_parallelism is {self.argon2_parallelism}"
            )


def load(path: Path | None) -> ServerSettings:
    """The settings in a file; the defaults where none is named.

    Raises `SettingsError` with the file, the key and the nearest right one.
    """
    if path is None:
        return ServerSettings()
    try:
        return read_section(path, "server", ServerSettings)
    except BadSettings as error:
        raise SettingsError(str(error)) from None


def metrics_address(listen: str) -> tuple[str, int]:
    """Where the figures are served. Raises `SettingsError` for anything that others could reach."""
    host, port = listen_address(listen)
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise SettingsError(
            f"metrics_listen is {listen!r}, but the figures are for this machine only; write 127.0.0.1:PORT."
        )
    return host, port


def data_folder(settings: ServerSettings) -> Path:
    """Where accounts and keys rest: `data`, or the XDG data home (XDG Base Directory 0.8)."""
    if settings.data:
        return Path(settings.data).expanduser()
    return Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share").expanduser() / "parley-server"


def listen_address(listen: str) -> tuple[str, int]:
    """`HOST:PORT`, `[V6]:PORT` or `:PORT` as a pair; an empty host means every address.

    Raises `SettingsError`.
    """
    host, colon, port = listen.rpartition(":")
    host = host.strip("[]")
    if not colon or not port.isdecimal() or int(port) >= 2**16:
        raise SettingsError(
            f"{listen!r} is no address to listen on; write HOST:PORT, as 0.0.0.0:{DEFAULT_PORT}."
        )
    return ("" if host in ("0.0.0.0", "::") else host), int(port)  # noqa: S104
