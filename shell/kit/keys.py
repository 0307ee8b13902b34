"""Keys that every line of a console has, beside those of prompt-toolkit."""

from prompt_toolkit import PromptSession
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent, merge_key_bindings
from prompt_toolkit.keys import Keys


def _without_mouse() -> KeyBindings:
    """No console asks for a mouse, but a pasted colour (`ESC [ 31 m`) looks like a report of one."""
    made = KeyBindings()

    @made.add(Keys.Vt100MouseEvent)
    def ignore(event: KeyPressEvent) -> None:
        pass

    return made


def give_keys(session: PromptSession[str]) -> None:
    """Gives a session these keys beside its own, and no warning where a terminal answers late or never."""
    session.key_bindings = merge_key_bindings([session.key_bindings or KeyBindings(), _without_mouse()])
    # It asks where the cursor is, and does without the answer; its warning would break what is typed.
    session.app.renderer.cpr_not_supported_callback = None
