"""The shell's commands, by topic. This table makes the prompt, `-c`, scripts and `--json`."""

from shell.commands import (
    account,
    files,
    groups,
    hooks,
    join,
    look,
    people,
    questions,
    reach,
    scripts,
    talk,
)

COMMANDS = (
    *account.COMMANDS,
    *join.COMMANDS,
    *people.COMMANDS,
    *talk.COMMANDS,
    *look.COMMANDS,
    *questions.COMMANDS,
    *groups.COMMANDS,
    *files.COMMANDS,
    *reach.COMMANDS,
    *scripts.COMMANDS,
    *hooks.COMMANDS,
)
