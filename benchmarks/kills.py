#!/usr/bin/env python3
"""A run that is killed (SIGKILL) at random moments and resumed, beside one that is not: are the weights the same bytes?

usage: kills.py DATA [--kills N] [--epochs N] [--seed N]

DATA holds class folders. The settings are the default's with a named precision, at 32 px, with saving after every epoch; kills
fall anywhere, in the middle of an epoch or of a save.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from hardware import hardware

SCRIPT = """
import sys
from classify import loop, training
from classify.settings import read_settings
loop._SAVE_SECONDS = 0
settings = read_settings(None, [
    "data.size=32", "training.minutes=0", "training.precision=fp32", f"training.epochs={sys.argv[3]}"])
print("begins", flush=True)
training.train(sys.argv[1], sys.argv[2], settings, resume=sys.argv[4] == "resume", on_epoch=lambda epoch: print(epoch, flush=True))
"""


def digest(run: Path) -> str:
    return hashlib.sha256((run / "last.safetensors").read_bytes()).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data")
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    chance = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as place:

        def start(name: str) -> subprocess.Popen[bytes]:
            run = Path(place, name)
            how = "resume" if (run / "settings.toml").exists() else "new"
            arguments = [given.data, str(run), str(given.epochs), how]
            return subprocess.Popen(
                [sys.executable, "-c", SCRIPT, *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )

        begun = time.monotonic()
        whole = start("whole")
        whole.communicate()
        seconds = time.monotonic() - begun
        killed = 0
        while True:
            process = start("killed")
            if killed < given.kills:
                assert process.stdout is not None
                process.stdout.readline()  # it has begun: imports are over
                try:
                    process.wait(chance.uniform(0.3, 1.0) * seconds / given.kills)
                except subprocess.TimeoutExpired:
                    process.send_signal(signal.SIGKILL)
                    killed += 1
                    process.wait()
                    continue
            process.communicate()
            break
        same = digest(Path(place, "whole")) == digest(Path(place, "killed"))
        print(
            f"{hardware()}; {given.epochs} epochs, {seconds:.0f} s, killed {killed} times at random (seed {given.seed})"
        )
        print(
            f"last.safetensors: {'the same bytes' if same else 'OTHER BYTES'} ({digest(Path(place, 'whole'))[:16]})"
        )
        sys.exit(0 if same else 1)


if __name__ == "__main__":
    main()
