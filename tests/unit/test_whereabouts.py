"""Where this shell can be reached, as far as no network is needed."""

import asyncio

import pytest

from shell.errors import SettingsError
from shell.whereabouts import _resolved
from wire.messages import Endpoint


def test_a_stun_server_of_the_users_own_has_its_usual_port() -> None:
    assert asyncio.run(_resolved("127.0.0.1")) == [Endpoint("127.0.0.1", 3478)]
    assert asyncio.run(_resolved("[::1]:4000")) == [Endpoint("::1", 4000)]


@pytest.mark.parametrize("server", ["stun.example:port", ":3478", "stun.example:99999"])
def test_what_cannot_be_a_stun_server_is_refused_with_what_would_do(server: str) -> None:
    with pytest.raises(SettingsError, match="write HOST or HOST:PORT"):
        asyncio.run(_resolved(server))
