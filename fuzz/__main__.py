"""Run one target under Atheris: ``python -m fuzz NAME [libFuzzer's options]``, or list them.

``-max_total_time=60`` ends after a minute, ``-runs=300`` after so many inputs. What a run finds of
interest goes to ``.fuzz/NAME`` and is where the next one starts; an input that ends in anything
but an OwlError stops it and is kept there too, as ``crash-...``.
"""

from __future__ import annotations

import logging
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["owl_geo", "owl_geo_labeler", "tomllib"]):
    from fuzz import targets

KEPT = Path(".fuzz")


def main() -> None:
    """Fuzz the target that the first argument names."""
    if len(sys.argv) < 2 or sys.argv[1] not in targets.TARGETS:
        sys.exit(f"usage: python -m fuzz NAME [options]; names: {', '.join(targets.TARGETS)}")
    name, options = sys.argv[1], sys.argv[2:]
    logging.disable()
    kept = KEPT / name
    kept.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        target = targets.TARGETS[name](Path(folder))
        for number, seed in enumerate(target.seeds()):
            (kept / f"seed-{number}").write_bytes(seed)
        regressions = targets.INPUTS / name
        folders = [str(place) for place in (kept, regressions) if place.is_dir()]
        arguments = [
            "-timeout=20",
            "-rss_limit_mb=4096",
            "-len_control=0",
            f"-artifact_prefix={kept}/",
            *options,
        ]
        atheris.Setup([sys.argv[0], *arguments, *folders], target.run)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
