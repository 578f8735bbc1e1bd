"""Parses pages of the documentation."""


def blocks_of(text):
    """Return (info, lines, number of the first line) of each fenced block."""
    blocks = []
    inside = None
    for number, line in enumerate(text.splitlines(), 1):
        if inside is None and line.startswith("```"):
            inside = (line[3:].strip(), [], number)
        elif inside is None:
            hidden = "```" in line or line.startswith(("~~~", "    ", "\t"))
            assert not hidden, f"line {number}: a block that this test does not find"
        elif line == "```":
            blocks.append(inside)
            inside = None
        else:
            assert "```" not in line, f"line {number}: a block within a block"
            inside[1].append(line)
    assert inside is None, "the last block does not end"
    return blocks
