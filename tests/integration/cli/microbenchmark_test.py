"""Goal: every row of `rayx microbenchmark` runs, with results that were checked.

Method: the whole of it with as few samples as it takes, and rows by name.
"""

import json
import os
import subprocess
import unittest
import uuid

from vm import RAYX, ROOT, CliTest, pids, read, state_of, wait_until

SHORT = ("--seconds", "0.01", "--format", "json")
SECONDS_MAX = 240  # of all rows on a machine that has much else to do
QUEUED = "1,000,000 queued tasks"


def environment_of(pid):
    return read(f"/proc/{pid}/environ").split(b"\0")


def processes_with(mark):
    return [pid for pid in pids()
            if mark.encode() in environment_of(pid) and state_of(pid) not in ("Z", "X", "")]


def nodes_with(mark):
    return [pid for pid in processes_with(mark) if read(f"/proc/{pid}/comm") == b"rayx-node\n"]


def session_folder(pid):
    """Of a process on this machine itself; nothing for those in VMs, which have their own /tmp."""
    (folder,) = [each for each in environment_of(pid) if each.startswith(b"RAYX_SESSION_DIR=")]
    folder = folder.decode().partition("=")[2]
    return folder if os.path.exists(folder) else None


class Microbenchmark(CliTest):
    def rows(self, vm, *arguments):
        result = self.assert_ok(vm.run("microbenchmark", *arguments, timeout=SECONDS_MAX))
        document = json.loads(result.stdout)
        self.assertEqual(document["schema"], 1)
        return {row["name"]: row for row in document["rows"]}

    def test_every_row_has_its_numbers(self):
        vm = self.vm()
        rows = self.rows(vm, *SHORT)
        for row in rows.values():
            with self.subTest(row["name"]):
                if "not_run" in row:
                    print(f"{row['name']}: not run: {row['not_run']}")
                    self.assertIsNone(row["median"])
                    continue
                self.assertEqual(set(row), {"name", "unit", "median", "p10", "p90", "limit",
                                            "ratio"})
                self.assertIn(row["unit"], ("us", "ms", "s", "B", "MB", "1/s", "GB/s"))
                self.assertGreater(row["limit"], 0)
                self.assertGreater(row["ratio"], 0)
                self.assertTrue(0 < row["p10"] <= row["median"] <= row["p90"], row)
        # Where VMs can be simulated, contents were compared between them.
        for name in ("transfer 256 MiB between 2 VMs, TLS",
                     "broadcast of 256 MiB to 4 VMs, links of 1 Gbit/s"):
            self.assertIn(name, rows)
        for name in ("single client tasks sync", "n:n actor calls with arg async",
                     "cold start until the first task returns",
                     f"{QUEUED} in a fresh program: driver memory of each"):
            self.assertIsNotNone(rows[name]["median"], name)
        # One sample: the whole is its parts.
        parts = [rows[f"{QUEUED}: {part}"]["median"] for part in ("submit", "drain")]
        self.assertAlmostEqual(rows[f"{QUEUED}: submit + drain"]["median"], sum(parts), 6)
        self.assert_nothing_left(vm)

    def test_no_call_there_and_back_is_faster_than_the_limit(self):
        rows = self.rows(self.vm(), "single client tasks sync", "--seconds", "0.3",
                         "--format", "json")
        self.assertEqual(list(rows), ["single client tasks sync"])
        self.assertGreaterEqual(rows["single client tasks sync"]["ratio"], 1, rows)

    def test_rows_are_chosen_by_a_part_of_their_names_or_by_a_whole_one(self):
        vm = self.vm()
        self.assertEqual(list(self.rows(vm, "--only", "chain of", *SHORT)),
                         ["chain of 10,000 dependent tasks"])
        # A row's figures come together.
        self.assertEqual(list(self.rows(vm, "--only", "beside 1 busy process: p99", *SHORT)),
                         [f"single client tasks sync beside 1 busy process{figure}"
                          for figure in ("", ": mean", ": p99")])
        several = self.rows(vm, "objects in one get", *SHORT)
        self.assertEqual(list(several), ["10,000 objects in one get"])
        self.assert_fails(vm.run("microbenchmark", "chain", "--only", "tree"), "exclude each other",
                          code=2)
        self.assert_nothing_left(vm)

    def test_a_cluster_that_is_not_there_is_told_before_anything_is_measured(self):
        for address, why in (("garbage", "expected ip:port"), ("127.0.0.1:1", "127.0.0.1:1")):
            result = self.vm().run("microbenchmark", "--only", "put", "--address", address, *SHORT)
            self.assertEqual(result.returncode, 1, result.stdout)
            self.assertIn(why, result.stderr)
            self.assertNotIn("measuring", result.stderr)

    @unittest.skipUnless(ROOT, "needs another user")
    def test_rows_between_vms_are_not_run_without_the_right_to_make_them(self):
        result = subprocess.run([RAYX, "microbenchmark", "VMs", *SHORT], capture_output=True,
                                text=True, timeout=SECONDS_MAX, user=65534, group=65534,
                                extra_groups=[])
        rows = json.loads(self.assert_ok(result).stdout)["rows"]
        self.assertEqual(len(rows), 7, rows)
        for row in rows:
            self.assertIn("need root", row["not_run"])
            self.assertIsNone(row["limit"])

    @unittest.skipUnless(ROOT, "simulated VMs need root")
    def test_nothing_is_left_of_what_a_killed_one_has_started(self):
        for row in ("broadcast of 256 MiB to 2 VMs", "idle footprint"):
            with self.subTest(row):
                mark = f"MICROBENCHMARK_TEST={uuid.uuid4()}"
                environment = dict([mark.split("=")], **self.vm().environment)
                program = subprocess.Popen([RAYX, "microbenchmark", row], env=environment,
                                           stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
                self.addCleanup(program.communicate)
                self.addCleanup(program.kill)
                if not wait_until(lambda: nodes_with(mark), 60):
                    program.kill()
                    self.skipTest(program.communicate()[1].decode())
                folders = set(filter(None, map(session_folder, nodes_with(mark))))
                program.kill()
                self.assertTrue(wait_until(lambda: not processes_with(mark), 20),
                                [read(f"/proc/{pid}/cmdline") for pid in processes_with(mark)])
                self.assertEqual([each for each in folders if os.path.exists(each)], [])

    def test_the_table_shows_progress_apart(self):
        result = self.assert_ok(self.vm().run("microbenchmark", "3,000 returns", "--seconds",
                                              "0.01"))
        self.assertIn("[1/1] 3,000 returns of one task...", result.stderr)
        self.assertRegex(result.stdout, r"\n3,000 returns of one task +ms +\d")
        self.assertIn("limits of this run: ring round trip", result.stdout)


if __name__ == "__main__":
    unittest.main()
