"""The reference of `shell.api` from its docstrings and annotations, for the site."""

import inspect
from types import FunctionType

import msgspec

from docs.tables import in_words, remarks, table
from shell import api, events

PLACE = "reference/api.md"
_HEAD = """# The Python API, name by name

Made from the code. [Write a bot](../guides/bots.md) shows it at work. Coroutines run on the caller's event
loop; times are seconds, moments seconds since the epoch.
"""
_CLASSES = (api.Entered, api.PhoneBook, api.Line)


def pages() -> dict[str, str]:
    """The page by its place."""
    parts = [_HEAD, "\n## enter\n\n", _code(f"async with enter{_signature(api.enter)}"), _words(api.enter)]
    for kind in _CLASSES:
        parts += [f"\n## {kind.__name__}\n\n", _words(kind)]
        for name, member in _members(kind):
            parts += [f"\n### {kind.__name__}.{name}\n\n", _member(name, member)]
    parts.append("\n## Events\n")
    for event in _events():
        parts += [f"\n### {event.__name__}\n\n", _words(event), _fields(event)]
    return {PLACE: "".join(parts)}


def _members(kind: type) -> list[tuple[str, object]]:
    """What a class offers itself or by its bases, by name."""
    found: dict[str, object] = {}
    for base in reversed(kind.__mro__[:-1]):
        found |= {name: member for name, member in vars(base).items() if not name.startswith("_")}
    usable = {name: member for name, member in found.items() if inspect.getdoc(member)}
    return sorted(
        (name, member) for name, member in usable.items() if isinstance(member, FunctionType | property)
    )


def _member(name: str, member: object) -> str:
    if isinstance(member, property):
        returns = inspect.formatannotation(inspect.signature(_getter(member)).return_annotation)
        return _code(f"{name}: {returns}") + _words(member)
    assert isinstance(member, FunctionType)
    kind = "async def " if inspect.iscoroutinefunction(member) else "def "
    return _code(f"{kind}{name}{_signature(member)}") + _words(member)


def _getter(member: property) -> FunctionType:
    assert isinstance(member.fget, FunctionType)
    return member.fget


def _signature(function: object) -> str:
    assert callable(function)
    signature = inspect.signature(function)
    shown = [parameter for parameter in signature.parameters.values() if parameter.name != "self"]
    return str(signature.replace(parameters=shown))


def _events() -> list[type[events.Event]]:
    kinds = [kind for kind in vars(events).values() if isinstance(kind, type)]
    return [kind for kind in kinds if issubclass(kind, events.Event) and kind is not events.Event]


def _fields(struct: type[msgspec.Struct]) -> str:
    said = remarks(struct)
    rows = [
        (f"`{field.name}`", in_words(field.type), said.get(field.name, ""))
        for field in msgspec.structs.fields(struct)
    ]
    return "\n" + table(("field", "type", ""), rows) if rows else ""


def _code(text: str) -> str:
    return f"```python\n{text}\n```\n\n"


def _words(documented: object) -> str:
    return f"{inspect.getdoc(documented) or ''}\n"
