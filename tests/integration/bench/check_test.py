"""Goal: `rayx-bench check` passes with the arms as they are, and ends with exit code 1 and the name
of the gate when an arm works wrongly.
Method: the real arms on the real data. The errors are planted by a program that stands in the place
of an arm's (planted_arm.py) in a build folder made of links: rayx-bench itself knows nothing of it.

    check_test.py BIN_FOLDER all|planted
"""

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import unittest

BIN = os.path.abspath(sys.argv.pop(1))
PART = sys.argv.pop(1)
HERE = os.path.dirname(os.path.abspath(__file__))
TIMEOUT_S = 500


def not_run(why):
    print(f"not run: {why}", flush=True)
    raise unittest.SkipTest(why)


def check(bench, results, *options):
    return subprocess.run([bench, "check", f"--results={results}", *options], text=True,
                          timeout=TIMEOUT_S, capture_output=True)


def check_with_data(bench, results, *options):
    """What is missing is brought by the command that rayx-bench names; without a network the test
    cannot be run, but where the data are, a failure is a failure."""
    done_before = set()
    while True:
        done = check(bench, results, *options)
        missing = re.search(r"are missing: .*; `rayx-data (.*)` brings them", done.stderr)
        if not missing or missing.group(1) in done_before:
            return done
        done_before.add(missing.group(1))
        brought = subprocess.run([f"{BIN}/rayx-data", *shlex.split(missing.group(1))], text=True,
                                 timeout=TIMEOUT_S, capture_output=True)
        if brought.returncode != 0:
            last = (brought.stderr.strip() or brought.stdout.strip() or "no message").splitlines()
            not_run(f"rayx-data {missing.group(1)} failed: {last[-1]}")


class Folders:
    """A build folder of links with one program replaced, and room for results. Beside the real one:
    it must be visible in simulated VMs."""

    def __init__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="check-test-", dir=os.path.dirname(BIN))
        self.root = self._folder.name
        self.bench = f"{self.root}/bin/rayx-bench"
        self.results = f"{self.root}/results"
        os.makedirs(f"{self.root}/bin/bench")
        # Found by where it lies, so that it must be no symbolic link.
        os.link(f"{BIN}/rayx-bench", self.bench)
        for name in ("rayx", "rayx-vm-init"):
            os.symlink(f"{BIN}/{name}", f"{self.root}/bin/{name}")

    def replace(self, program, plant):
        with open(f"{self.root}/bin/bench/{program}", "w") as file:
            file.write("#!/bin/sh\nexec " + shlex.join(
                [sys.executable, f"{HERE}/planted_arm.py", plant, f"{BIN}/bench/{program}"]) +
                ' "$@"\n')
        os.chmod(file.name, 0o755)

    def failed_gates(self):
        """Of the arm rayx: the names of those that failed, and of those that did not."""
        (result,) = os.listdir(self.results)
        failed, passed = set(), set()
        with open(f"{self.results}/{result}/runs.jsonl") as file:
            for line in map(json.loads, file):
                if line["kind"] == "rep" and line["arm"] == "rayx":
                    for gate in line["gates"]:
                        (passed if gate["passed"] else failed).add(gate["name"])
        return failed, passed

    def close(self):
        self._folder.cleanup()


class AllGates(unittest.TestCase):
    """A torchrun launch takes as long as all the rest: `rayx-bench check` by hand has all workloads
    and arms, here are results that a serial program can judge, and one training; of each what a
    machine can have with no more than third_party/install."""

    def check_passes(self, *options):
        with tempfile.TemporaryDirectory(prefix="check-test-") as results:
            done = check_with_data(f"{BIN}/rayx-bench", results, *options)
            print(done.stdout, done.stderr, flush=True)
            if "only one VM, without quota" in done.stdout:
                not_run("simulated VMs cannot be made here")
            self.assertEqual(done.returncode, 0)
            self.assertNotIn("NOT COMPARED", done.stdout)
            self.assertNotIn("NOT RUN", done.stdout)
            for nodes in ("1 VM ", "2 VMs", "3 VMs"):
                self.assertRegex(done.stdout, rf"rayx +{nodes}  all gates passed")
            # In a pipe, too, the table comes before what the report's program says.
            self.assertLess(done.stdout.index("all gates passed"), done.stdout.index("report: "))

    def test_results_on_one_two_and_three_vms(self):
        for workload in ("kmeans-blobs", "pagerank", "etl"):
            with self.subTest(workload):
                self.check_passes(f"--workload={workload}", "--arm=rayx,serial", "--nodes=1,2,3")

    def test_training_on_one_two_and_three_vms(self):
        self.check_passes("--workload=fmnist-mlp", "--arm=rayx,native-py", "--nodes=1,2,3")


class Planted(unittest.TestCase):
    def run_planted(self, workload, program, plant):
        folders = Folders()
        self.addCleanup(folders.close)
        folders.replace(program, plant)
        done = check_with_data(folders.bench, folders.results, f"--workload={workload}",
                               "--arm=rayx,serial", "--nodes=1")
        print(done.stdout, done.stderr, flush=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn("GATE FAILED", done.stdout)
        self.assertIn("not every gate passed", done.stderr)
        self.assertRegex(done.stdout, r"rayx +1 VM   GATE FAILED")
        self.assertNotRegex(done.stdout, r"serial +1 VM   GATE FAILED")
        return folders.failed_gates()

    def test_a_wrong_row(self):
        failed, passed = self.run_planted("kmeans-blobs", "kmeans", "row")
        self.assertIn("dataset", failed)
        self.assertIn("inertia", failed)  # also an arm that lied about its data would be found
        self.assertIn("steps", passed)

    def test_another_seed(self):
        failed, passed = self.run_planted("kmeans-blobs", "kmeans", "seed")
        self.assertIn("assignment", failed)
        self.assertTrue({"dataset", "steps"} <= passed)

    def test_a_skipped_batch(self):
        failed, passed = self.run_planted("fmnist-mlp", "fmnist_mlp", "batch")
        self.assertIn("loss trace", failed)
        self.assertIn("weights", failed)
        self.assertTrue({"dataset", "steps", "features", "loss complete"} <= passed)

    def test_no_scenario_leaves_the_workloads(self):
        done = subprocess.run([f"{BIN}/rayx-bench", "run", "--scenario=none", "--arm=nobody"],
                              text=True, timeout=TIMEOUT_S, capture_output=True)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("has no arm 'nobody'", done.stderr)


if __name__ == "__main__":
    for needed in ("rayx-bench", "rayx-data", "rayx", "bench/kmeans", "bench/fmnist_mlp"):
        if not os.path.exists(f"{BIN}/{needed}"):
            print(f"not run: {needed} is not built (it needs LibTorch and Arrow)")
            sys.exit(77)
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(
        {"all": AllGates, "planted": Planted}[PART])
    result = unittest.TextTestRunner(verbosity=2).run(suite)
    sys.exit(77 if result.wasSuccessful() and result.skipped else not result.wasSuccessful())
