"""Goal: every row of `rayx microbenchmark` runs, with results that were checked.

Method: the whole of it with as few samples as it takes, and rows by name.
"""

import json
import unittest

from vm import CliTest

SHORT = ("--seconds", "0.01", "--format", "json")
SECONDS_MAX = 240  # of all rows on a machine that has much else to do
QUEUED = "1,000,000 queued tasks"


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
                self.assertIn(row["unit"], ("us", "ms", "s", "B", "1/s", "GB/s"))
                self.assertGreater(row["limit"], 0)
                self.assertGreater(row["ratio"], 0)
                self.assertTrue(0 < row["p10"] <= row["median"] <= row["p90"], row)
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

    def test_the_table_shows_progress_apart(self):
        result = self.assert_ok(self.vm().run("microbenchmark", "3,000 returns", "--seconds",
                                              "0.01"))
        self.assertIn("[1/1] 3,000 returns of one task...", result.stderr)
        self.assertRegex(result.stdout, r"\n3,000 returns of one task +ms +\d")
        self.assertIn("limits of this run: ring round trip", result.stdout)


if __name__ == "__main__":
    unittest.main()
