"""The texts and names of the repository use the words of the glossary; docs/glossary.md lists the retired words."""

import re
from collections.abc import Iterator
from fnmatch import fnmatch

from tests.support import text_of, tracked

GLOSSARY = "docs/glossary.md"
HERE = "tests/test_language.py"
TEXTS = (".md", ".py", ".sql", ".yml", ".yaml", ".toml", ".example", "Makefile", ".ci/run", "CODEOWNERS")
# a word in another sense: path pattern, word, reason
EXCUSES = (
    ("CHANGELOG.md", "*", "names that a release changed"),
    ("demo/systems.py", "invented", "the mark of demo databases, also of release 0.1"),
    ("ingestion/privacy.py", "seal", "part of every record's key: without it no record can be decrypted"),
    ("demo/liquidlogic.py", "front door", "the name of a team of children's services"),
    ("warehouse/migrations/*", "*", "names of earlier releases, which the migrations change"),
    ("tests/release_0_1.sql", "*", "a database of release 0.1"),
)
BETWEEN = r"(?:_|\s+(?:(?:--|#)\s+)?)"  # words in prose, also across the lines of a comment, and in names


def table(heading: str) -> list[list[str]]:
    """Return the rows of the glossary's table below a heading."""
    section = text_of(GLOSSARY).split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", row.strip("|"))] for row in rows[2:]]


RETIRED = [words.strip("`").lower() for words, _ in table("Retired words")]


def retired(text: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the words of each retired phrase in a text."""
    lower = text.lower()
    for phrase in RETIRED:
        if all(word in lower for word in phrase.split()):  # much quicker than a pattern, and rarely true
            pattern = rf"(?<![a-z]){BETWEEN.join(map(re.escape, phrase.split()))}(?![a-z])"
            for match in re.finditer(pattern, lower):
                yield lower.count("\n", 0, match.start()) + 1, " ".join(re.split(BETWEEN, match[0]))


def findings(name: str, text: str) -> list[str]:
    """Return `file:line: word` for each retired word that is not excused."""
    return [
        f"{name}:{line}: {words}"
        for line, words in sorted(retired(text))
        if not any(fnmatch(name, path) and fnmatch(words, word) for path, word, _ in EXCUSES)
    ]


def test_no_retired_word_is_used() -> None:
    used = []
    for name in tracked():
        if name.endswith(TEXTS) and name not in (GLOSSARY, HERE):
            text = text_of(name)
            used += findings(name, text.split("\n## 0.")[0] if name == "CHANGELOG.md" else text)
    assert used == [], f"{len(used)} retired words:\n" + "\n".join(used)


def test_a_retired_word_is_found_in_prose_and_names() -> None:
    text = "x\n# who was\n# told, and told\n-- of it\ndef test_nothing_Is_told():\nNought"
    assert findings("a.py", text) == ["a.py:2: was told", "a.py:3: told of", "a.py:5: is told", "a.py:6: nought"]
    assert findings("a.md", "departed, resealed, unfitted") == []
    assert findings("demo/liquidlogic.py", "front door") == []


def test_documents_named_in_texts_exist() -> None:
    named = [
        (name, path)
        for name in tracked()
        if name.endswith((*TEXTS, ".json"))
        for path in re.findall(r"(?<!dbt_project/)\bdocs/[\w/-]+\.md\b", text_of(name))
    ]
    assert [f"{name}: {path}" for name, path in named if path not in tracked()] == []


def test_glossary_tables_are_sorted_and_complete() -> None:
    for heading, columns in (("Business words", 3), ("Terms of the warehouse", 3), ("Retired words", 2)):
        rows = table(heading)
        words = [row[0].strip("`").lower() for row in rows]
        assert words == sorted(set(words)), heading
        assert all(len(row) == columns and all(row) for row in rows), heading


def test_every_excuse_is_needed() -> None:
    for path, word, reason in EXCUSES:
        texts = [text_of(name) for name in tracked() if fnmatch(name, path) and name.endswith(TEXTS)]
        used = {words for text in texts for _, words in retired(text)}
        assert reason
        assert not texts or any(fnmatch(words, word) for words in used), f"{path}, {word}: not needed"
