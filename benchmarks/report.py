"""The form of every benchmark's result: a table for people, a file for comparisons."""

import json
import os
import platform
import subprocess
from pathlib import Path

from brokerage.env import ROOT


def machine_text() -> str:
    """Describe the machine in one line."""
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    return f"{os.cpu_count()} x {model}, {platform.system()} {platform.release()}"


def commit_text() -> str:
    """Return the commit that was measured."""
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def report_write(
    name: str, *, seed: int, samples: int, figures: dict[str, float], ratios: dict[str, float]
) -> Path:
    """Print the figures as a table and write ``var/bench/<name>.json``; returns the file's path."""
    result = {
        "machine": machine_text(),
        "commit": commit_text(),
        "seed": seed,
        "samples": samples,
        "figures": figures,
        "ratios": ratios,
    }
    print(f"\n{name} on {result['machine']}, commit {result['commit']}, seed {seed}, {samples} samples")
    for label, values in (("figure", figures), ("ratio", ratios)):
        for key, value in values.items():
            print(f"  {label:<7} {key:<32} {value:>12,.3f}")
    path = ROOT / "var" / "bench" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=2) + "\n")
    print(f"  written to {path.relative_to(ROOT)}")
    return path


def percentile(values: list[float], share: float) -> float:
    """Return the value below which ``share`` of the sorted values lie."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]
