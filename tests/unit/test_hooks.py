"""Hooks run real programs; what others wrote stays one argument, whatever is in it."""

import json
import queue
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shell.errors import HookRefused
from shell.events import Event, MessageArrived, NoticeArrived, StatusChanged
from shell.filters import KINDS, Filter
from shell.hooks import Hooks, check_command, environment, filled
from wire.messages import Status

PATIENCE = 30.0  # seconds
WRITE = (
    "import json, os, sys; event = json.load(sys.stdin); "
    "json.dump([sys.argv[1:], os.environ['PARLEY_TEXT'], event, 'PARLEY_PASSWORD' in os.environ], "
    "open(sys.argv[1], 'w'))"
)


def said(text: str, name: str = "bob") -> MessageArrived:
    return MessageArrived(name, text, 1.0, "ab")


@given(st.text(st.characters(codec="utf-8"), max_size=200))
def test_a_text_is_one_argument_and_never_anything_else(text: str) -> None:
    before = ["notify", "--", "from {name}", "{text}", "x{text}{text}"]
    after = filled(before, said(text))
    assert after[:3] == ["notify", "--", "from bob"]
    assert len(after) == len(before)
    assert after[4] == f"x{after[3]}{after[3]}"
    assert "\0" not in "".join(after)
    assert "\x1b" not in "".join(after)


def test_a_text_that_looks_like_a_field_is_not_filled_in_again() -> None:
    assert filled(["p", "--", "{text}"], said("{name} {id}")) == ["p", "--", "{name} {id}"]


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ([], "Say which program"),
        (["no-such-program-anywhere"], "There is no program 'no-such-program-anywhere'"),
        (["{text}"], "Which program runs is yours to say"),
        (["sh", "-c", "echo {text}"], "would run as commands"),
        (["env", "bash", "-c", "echo {name}"], "would run as commands"),
        ([sys.executable, "-c", "print('{text}')"], "would run as commands"),
        (["echo", "{text}"], "taken for an option"),
        (["echo", "{text}", "--"], "taken for an option"),
    ],
)
def test_what_would_let_words_do_harm_is_refused(command: list[str], reason: str) -> None:
    with pytest.raises(HookRefused, match=reason):
        check_command(command)


def test_no_hook_sees_the_password() -> None:
    seen = environment({"PARLEY_PASSWORD": "secret", "PATH": "/bin"}, said("hi"))
    assert "secret" not in seen.values()
    assert seen["PATH"] == "/bin"
    assert (seen["PARLEY_NAME"], seen["PARLEY_TEXT"], seen["PARLEY_EVENT"]) == ("bob", "hi", "message")


def test_a_real_program_gets_arguments_environment_and_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARLEY_PASSWORD", "secret")
    failures: queue.Queue[str] = queue.Queue()
    hooks = Hooks(failures.put)
    file = tmp_path / "seen"
    hooks.add(Filter("message", "BOB"), [sys.executable, "-c", WRITE, str(file), "--", "{text}"])
    hooks.heard(said("from carol", "carol"))
    hooks.heard(said("$(touch /tmp/x); `id` '\n--\0"))
    hooks.close()
    assert failures.empty()
    arguments, text, event, sees_password = json.loads(file.read_text())
    assert arguments[1:] == ["--", "$(touch /tmp/x); `id` '\n--␀"]
    assert text == arguments[2]
    assert event["text"] == "$(touch /tmp/x); `id` '\n--\0"
    assert not sees_password


def test_a_hook_that_fails_is_named_and_the_next_one_runs(tmp_path: Path) -> None:
    failures: queue.Queue[str] = queue.Queue()
    hooks = Hooks(failures.put)
    hooks.add(Filter("message"), [sys.executable, "-c", "import sys; sys.exit('no \x1b[2J way')"])
    hooks.add(
        Filter("message"), [sys.executable, "-c", "open(__import__('sys').argv[1], 'w')", f"{tmp_path}/2"]
    )
    hooks.heard(said("hi"))
    hooks.close()
    complaint = failures.get(timeout=PATIENCE)
    assert complaint.startswith("Hook 1 (on message run ")
    assert complaint.endswith("failed: exit code 1: no ␛[2J way")
    assert failures.empty()
    assert (tmp_path / "2").exists()


def test_a_removed_hook_no_longer_runs(tmp_path: Path) -> None:
    hooks = Hooks(lambda sentence: None)
    hook = hooks.add(Filter("message"), ["touch", str(tmp_path / "seen")])
    hooks.remove(hook.number)
    hooks.heard(said("hi"))
    hooks.close()
    assert not (tmp_path / "seen").exists()
    with pytest.raises(HookRefused, match="There is no hook 1"):
        hooks.remove(hook.number)


@pytest.mark.parametrize(
    ("wanted", "event", "fits"),
    [
        (Filter("message"), said("build failed"), True),
        (Filter("message", "carol"), said("build failed"), False),
        (Filter("message", "BOB"), said("build failed"), True),
        (Filter("message", containing="FAILED"), said("build failed"), True),
        (Filter("message", matching="BUILD f*"), said("build failed"), True),
        (Filter("message", matching="*[1]?"), said("build failed [1]!"), True),
        (Filter("message", matching="failed"), said("build failed"), False),
        (Filter("message", matching="*a" * 30), said("a" * 65_536 + "b"), False),
        (Filter("status", "bob", "online"), StatusChanged("bob", Status.ONLINE), True),
        (Filter("status", "bob", "away"), StatusChanged("bob", Status.ONLINE), False),
        (Filter("notice"), said("hi"), False),
        (Filter("notice", containing="night"), NoticeArrived("down for the night"), True),
    ],
)
def test_filters(wanted: Filter, event: Event, fits: bool) -> None:
    assert wanted.fits(event) is fits


def test_every_kind_of_event_has_one_name() -> None:
    assert len(set(KINDS.values())) == len(KINDS)
