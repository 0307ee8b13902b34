from pathlib import Path

import pytest

from server import settings as server_settings
from server.errors import SettingsError as ServerSettingsError
from server.settings import ServerSettings, listen_address
from shell import settings as shell_settings
from shell.errors import SettingsError as ShellSettingsError
from shell.settings import ShellSettings

SHIPPED = Path(__file__).parents[3] / "settings.toml"


def test_the_shipped_file_says_exactly_the_defaults() -> None:
    assert server_settings.load(SHIPPED) == ServerSettings()
    assert shell_settings.load(SHIPPED) == ShellSettings()
    text = SHIPPED.read_text(encoding="utf-8")
    for key in (*ServerSettings.__struct_fields__, *ShellSettings.__struct_fields__):
        assert f"\n{key} = " in text, f"settings.toml does not show {key}"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[server]\nlisten_on = ':1'\n", ["listen_on", "listen"]),
        ("[sever]\nlisten = ':1'\n", ["sever", "server"]),
        ("[server]\nhash_queue = 'many'\n", ["hash_queue", "int"]),
        ("[server]\nregistration = 'maybe'\n", ["registration", "maybe"]),
        ("[server]\nhash_queue = 0\n", ["hash_queue is 0: expected `int` >= 1."]),
        ("[server]\nargon2_time = 101\n", ["argon2_time is 101: expected `int` <= 100."]),
        ("[server]\nargon2_memory_kib = 7\n", ["argon2_memory_kib is 7: expected `int` >= 8."]),
        (
            f"[server]\nargon2_memory_kib = {2**33}\n",
            [f"argon2_memory_kib is {2**33}: expected `int` <= 4194304."],
        ),
        ("[server]\nargon2_memory_kib = 31\nargon2_parallelism = 4\n", ["31: expected 32 or more"]),
        ("[server]\nargon2_parallelism = 65\n", ["argon2_parallelism is 65: expected `int` <= 64."]),
        ("[server\n", ["TOML"]),
    ],
)
def test_a_wrong_line_is_named_with_the_nearest_right_one(
    tmp_path: Path, content: str, words: list[str]
) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(ServerSettingsError) as caught:
        server_settings.load(file)
    assert all(word in str(caught.value) for word in (str(file), *words))
    assert "\n" not in str(caught.value)


def test_the_shell_names_its_wrong_keys_as_well(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("[shell]\nhistory_line = 3\n", encoding="utf-8")
    with pytest.raises(ShellSettingsError, match=r"history_line.*history_lines"):
        shell_settings.load(file)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ServerSettingsError, match="nowhere"):
        server_settings.load(tmp_path / "nowhere.toml")


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("0.0.0.0:6969", ("", 6969)),
        ("[::]:0", ("", 0)),
        (":7000", ("", 7000)),
        ("127.0.0.1:1", ("127.0.0.1", 1)),
        ("[::1]:1", ("::1", 1)),
    ],
)
def test_addresses_to_listen_on(text: str, pair: tuple[str, int]) -> None:
    assert listen_address(text) == pair


@pytest.mark.parametrize("text", ["", "6969", "host", "host:port", "host:99999"])
def test_what_is_no_address_to_listen_on(text: str) -> None:
    with pytest.raises(ServerSettingsError, match="HOST:PORT"):
        listen_address(text)
