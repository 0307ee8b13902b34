"""What changes when settings are read anew: what can, at once; the rest waits for a restart. Pure."""

import msgspec

from server.settings import ServerSettings

AT_START = frozenset({"listen", "data", "announce", "hash_threads", "log_file", "metrics_listen"})
"""What a running phone book keeps as it was at its start."""


class SettingChange(msgspec.Struct, frozen=True):
    """One setting that the file has otherwise than the running phone book."""

    key: str
    before: str
    after: str
    live: bool
    """Whether it holds now; otherwise from the next start on."""
    note: str = ""
    """What keeps it from holding whole."""


def changes(running: ServerSettings, wanted: ServerSettings) -> tuple[SettingChange, ...]:
    """What differs, in the order of the settings."""
    return tuple(
        SettingChange(key, shown(getattr(running, key)), shown(getattr(wanted, key)), key not in AT_START)
        for key in ServerSettings.__struct_fields__
        if getattr(running, key) != getattr(wanted, key)
    )


def merged(running: ServerSettings, wanted: ServerSettings) -> ServerSettings:
    """The settings that hold after the reload."""
    kept = {key: getattr(running, key) for key in AT_START}
    return msgspec.structs.replace(wanted, **kept)


def shown(value: object) -> str:
    """A value as a settings file has it."""
    return msgspec.json.encode(value).decode()
