"""A script for bash, from version 3.2 on, which macOS has. It needs nothing of the package bash-completion."""

from voxface.cli.completion.grammar import Command

_HEAD = """\
# Completes the command voxface in bash; made by `voxface completion bash`.
_voxface() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command= i
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        case "$command/${COMP_WORDS[i]}" in
            %(steps)s) command="${command:+$command }${COMP_WORDS[i]}" ;;
        esac
    done
    case "$command $prev" in
"""
_MIDDLE = """\
    esac
    local words=
    case "$command" in
"""
_TAIL = """\
    esac
    # Without a word that fits, bash completes names of files (-o default).
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -o default -F _voxface voxface
"""


def script(whole: Command) -> str:
    """The script of a command line."""
    commands = list(whole.walk())
    steps = [f'"{" ".join(command.words[:-1])}/{command.words[-1]}"' for command in commands if command.words]
    lines = [_HEAD % {"steps": "|".join(steps)}]
    values: dict[str, list[str]] = {}
    for command in commands:
        for option in command.options:
            if option.value is not None:
                choices = " ".join(option.value.choices)
                # Else names of files: bash knows no way to offer nothing.
                does = f'COMPREPLY=($(compgen -W "{choices}" -- "$cur")); return' if choices else "return"
                values.setdefault(does, []).extend(f'"{" ".join(command.words)} {name}"' for name in option.names)
    lines += [f"        {'|'.join(places)}) {does} ;;\n" for does, places in values.items()]
    lines.append(_MIDDLE)
    for command in commands:
        words = [below.words[-1] for below in command.commands]
        words += [choice for operand in command.operands for choice in operand.choices]
        options = " ".join(name for option in command.options for name in option.names)
        # Options are offered where one was begun, or where nothing else can stand.
        first = f"[[ $cur == -* ]] && words={options!r}"
        if words:
            first = f"words={' '.join(words)!r}; {first}"
        elif not command.operands:
            first = f"words={options!r}"
        lines.append(f'        "{" ".join(command.words)}") {first} ;;\n')
    lines.append(_TAIL)
    return "".join(lines)
