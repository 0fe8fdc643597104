"""The machine, and what else it does meanwhile."""
import os
import pathlib
import platform
import re

KNOWN = ["avx2", "fma", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8", "asimd", "sve", "bf16"]


def cores():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def cpu():
    """Model and features, as far as the system tells."""
    try:
        text = pathlib.Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine(), set()
    model = re.search(r"^(?:model name|Model)\s*:\s*(.*)$", text, re.M)
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.*)$", text, re.M)
    return model[1] if model else platform.machine(), set(flags[1].split()) if flags else set()


def describe():
    model, flags = cpu()
    load = f", load {os.getloadavg()[0]:.1f} before the run" if hasattr(os, "getloadavg") else ""
    return (f"{model}, {cores()} cores, {platform.machine()} {platform.system()}, "
            f"{' '.join(f for f in KNOWN if f in flags) or 'features unknown'}{load}")


def no_bf16(isa_limit):
    """Why bf16 peers are left out, or None."""
    if isa_limit:
        return f"{isa_limit} has no bf16 units"
    if not cpu()[1] & {"avx512_bf16", "amx_bf16", "bf16"}:
        return "the processor has no bf16 units"
    return None


class Others:
    """The part of the machine that processes other than ours took, or the host; None where the system does not tell."""

    def __enter__(self):
        self.before = self.now()
        return self

    def __exit__(self, *_):
        self.share = None
        if self.before and (after := self.now()):
            total, busy, ours = (b - a for a, b in zip(self.before, after))
            self.share = max(0.0, busy - ours) / total if total else None

    @staticmethod
    def now():
        """Seconds of all cores together: passed, busy, of our children."""
        try:
            ticks = [int(n) for n in pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        except OSError:
            return None
        second, times = os.sysconf("SC_CLK_TCK"), os.times()
        idle = ticks[3] + ticks[4]  # and waiting for disks
        return sum(ticks) / second, (sum(ticks) - idle) / second, times.children_user + times.children_system
