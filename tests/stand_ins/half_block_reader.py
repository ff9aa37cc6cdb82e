"""Half blocks of a terminal read back as pixels."""

import re


def read_half_blocks(line: str) -> list[tuple[list[int], list[int]]]:
    """The upper and the lower pixel of each half block."""
    found, now = [], ([0] * 3, [0] * 3)
    for colours, block in re.findall(r"\033\[38;2;([\d;]+)m|(▀)", line):
        if colours:
            numbers = [int(number) for number in colours.split(";")]
            assert numbers[3:5] == [48, 2]
            now = (numbers[:3], numbers[5:])
        else:
            assert block
            found.append(now)
    return found
