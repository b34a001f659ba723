"""Fuzz the targets: `python -m tests.fuzz --seconds 60`.

With atheris (coverage-guided) where it is installed, else with a seeded mutation loop over the saved corpora. Each
target runs in a process of its own. Exit code 1 when one failed; the input is then saved beside its corpus.
"""

from __future__ import annotations

import argparse
import importlib.util
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz.targets import CORPUS, TARGETS, corpus_of

from tuner_sipbridge.testing.mutation import mutations

SLOWEST_S = 1.0
MOST_GROWTH_MB = 64.0
WARM = 2000


def resident_mb() -> float:
    """Memory in use, in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def loop(name: str, seconds: float, seed: int) -> int:
    """Damage the corpus for so many seconds; gives how many inputs failed (0 or 1)."""
    target, started, runs, slowest, warm_mb = TARGETS[name], time.monotonic(), 0, 0.0, 0.0
    for data in mutations(corpus_of(name), seed=seed):
        before = time.monotonic()
        if before - started >= seconds:
            break
        try:
            target(data)
        except Exception as error:
            found = Path(f"found-{name}-{seed}-{runs}")
            found.write_bytes(data)
            print(f"{name}: input {runs} of seed {seed} failed ({error!r}); saved as {found}")
            return 1
        runs, slowest = runs + 1, max(slowest, time.monotonic() - before)
        warm_mb = resident_mb() if runs == WARM else warm_mb
    growth_mb = resident_mb() - warm_mb if warm_mb else 0.0
    rate = runs / max(time.monotonic() - started, 1e-9)
    print(
        f"{name}: {runs} inputs, {rate:.0f}/s, slowest {slowest * 1e3:.1f} ms, growth {growth_mb:+.1f} MB "
        f"(mutation, seed {seed})"
    )
    return int(slowest > SLOWEST_S or growth_mb > MOST_GROWTH_MB)


def guided(name: str, seconds: float, seed: int) -> int:
    """Run atheris on one target in a process of its own; gives its exit code."""
    with tempfile.TemporaryDirectory() as grown:
        command = [sys.executable, "-m", "tests.fuzz.guided", name, grown, str(CORPUS / name)]
        limits = [f"-max_total_time={round(seconds)}", f"-seed={seed}", "-timeout=5", "-rss_limit_mb=1024"]
        ran = subprocess.run(
            [*command, *limits, "-max_len=9000", "-print_final_stats=1", f"-artifact_prefix=found-{name}-"],
            check=False,
            stderr=subprocess.PIPE,
            text=True,
        )
    if ran.returncode:
        print(ran.stderr[-4000:])
    figures = (line.split("stat::")[1] for line in ran.stderr.splitlines() if line.startswith("stat::"))
    stats = {name: int(value) for name, _, value in (line.partition(":") for line in figures)}
    print(
        f"{name}: {stats.get('number_of_executed_units', 0)} inputs, "
        f"{stats.get('average_exec_per_sec', 0)}/s, {stats.get('new_units_added', 0)} led to new code, "
        f"slowest {stats.get('slowest_unit_time_sec', 0)} s, peak {stats.get('peak_rss_mb', 0)} MB (atheris)"
    )
    return ran.returncode


def main() -> int:
    """Read the command line and fuzz."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=60.0, help="for each target")
    parser.add_argument("--target", choices=TARGETS, action="append", help="one target; all when not given")
    parser.add_argument("--seed", type=int, default=round(time.time()))
    parser.add_argument(
        "--loop", action="store_true", help="the mutation loop even where atheris is installed"
    )
    options = parser.parse_args()
    run = guided if importlib.util.find_spec("atheris") and not options.loop else loop
    failed = [name for name in options.target or TARGETS if run(name, options.seconds, options.seed)]
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
