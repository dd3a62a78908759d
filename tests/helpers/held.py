"""The command of workbook.scale.ddp in one process of a group, which waits where it has written its state.

Its first argument is the file that it waits for; the others are the command's.
"""

import runpy
import sys
import time
from pathlib import Path

from kdlab import training

gate, save_state = Path(sys.argv.pop(1)), training.save_state


def saved(step, path):
    save_state(step, path)
    while not gate.exists():
        time.sleep(0.02)


training.save_state = saved
runpy.run_module("workbook.scale.ddp", run_name="__main__")
