"""The command; `python -m workbook.record --help` says what it takes."""

import argparse
import sys
from functools import partial
from pathlib import Path

import torch

from kdlab import devices
from workbook import record
from workbook.record import archive, latencies, sheet, trainings
from workbook.record.sheet import SIZES, Clock, LeftOut, Sheet, Stopped, complain, first_line


def main(arguments: list[str] | None = None) -> int:
    """Measures what it is asked to; 0, 2 where that cannot be done here, 143 after SIGTERM, 130 after Ctrl-C."""
    options = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser("python -m workbook.record", description=record.__doc__.splitlines()[0])
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:1, mps, xpu or auto (auto)")
    parser.add_argument("--data", type=Path, help="CIFAR-10's archive of JPEG files, to train on")
    parser.add_argument("--out", type=Path, required=True, help="the record, gpu-NAME.json or cpu-NAME.json")
    parser.add_argument("--minutes", type=float, default=8.0, help="how long it may take, > 0 (8)")
    parser.add_argument("--size", choices=SIZES, help="full (on an accelerator), small (else), or trial: does it work?")
    parser.add_argument("--commit", help="of this copy of the repository, where git cannot tell it")
    given = parser.parse_args(options)
    if not given.minutes > 0:
        return complain(f"--minutes must be > 0, got {given.minutes}")
    if given.data and not given.data.is_file():
        return complain(f"--data: there is no file {given.data}")
    try:
        device = choose(given.device)
    except ValueError as error:
        return complain(error)
    name = given.size or ("small" if device.type == "cpu" else "full")
    size, clock = SIZES[name], Clock(given.minutes)
    torch.set_num_threads(1)  # the sweep of latencies sets its own
    head = {"provenance": sheet.provenance(device, options, given.commit), "minutes": given.minutes, "size": name}
    try:
        made = Sheet(given.out, head, clock)
        sheet.stop_at_signals()
        measure(made, device, size, given.data)
    except OSError as error:
        return complain(error)
    except Stopped as stopped:
        complain(f"stopped by {stopped}; {given.out} holds what was measured until then")
        return 130 if str(stopped) == "SIGINT" else 143
    print(given.out)
    return 0


def measure(made: Sheet, device: torch.device, size: sheet.Size, packed: Path | None) -> None:
    """All sections, each with the share of the time at which it must have ended; what it leaves goes to the next."""
    clock, held = made.clock, {}

    def pictures():
        if packed is None:
            raise LeftOut("no --data was given")
        held["cifar"] = archive.read(packed, train=size.train, test=size.test).to(device)
        yield {"name": held["cifar"].name, "train": len(held["cifar"].train), "test": len(held["cifar"].test)}

    def trained(section):
        if "cifar" not in held:
            raise LeftOut("there are no pictures, see the section before")
        yield from section(device, clock, size, held["cifar"])

    made.run("launch", 0.05, partial(latencies.launches, device, clock))
    made.run("latency", 0.35, partial(latencies.latency, device, clock, size.batches))
    if "latency" in made.data:
        made.run("peaks", 0.4, partial(latencies.peaks, device, clock, made.data["latency"]))
    made.run("students", 0.5, partial(trainings.students, device, clock, size))
    made.run("pictures", 0.55, pictures)
    made.run("tutorial", 0.75, partial(trained, trainings.tutorial))
    made.run("strong_teacher", 0.9, partial(trained, trainings.strong))
    made.run("resnets", 1.0, partial(trained, trainings.resnets))


def choose(name: str) -> torch.device:
    """The device, as `kdlab.devices.choose` does; its ValueError has torch's own reason where CUDA cannot be used."""
    try:
        return devices.choose(name)
    except ValueError as error:
        reason = ""
        if name.startswith("cuda"):
            try:
                torch.cuda.init()
            except (RuntimeError, AssertionError) as said:  # no driver, one that is too old, a torch without CUDA
                reason = f"; torch says: {first_line(said)}"
        raise ValueError(f"{error}{reason}") from None


if __name__ == "__main__":
    sys.exit(main())
