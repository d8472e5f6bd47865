"""Goal: the report shows losses as plainly as wins, hides nothing that was removed, and is one file.
Method: a made-up result with every kind of verdict, a failed gate and an arm that was not run."""

import copy
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest

try:
    import jinja2  # noqa: F401
    import matplotlib  # noqa: F401
except ImportError as missing:
    print(f"not run: {missing}")
    sys.exit(77)

REPORT = os.path.join(os.path.dirname(__file__), "../../../bench/report/report.py")


def estimate(value):
    return {"median": value, "low": value * 0.9, "high": value * 1.1, "samples": [value]}


def row(arm, nodes, total):
    return {"arm": arm, "nodes": nodes, "repetitions": 3, "repetitions_removed": 0,
            "removed_because": [], "unrestricted": False, "total": estimate(total),
            "phases": {p: estimate(total / 4) for p in ("load", "preprocess", "train", "evaluate")},
            "start": estimate(5.0), "step_ms": estimate(7.0), "cpu_seconds": estimate(2.0),
            "peak_memory_bytes": estimate(5e8), "accuracy": 0.6,
            "loss_path": f"/gone/{arm}.n{nodes}.txt"}


def ratio(nodes, median, word):
    return {"ours": "rayx", "rival": "native-py", "nodes": nodes, "metric": "total",
            "median": median, "low": median * 0.97, "high": median * 1.03, "pairs": 3,
            "verdict": word}


ENVIRONMENT = {
    "time": "T", "cpu": "C", "cpus": 2, "cpu_flags": "avx2", "vm_cpus": 0.6,
    "vm_cpu_period_us": 10000, "simulated_vms": True, "command": "rayx-bench run <b>&",
    "noise": {"own_cpu_share": 0.5, "other_cpu_share": 0.3, "steal_share": 0.0},
}
WORKLOAD = {
    "workload": "w", "title": "A workload", "steps": 3, "shows_ratios": True,
    "all_gates_passed": True, "failures": [],
    "rows": [row(arm, n, 2.0) for n in (1, 2, 3) for arm in ("rayx", "native-py")],
    "ratios": [ratio(1, 1.25, "win"), ratio(2, 1.01, "no difference"), ratio(3, 0.8, "loss")],
}


class ReportTest(unittest.TestCase):
    def render(self, workload, complete=True):
        with tempfile.TemporaryDirectory() as folder:
            os.mkdir(os.path.join(folder, "loss"))
            for r in workload["rows"]:
                name = os.path.basename(r.get("loss_path", "none"))
                with open(os.path.join(folder, "loss", name), "w") as file:
                    file.write("0x1p+1\n0x1.8p+0\n0x1p+0\n")
            summary = {"schema": 1, "id": "ID", "suite": "quick", "complete": complete,
                       "workloads": [workload]}
            for name, value in (("env.json", ENVIRONMENT), ("summary.json", summary)):
                with open(os.path.join(folder, name), "w") as file:
                    json.dump(value, file)
            self.run_report(folder)
            with open(os.path.join(folder, "report.html")) as file:
                return file.read()

    def run_report(self, folder, exit_code=0):
        done = subprocess.run([sys.executable, REPORT, folder], capture_output=True, text=True)
        self.assertEqual(done.returncode, exit_code, done.stderr)
        return done.stderr

    def test_every_verdict_in_plain_words(self):
        page = self.render(WORKLOAD)
        for words in ("RayX 1.25× as fast", "no difference", "RayX takes 1.25× as long",
                      "The results are the same", "identical in every bit"):
            self.assertIn(words, page)

    def test_one_file_without_references_and_with_unique_ids(self):
        page = self.render(WORKLOAD)
        self.assertNotRegex(page, r'(src|href)="(?!#)')
        self.assertNotIn("<script", page)
        ids = re.findall(r'\sid="([^"]+)"', page)
        self.assertGreater(len(ids), 10)
        self.assertEqual(len(ids), len(set(ids)))
        self.assertIn("rayx-bench run &lt;b&gt;&amp;", page)

    def test_what_was_removed_or_not_run_is_said_first(self):
        workload = copy.deepcopy(WORKLOAD)
        removed = workload["rows"][0]
        for key in ("total", "phases", "step_ms", "cpu_seconds", "peak_memory_bytes", "accuracy",
                    "loss_path", "unrestricted"):
            del removed[key]
        removed.update(repetitions=0, repetitions_removed=3, removed_because=["the loss differs"])
        workload["all_gates_passed"] = False
        workload["ratios"][0].update(median=None, low=None, high=None, pairs=0)
        workload["failures"] = [{"arm": "serial", "nodes": 1, "why": "it died\nat length"}]
        page = self.render(workload, complete=False)
        self.assertIn("RayX on 1 VM: 3 removed: the loss differs", page)
        self.assertIn("not run: it died", page)
        self.assertIn("This run did not finish", page)
        self.assertNotIn("The results are the same", page)
        self.assertNotIn("RayX 1.25× as fast", page)

    def test_a_damaged_result_is_an_error_that_names_the_file(self):
        with tempfile.TemporaryDirectory() as folder:
            self.assertIn("env.json", self.run_report(folder, exit_code=1))


if __name__ == "__main__":
    unittest.main()
