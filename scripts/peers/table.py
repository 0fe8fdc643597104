"""What was measured, as tables."""
import statistics

from . import ROWS

# Above this an engine does not compute the same thing. Ours in f32: rounding, Winograd. Else: bf16 through a hundred drawn layers
# (0.16 in MobileNetV2), or a peer's large tiles; features in another order are off by about 1.
OURS_IN_F32, OTHERS = 1e-4, 0.3
# A peer is exact enough beside ours with at most so many times our error.
EXACT = 10
# Less than this is not to be had in f32 through so many layers; where ours is what the others are compared with, its own is 0.
LEAST_ERROR = 5e-7


class Row:
    """All rounds of one engine on one base."""

    def __init__(self, name, runs, difference):
        self.name, self.runs, self.difference = name, runs, difference
        self.kind, self.last = runs[-1]["class"], runs[-1]
        self.best, self.median = max(r["best"] for r in runs), statistics.median(r["median"] for r in runs)
        self.peak = max(r["peak"] for r in runs)
        self.latency = min(r.get("latency", 0) for r in runs)
        self.process = max(r.get("process", 0) for r in runs)
        self.others = min((r["others"] for r in runs if r.get("others") is not None), default=None)

    def differs(self):
        limit = OTHERS if self.name in ROWS or self.kind == "bf16" else OURS_IN_F32
        return self.difference is not None and not (isinstance(self.difference, float) and self.difference <= limit)

    def off_by(self):
        if not isinstance(self.difference, float):
            return self.difference or "-"
        return f"{self.difference:.1e}" + (" DIFFERS" if self.differs() else "")

    def one(self):
        return f"{self.latency * 1e3:.1f} ms" if self.latency else "-"


class Table:
    """The rows of one base."""

    def __init__(self, log, base):
        runs, of_base = {}, [line for line in log if line.get("base") == base]
        for line in of_base:
            if "best" in line:
                runs.setdefault(line["name"], []).append(line)
        differences = {line["name"]: line["difference"] for line in of_base if "difference" in line}
        key = lambda name: name.removeprefix("kernels-").removeprefix("extract-")
        self.rows = [Row(name, found, differences.get(key(name))) for name, found in runs.items()]
        self.base = base
        self.reference = next((line["reference"] for line in reversed(of_base) if line.get("reference")), None)
        self.peers = [row for row in self.rows if row.name in ROWS]
        self.kernels = [row for row in self.rows if row.name.startswith("kernels")]
        self.programs = [row for row in self.rows if row.name.startswith("extract")]

    def rivals(self, row):
        """The fastest peer of at most ten times the row's error, and the fastest of all. In bf16 an f32 peer counts too."""
        peers = [peer for peer in self.peers if peer.kind in ("f32", row.kind) and not peer.differs()]
        error = row.difference if isinstance(row.difference, float) else 0.0
        exact = [p for p in peers if isinstance(p.difference, float) and p.difference <= EXACT * max(error, LEAST_ERROR)]
        return [max(some, key=lambda peer: peer.best, default=None) for some in (exact, peers)]

    def ratios(self, row):
        return [f"{row.best / rival.best:.2f}" if rival else "-" for rival in self.rivals(row)]

    def print(self, version):
        for kind in ("f32", "bf16"):
            print(f"\n{kind:28} {'version':>21} {'images/s':>9} {'median':>7} {'1 image':>9} {'peak':>6} {'others':>6} "
                  f"{'exact':>6} {'all':>6} {'off by':>8}")
            peers = sorted((row for row in self.peers if row.kind == kind), key=lambda row: -row.best)
            ours = sorted((row for row in self.kernels if row.kind == kind), key=lambda row: -row.best)
            for row in peers + ours:
                exact, fastest = ("", "") if row in peers else self.ratios(row)
                print(f"{row.name:28} {row.last.get('version', version):>21} {row.best:9.2f} {row.median:7.2f} {row.one():>9} "
                      f"{row.peak / 1e6:6.0f} {percent(row.others):>6} {exact:>6} {fastest:>6} {row.off_by():>8}")
            if not peers:
                print("no peer ran in this class")
        self.print_programs()
        self.print_rivals()
        if self.reference:
            what = "the base in f64" if self.reference == "f64" else f"extract with {self.reference}"
            print(f"\noff by: against {what}; a row of kernels has the difference of extract's features with that ISA and precision")

    def print_programs(self):
        if not self.programs:
            return
        print(f"\n{'whole program':28} {'photographs':>11} {'images/s':>9} {'median':>7} {'with start':>10} {'of kernels':>10} {'peak':>6}"
              f" {'others':>6} {'exact':>6} {'all':>6}")
        for row in self.programs:
            base = next((k for k in self.kernels if k.name == row.name.replace("extract", "kernels")), None)
            share = f"{row.median / base.median:.0%}" if base else "-"
            exact, fastest = self.ratios(row)
            print(f"{row.name:28} {row.last['rows']:11} {row.best:9.2f} {row.median:7.2f} {row.process:10.2f} {share:>10} "
                  f"{row.peak / 1e6:6.0f} {percent(row.others):>6} {exact:>6} {fastest:>6}   {', '.join(row.last['algorithms'])}")
        print("with start: rows by the whole process's time; of kernels: medians, extract's against the base's alone")

    def print_rivals(self):
        """Which peers the ratios are against."""
        lines = []
        for row in self.kernels:
            for rival, what in zip(self.rivals(row), (f"of at most {EXACT} times its error", "of all")):
                if rival:
                    own = statistics.median(a["best"] / b["best"] for a, b in zip(row.runs, rival.runs))
                    lines.append(f"{row.name:28} {row.best / rival.best:5.2f} x the fastest peer {what}: {rival.name} "
                                 f"({ROWS[rival.name][1]}); median of the rounds' own ratios {own:.2f}")
                else:
                    lines.append(f"{row.name:28} no peer {what}")
        if lines:
            print("\n" + "\n".join(lines))


def print_summary(tables):
    """Ours beside the peers, a line a base and precision."""
    print(f"\n{'base':20} {'ours':28} {'images/s':>9} {'1 image':>9} {'peak':>6} {'off by':>8}  "
          f"{'exact':>6} {'peer':32} {'all':>6} peer")
    for table in tables:
        for row in table.kernels:
            cells = [(ratio, f"{rival.name} {rival.best:.1f} ({rival.off_by()})" if rival else "-")
                     for ratio, rival in zip(table.ratios(row), table.rivals(row))]
            print(f"{table.base:20} {row.name.removeprefix('kernels-'):28} {row.best:9.2f} {row.one():>9} {row.peak / 1e6:6.0f} "
                  f"{row.off_by():>8}  {cells[0][0]:>6} {cells[0][1]:32} {cells[1][0]:>6} {cells[1][1]}")


def print_left_out(left_out, notes):
    if left_out:
        print("\nnot measured")
        for name, why in left_out.items():
            print(f"  {name:28} {why}")
    for note in notes:
        print(f"  {note}")


def percent(part):
    return "-" if part is None else f"{part:.0%}"
