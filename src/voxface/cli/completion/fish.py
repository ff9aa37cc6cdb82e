"""A script for fish."""

from voxface.cli.completion.grammar import Command, Option

_HEAD = """\
# Completes the command voxface in fish; made by `voxface completion fish`.
function __voxface_at --description 'Whether the words so far are those of this command'
    set -l found
    for word in (commandline -opc)[2..]
        if contains -- "$found/$word" %(steps)s
            set found (string trim -- "$found $word")
        end
    end
    test "$found" = "$argv"
end
complete -c voxface -f
"""


def script(whole: Command) -> str:
    """The script of a command line."""
    commands = list(whole.walk())
    steps = [_quoted(f"{' '.join(command.words[:-1])}/{command.words[-1]}") for command in commands if command.words]
    return _HEAD % {"steps": " ".join(steps)} + "".join(map(_lines, commands))


def _lines(command: Command) -> str:
    """What may follow the words of a command."""
    at = f"complete -c voxface -n {_quoted(' '.join(['__voxface_at', *command.words]))}"
    lines = [f"{at} -a {below.words[-1]} -d {_quoted(below.about)}" for below in command.commands]
    for operand in command.operands:
        if operand.choices:
            lines.append(f"{at} -a {_quoted(' '.join(operand.choices))}")
        elif operand.is_path:
            lines.append(f"{at} -F")
    lines += [f"{at} {_option(option)}" for option in command.options]
    return "\n".join(lines) + "\n"


def _option(option: Option) -> str:
    names = [f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names]
    words = [*names, f"-d {_quoted(option.about)}"]
    if option.value is not None:
        words.append("-r")
        if option.value.choices:
            words.append(f"-a {_quoted(' '.join(option.value.choices))}")
        elif option.value.is_path:
            words.append("-F")
    return " ".join(words)


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
