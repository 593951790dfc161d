"""The fuzz of ``test_fuzz`` without an end of its own; run by ``scripts/fuzz``."""

from __future__ import annotations

import random
import sys
import time
from collections import Counter

from tests.wire.fuzzing import attack, memory_of_attack, mutated, seeds

_MOST_SECONDS_A_KILOBYTE = 0.02  # for all decoders together, on a slow machine


def main(seconds: int = 600, seed: int | None = None) -> None:
    """Damage frames, and what came of them, until the time is over. Prints the seed first and the outcomes last."""
    seed = random.randrange(1 << 32) if seed is None else seed
    print(f"seed {seed}, {seconds} seconds")
    dice, corpus, outcomes = random.Random(seed), seeds(), Counter[str]()
    frames, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        frame = mutated(dice.choice(corpus), dice.choice(corpus), dice)
        try:
            started = time.process_time()
            found = attack(frame)
            took = time.process_time() - started
            assert took <= _MOST_SECONDS_A_KILOBYTE * max(len(frame) / 1024, 4), f"{took:.3f} s"
            if frames % 50 == 0:
                assert memory_of_attack(frame) <= 5 * len(frame) + 512 * 1024, "memory"
        except BaseException:
            print(f"frame {frames}: {frame!r}")
            raise
        outcomes += found
        frames += 1
        if set(found) != {"HeaderError"} and len(frame) < 2000 and dice.random() < 0.05:
            corpus[dice.randrange(len(corpus))] = frame  # damage upon damage
    print(f"{frames} frames: {dict(outcomes)}")


if __name__ == "__main__":
    arguments = dict(zip(("seconds", "seed"), map(int, sys.argv[1:]), strict=False))
    main(**arguments)
