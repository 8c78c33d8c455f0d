import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.records.jira.wiki_markup import bounded_markup, cut, length
from engine.core.postmortem import code, plain

LIMIT = 32_767
APART = "\u200b"


def converted(markdown: str) -> str:
    return bounded_markup(markdown, LIMIT, "")


@pytest.mark.parametrize(
    ("markdown", "markup"),
    [
        pytest.param("# One\n### Three", "h1. One\nh3. Three", id="headings"),
        pytest.param("- a\n- b", "* a\n* b", id="bullets"),
        pytest.param("1. a\n2. b", "# a\n# b", id="numbers"),
        pytest.param("a `b c` d", "a {{b c}} d", id="inline code"),
        pytest.param("a **b** c", "a *b* c", id="bold"),
        pytest.param("**a `b`**", "*a {{b}}*", id="code in bold"),
        pytest.param(
            "| what | |\n|---|---|\n| a | b \\| c |\n| | d |",
            "||what|| ||\n|a|b \\| c|\n| |d|",
            id="table",
        ),
        pytest.param("| a | b |", "|a|b|", id="table without a heading"),
        pytest.param("|---|---|", "|\\-\\-\\-|\\-\\-\\-|", id="a rule alone is a row"),
        pytest.param("| a |\n\ntext", "|a|\n\ntext", id="text after a table"),
        pytest.param(
            "```text\n# *x*\n| y |\n```\nz",
            "{noformat}\n# *x*\n| y |\n{noformat}\nz",
            id="fence",
        ),
        pytest.param(
            "````text\n```\nx\n````", "{noformat}\n```\nx\n{noformat}", id="fence in a fence"
        ),
        pytest.param("```\nx", "{noformat}\nx\n{noformat}", id="a fence without an end"),
        pytest.param(
            "```\na {noformat} b {NoFormat:x=y}\n```",
            f"{{noformat}}\na {{{APART}noformat}} b {{{APART}NoFormat:x=y}}\n{{noformat}}",
            id="noformat in a fence",
        ),
        pytest.param("gpu-07 a_b 2^3", "gpu-07 a_b 2^3", id="marks inside a word stay"),
        pytest.param("-a- _b_ +c+ ~d~", "\\-a\\- \\_b\\_ \\+c\\+ \\~d\\~", id="phrase marks"),
        pytest.param("{panel} [x|y] !z!", "\\{panel\\} \\[x\\|y\\] \\!z\\!", id="macros and links"),
        pytest.param("\\# a", "\\# a", id="no list from a leading sign"),
        pytest.param("why? ??q??", "why? \\?\\?q\\?\\?", id="citation"),
        pytest.param("a\\\\b c\\\\\\\\d", f"a\\b c\\{APART}\\d", id="no line break"),
        pytest.param("`a\\|b`", "{{a\\|b}}", id="a bar in code"),
        pytest.param("a\r\nb\rc\x00", "a\nb\nc\ufffd", id="line ends and controls"),
    ],
)
def test_markdown_becomes_markup(markdown: str, markup: str) -> None:
    assert converted(markdown) == markup


@pytest.mark.parametrize(
    "text",
    ["*bold* {color:red}", "[~admin]", "a|b", "<!channel>", "`x`", "!http://x/y.png!", "a\\b"],
)
@pytest.mark.parametrize("quote", [plain, code])
def test_a_quoted_text_stays_the_same_words(quote: object, text: str) -> None:
    assert callable(quote)
    shown = re.sub(r"\\([^\w\s])", r"\1", converted(quote(text)).replace(APART, ""))
    assert shown.removeprefix("{{").removesuffix("}}").replace("'", "`") == text


def test_what_fits_to_the_last_character_is_whole() -> None:
    text = "x" * LIMIT
    assert converted(text) == text
    assert bounded_markup("🚨" * 5, 10, "") == "🚨" * 5
    assert length(bounded_markup("🚨" * 200, 399, "See the file.")) <= 399


@pytest.mark.parametrize(
    "markdown",
    [
        pytest.param("intro\n```text\n" + "y\n" * 40_000 + "```\nend", id="a long fence"),
        pytest.param("intro\n" + "| a | b |\n" * 10_000, id="a long table"),
        pytest.param("intro\n" + "z" * 40_000, id="a long line"),
        pytest.param("intro\n" + ("```\n" + "🚨" * 4_000 + "\n```\n") * 20, id="beyond the plane"),
    ],
)
def test_what_does_not_fit_is_cut_with_a_note(markdown: str) -> None:
    markup = bounded_markup(markdown, LIMIT, "See the file.")
    assert length(markup) <= LIMIT
    assert markup.startswith("intro\n")
    assert re.search(r"\n\nCut: [\d,]+ of [\d,]+ characters .* See the file\.$", markup)
    assert markup.count("{noformat}") % 2 == 0


def test_a_long_fence_is_kept_as_far_as_it_fits() -> None:
    markup = bounded_markup("```\n" + "y" * 40_000 + "\n```", LIMIT, "")
    assert markup.count("y") > LIMIT - 200


@given(st.text(st.sampled_from("|`#-*\\{}noformat \n\r🚨1.") | st.characters(), max_size=300))
def test_any_text_fits_and_every_fence_is_closed(text: str) -> None:
    markup = bounded_markup(text * 20, 500, "More.")
    assert length(markup) <= 500
    fences = [line for line in markup.split("\n") if line == "{noformat}"]
    assert len(fences) % 2 == 0


def test_a_summary_is_cut_as_jira_counts() -> None:
    assert cut("abc", 3) == "abc"
    assert cut("abcd", 3) == "ab…"
    assert cut("🚨🚨🚨", 5) == "🚨🚨…"
