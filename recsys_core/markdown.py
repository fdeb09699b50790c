"""Tables in Markdown, as GitHub and the UI render them."""


def markdown_table(header: list[str], rows: list[list[str]]) -> str:
    """A GitHub-style table, the first column to the left and all others to the right."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [header, rule, *rows])
