"""The shell's commands, by topic. This table makes the prompt, `-c`, scripts and `--json`."""

from shell.commands import (
    account,
    consent,
    files,
    groups,
    hooks,
    join,
    keys,
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
    *consent.COMMANDS,
    *keys.COMMANDS,
    *talk.COMMANDS,
    *look.COMMANDS,
    *questions.COMMANDS,
    *groups.COMMANDS,
    *files.COMMANDS,
    *reach.COMMANDS,
    *scripts.COMMANDS,
    *hooks.COMMANDS,
)
