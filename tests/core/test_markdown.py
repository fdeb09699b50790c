"""Tables in Markdown."""

from recsys_core.markdown import markdown_table


def test_a_table_by_hand() -> None:
    assert markdown_table(["a", "b"], [["x", "1"]]) == "| a | b |\n| --- | ---: |\n| x | 1 |"
