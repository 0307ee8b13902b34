"""All that is known of the way to somebody, gathered for `why`."""

from typing import TYPE_CHECKING

from shell.errors import NotConnected
from shell.ladder import Facts
from wire.errors import ErrorCode, Refused

if TYPE_CHECKING:  # the network loads after the prompt
    from shell.messenger import Messenger


async def survey(messenger: "Messenger", name: str) -> Facts:
    """Asks the phone book, the line and the network. Raises `NotLoggedIn`, `Refused`."""
    line = messenger.line
    profile, away, unknown = None, "", ""
    try:
        profile = await messenger.whois(name)
    except NotConnected as error:
        away = str(error)
    except Refused as error:
        if error.code != ErrorCode.UNKNOWN_NAME:
            raise
        unknown = str(error)
    return Facts(
        name=profile.name if profile else name,
        contact=line.core.contact(name),
        no_phone_book=away,
        no_account=unknown,
        profile=profile,
        outside=messenger.outside,
        own_port=line.port,
        own_hosts=line.network.endpoint.interfaces.hosts,
        attempt=line.network.last_attempt(name),
        failure=line.last_failure(name),
        path=line.path(name),
        held=line.core.held_there(name),
        measured=await line.network.measure(line.core.line_of(name)),
    )
