"""`keep_days` in a real shell: what is old, settled and read goes when its owner comes back."""

import io
import sqlite3

from shell.host import Town
from shell.settings import ShellSettings


def test_old_messages_go_once_they_are_settled_and_read() -> None:
    town = Town(ShellSettings(keep_days=30))
    try:
        outputs = {name: io.StringIO() for name in ("alice", "bob")}
        apps = {name: town.app(name, output) for name, output in outputs.items()}
        for name, app in apps.items():
            app.answers = lambda question, secret: Town.password
            app.run_line(f"signup {name}")
        for name, line in (
            ("alice", "msg bob an old word"), ("bob", "accept alice"), ("bob", "msg alice an old answer"),
            ("alice", "wait message"), ("alice", "logout"),
        ):  # fmt: skip
            apps[name].run_line(line)
        (mailbox,) = (town.folder / "alice").rglob("mailbox*.db*")

        def history(moment: str) -> str:
            """What is left where that moment of every message is long ago."""
            with sqlite3.connect(mailbox) as connection:
                assert connection.execute(f"UPDATE messages SET {moment} = 1").rowcount == 2
            connection.close()
            apps["alice"].run_line("login alice")
            outputs["alice"].seek(0)
            outputs["alice"].truncate()
            apps["alice"].run_line("history bob")
            apps["alice"].run_line("logout")
            return outputs["alice"].getvalue()

        assert "an old answer" in history("written"), "a writer's clock may say anything"
        assert "No messages.\n" in history("kept")
    finally:
        town.close()
