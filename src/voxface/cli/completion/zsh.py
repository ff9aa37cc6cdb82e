"""A script for zsh, by `_arguments` of its completion system."""

from voxface.cli.completion.grammar import Command, Option, Value

_HEAD = """\
#compdef voxface
# Completes the command voxface in zsh; made by `voxface completion zsh`.
"""
_GROUP = """\
    '*::: :->below'
    )
    _arguments -C -s $arguments && return
    if [[ $state == below ]]; then
        if (( CURRENT == 1 )); then
            local -a commands=(
%(commands)s
            )
            _describe command commands
        else
            case $words[1] in
%(cases)s
            esac
        fi
    fi
}
"""
_TAIL = """\
# Read as a file of $fpath it is this function's body; sourced, it registers it.
if [[ $funcstack[1] == _voxface ]]; then _voxface "$@"; else compdef _voxface voxface; fi
"""


def script(whole: Command) -> str:
    """The script of a command line."""
    return _HEAD + "".join(map(_function, whole.walk())) + _TAIL


def _function(command: Command) -> str:
    """The function of one command: `_voxface_bundle_info`."""
    lines = [f"{_name(command)}() {{", "    local curcontext=$curcontext state line", "    local -a arguments=("]
    lines += [f"    {_option(option)}" for option in command.options]
    if not command.commands:
        lines += [f"    {_operand(place, value)}" for place, value in enumerate(command.operands, 1)]
        return "\n".join([*lines, "    )", "    _arguments -s $arguments", "}", ""])
    below = "\n".join(f"                {_quoted(f'{c.words[-1]}:{_plain(c.about)}')}" for c in command.commands)
    cases = "\n".join(f"                {c.words[-1]}) {_name(c)} ;;" for c in command.commands)
    return "\n".join(lines) + "\n" + _GROUP % {"commands": below, "cases": cases}


def _name(command: Command) -> str:
    return "_".join(["_voxface", *(word.replace("-", "_") for word in command.words)])


def _option(option: Option) -> str:
    """As `_arguments` takes it: '(-h --help)'{-h,--help}'[about]:value:_files'."""
    about = f"[{_plain(option.about)}]"
    value = "" if option.value is None else _value(option.value) * (option.value.count or 1)
    names = option.names[0] if len(option.names) == 1 else "{" + ",".join(option.names) + "}"
    again = "'*'" if option.again else "" if len(option.names) == 1 else f"'({' '.join(option.names)})'"
    return f"{again}{names}{_quoted(about + value)}"


def _operand(place: int, value: Value) -> str:
    return _quoted(f"{place if value.count == 1 else '*'}{_value(value)}")


def _value(value: Value) -> str:
    does = f"({' '.join(value.choices)})" if value.choices else "_files" if value.is_path else " "
    return f":{_plain(value.name)}:{does}"


def _plain(text: str) -> str:
    """Text without what `_arguments` and `_describe` take for their own signs."""
    return text.replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]").replace(":", "\\:")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
