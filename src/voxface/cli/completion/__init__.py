"""`voxface completion`: a script that completes verbs, options and their values in bash, zsh or fish.

It is made from the command line's own parser and holds every word, so that completing starts no Python.
"""

import argparse
import importlib

SHELLS = ("bash", "zsh", "fish")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this verb."""
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help=f"the shell that reads it: {', '.join(SHELLS)}")


def run(options: argparse.Namespace) -> int:
    """Prints the script."""
    from voxface.cli.completion.grammar import command_line

    print(importlib.import_module(f"voxface.cli.completion.{options.shell}").script(command_line()), end="")
    return 0
