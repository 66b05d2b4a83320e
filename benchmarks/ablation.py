"""What each part of the identification model buys: the benchmark of `benchmarks/identify.py` with one part left out.

Each market is learned from whole and without one part at a time; printed is what leaving it out loses, as the mean over
seeds of the paired differences with a 95 % t interval, in points. An interval on both sides of 0 says that nothing was
shown. Usage: `python -m benchmarks.ablation [--accounts 10000] [--seeds 411 412 413 414 415] [--budgets 0 300 1500]`
"""

from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from dataclasses import fields, replace
from pathlib import Path

from benchmarks.identify import market_of, measured, membergate
from benchmarks.intervals import interval

from membergate.learning.model import Parts

SHOWN = ("genuine admission at 1 % leakage", "average precision")


def main() -> None:
    """Run all seeds and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=10_000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[411, 412, 413, 414, 415])
    parser.add_argument("--budgets", type=int, nargs="+", default=[0, 300, 1500])
    arguments = parser.parse_args()
    lost: dict[tuple[str, int, str], list[float]] = defaultdict(list)
    parts = [field.name for field in fields(Parts)]
    for seed in arguments.seeds:
        with tempfile.TemporaryDirectory() as temporary:
            market = market_of(Path(temporary), seed, arguments.accounts)
            for budget in arguments.budgets:
                labels = market.labels(budget, seed)
                whole = measured(market, membergate(market, labels, seed))
                for part in parts:
                    without = membergate(market, labels, seed, replace(Parts(), **{part: False}))
                    found = measured(market, without)
                    for name in SHOWN:
                        lost[part, budget, name].append(100 * (whole[name] - found[name]))
        print(f"  seed {seed}")
    print(f"\n| part | labels | {' | '.join(f'{name}: lost without it' for name in SHOWN)} |\n|---|---|---|---|")
    for part in parts:
        for budget in arguments.budgets:
            print(f"| {part} | {budget} | " + " | ".join(interval(lost[part, budget, name]) for name in SHOWN) + " |")


if __name__ == "__main__":
    main()
