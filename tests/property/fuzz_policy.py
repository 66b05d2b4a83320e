"""Fuzz the parsers of policies for as long as one likes: `python tests/property/fuzz_policy.py 1000000`.

Every input must give a policy, a condition, or a policy error, within a CPU second and a bounded memory. The suite runs
a few thousand of them.
"""

from __future__ import annotations

import resource
import sys
from collections import Counter
from importlib import resources
from random import Random
from time import process_time

from membergate.deciding.policy import load_policy
from membergate.deciding.policy.condition import compile_condition
from membergate.deciding.policy.source import Passage
from membergate.domain.errors import PolicyError
from membergate.domain.evidence import EvidenceKind, Vocabulary

SLOWEST_S = 1.0
VOCABULARY: Vocabulary = {
    "a": EvidenceKind.NUMBER,
    "b": EvidenceKind.NUMBER,
    "s": EvidenceKind.TEXT,
    "f": EvidenceKind.BOOLEAN,
}
WORDS = (
    *(
        "a",
        "b",
        "s",
        "f",
        "and",
        "or",
        "not",
        "in",
        "between",
        "is",
        "null",
        "true",
        "false",
        "abs",
        "least",
        "coalesce",
    ),
    *(
        "(",
        ")",
        ",",
        "<",
        "<=",
        "=",
        "<>",
        "+",
        "-",
        "*",
        "/",
        "1",
        "0.5",
        "1e999",
        "'x'",
        '"a"',
        "case",
        "select",
        "--",
    ),
    *(
        "/*",
        "*/",
        "::",
        ";",
        "x'1f'",
        "$1",
        "?",
        "[",
        "]",
        "{",
        "}",
        "->",
        "lambda",
        "\x00",
        "\ud7ff",
        "\ufeff",
        "\U0001d538",
    ),
)
PIECES = (
    *(
        "name: x\n",
        'version: "1"\n',
        "description: d\n",
        "rules:\n",
        "  - id: r\n",
        "    purpose: p.\n",
        "    when: a > 1\n",
    ),
    *("    at_least: deny\n", "    reason: R\n", "    watch: {days: 1}\n", "overlays:\n", "examples:\n", "  - id: e\n"),
    *("    expect: admit\n", "    evidence: {a: 1}\n", "    starts_at: 2025-01-01\n", "    ends_at: 2026-01-01\n"),
    *("&a ", "*a", "<<: ", "!!python/object:os.system ", "? ", "- ", ": ", "[", "]", "{", "}", "'", '"', "|\n", ">\n"),
    *("\t", "\n", "#", ".nan", ".inf", "1e400", "0o9", "2025-99-99", "---\n", "...\n", "%YAML 1.1\n", "\x00", "\ufeff"),
)


def fuzz(inputs: int, seed: int) -> Counter[str]:
    """Try random conditions, random texts, and damaged copies of the default policy.

    Parameters
    ----------
    inputs
        How many.
    seed
        Makes them repeatable.

    Returns
    -------
    Counter
        How many were accepted and refused.

    Raises
    ------
    AssertionError
        If one takes more than a CPU second, with the input. Anything but a policy error escapes as it is.
    """
    random = Random(seed)  # noqa: S311 (inputs, not secrets)
    default = resources.files("membergate.deciding").joinpath("policies", "library.yaml").read_text(encoding="utf-8")
    counts: Counter[str] = Counter()
    for number in range(inputs):
        is_condition = number % 10 < 8
        text = _condition(random) if is_condition else _policy(random, default)
        start = process_time()
        try:
            if is_condition:
                answer = compile_condition(Passage.of(text, "fuzz"), VOCABULARY).ask({})
                assert answer in {True, False, None}
            else:
                load_policy(text, origin="fuzz.yaml", vocabulary=VOCABULARY)
            counts["accepted"] += 1
        except PolicyError:
            counts["refused"] += 1
        assert process_time() - start < SLOWEST_S, text
    return counts


def _condition(random: Random) -> str:
    if random.random() < 0.1:
        return "".join(chr(random.choice((random.randrange(32, 127), random.randrange(0xD7FF)))) for _ in range(40))
    if random.random() < 0.02:
        return random.choice(("(", "not ", "-", "a + ", "abs(", "f and ")) * random.randrange(1, 3_000) + "a"
    return " ".join(random.choices(WORDS, k=random.randrange(1, 40)))


def _policy(random: Random, text: str) -> str:
    if random.random() < 0.7:
        return "".join(random.choices(PIECES, k=random.randrange(1, 40)))
    piece, place = random.choice(PIECES), random.randrange(len(text))
    return text[: random.randrange(400, 4_000)] + piece if random.random() < 0.5 else text[:place][-3_000:] + piece


if __name__ == "__main__":
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    counted = fuzz(wanted, seed=int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(f"{wanted} inputs: {dict(counted)}, memory grown by {grown} KiB")  # noqa: T201 (a script)
