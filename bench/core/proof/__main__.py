"""Run the proof: `python -m bench.core.proof [--records 10000] [--kills 200] [--seed 1] [--json]`.

Exit code 0 when every promise held. The rate without faults and kills is measured in a run of its own.
"""

from __future__ import annotations

import argparse
import json
import sys

from bench.core.proof.machine import FAULTS, prove


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.core.proof", description="Delivery loses nothing.")
    parser.add_argument("--records", type=int, default=10_000, help="to hand over (%(default)s)")
    parser.add_argument("--kills", type=int, default=200, help="processes to kill at least (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of faults and kills (%(default)s)")
    parser.add_argument("--calm", type=int, default=1000, help="records of the run without (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    figures = prove(records=options.records, kills=options.kills, faults=FAULTS, seed=options.seed)
    calm = prove(records=options.calm, kills=0, faults="", seed=options.seed) if options.calm else None
    if options.json:
        print(json.dumps({**figures.to_json(), "calm": calm.to_json() if calm else None}))
    else:
        print("\n".join(figures.lines()))
        if calm:
            print(
                f"without faults and kills: {calm.records:,} records in {calm.seconds:.1f} s,"
                f" {calm.per_second:,.0f} records/s"
            )
    return 0 if figures.holds and (calm is None or calm.holds) else 1


if __name__ == "__main__":
    sys.exit(main())
