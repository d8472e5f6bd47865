"""Goal: bench/performance/generate writes what was measured, and says what was not and why.

Method: its parts, with made-up programs in place of those that measure. CALL_COSTS: the one that
counts, for the words that it does not know.
"""

import importlib.machinery
import importlib.util
import json
import os
import stat
import subprocess
import tempfile
import unittest

CHECKOUT = os.path.realpath(f"{os.path.dirname(os.path.abspath(__file__))}/../../..")


def load():
    loader = importlib.machinery.SourceFileLoader("generate",
                                                  f"{CHECKOUT}/bench/performance/generate")
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("generate", loader))
    loader.exec_module(module)
    return module


GENERATE = load()
ANNOTATED = """\
Ir
1,234,000 (100.0%)  PROGRAM TOTALS
Ir                 file:function
  800,000 (64.8%)  ???:rayx::client::ClusterClient::SubmitTask(unsigned long, int) [/x/librayx.so]
  300,000 (24.3%)  ./string/memmove.S:__memcpy_avx_unaligned [/usr/lib/libc.so.6]
  100,000 ( 8.1%)  ???:rayx::client::ClusterClient::SubmitTask(int)::{lambda()#1}::operator()() [/x]
    34,000 ( 2.8%)  calls.cc:std::vector<int, std::allocator<int> >::resize(unsigned long) [/x/y]
"""


class Program:
    """A program of our own that takes another's place."""

    def __init__(self, test, name, script):
        folder = tempfile.TemporaryDirectory()
        test.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.path = f"{self.folder}/{name}"
        with open(self.path, "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\n" + script)
        os.chmod(self.path, stat.S_IRWXU)

    @staticmethod
    def found_first(test, *programs):
        """By their names, until the test's end."""
        path = os.environ["PATH"]
        test.addCleanup(os.environ.__setitem__, "PATH", path)
        os.environ["PATH"] = ":".join([*(program.folder for program in programs), path])


class Performance(unittest.TestCase):
    def test_points_that_fail_say_why_and_the_others_stand(self):
        program = Program(self, "call_costs",
                          'if [ "$2" -gt 8 ]; then echo no workers >&2; exit 1; fi\n'
                          'echo "1.5 $2"\n')
        text = GENERATE.workers(program.path)
        self.assertIn("| 8 | 1.5 | 8 |", text)
        self.assertIn("| 16 | not run: workers 16: no workers |  |", text)

    def test_rows_without_numbers_keep_their_reason(self):
        row = {"name": "a", "unit": "us", "median": 1234.5, "p10": 1, "p90": 2, "limit": 0.5,
               "ratio": 2469}
        without = {"name": "b", "unit": "s", "median": None, "p10": None, "p90": None,
                   "limit": None, "ratio": None, "not_run": "no root"}
        env = {"ring_round_trip_us": 0.1, "fork_us": 400, "warm_memcpy_gb_per_s": 5,
               "warm_read_gb_per_s": 10, "remark": "remark: the machine was busy"}
        failed = dict(without, name="c", failed="got 1, expected 2")
        del failed["not_run"]
        text = json.dumps({"schema": 1, "env": env, "rows": [row, without, failed]})
        # A failed row is the program's exit code, and the others stand.
        program = Program(self, "rayx", f"cat <<'END'\n{text}\nEND\necho '[1/3] a...' >&2\n"
                                        "exit 1\n")
        table = GENERATE.microbenchmark(program.path, "", None, None)
        self.assertIn("| a | us | 1,230 | 1 | 2 | 0.5 | 2,470 |", table)
        self.assertIn("| b | s | not run: no root |  |  |  |  |", table)
        self.assertIn("| c | s | FAILED: got 1, expected 2 |  |  |  |  |", table)
        self.assertIn("\nRemark: the machine was busy.\n", table)
        self.assertNotIn("Ray", table.replace("RayX", ""))
        broken = Program(self, "rayx", "echo 'no such row' >&2; exit 2\n")
        with self.assertRaisesRegex(GENERATE.NotRun, "rayx microbenchmark: no such row"):
            GENERATE.microbenchmark(broken.path, "", None, None)

    def test_other_text_than_rows_costs_no_other_section(self):
        for text in ("Killed", "[]", "{}", '{"env": {}, "rows": [1]}'):
            program = Program(self, "rayx", f"echo '{text}'\n")
            with self.assertRaisesRegex(GENERATE.NotRun, "rayx microbenchmark said something else"):
                GENERATE.microbenchmark(program.path, "", None, None)

    def test_numbers_have_three_digits_and_no_exponent(self):
        for value, text in ((None, "-"), (0, "0"), (0.00005, "0.00005"), (0.0001234, "0.000123"),
                            (1.5, "1.5"), (99.96, "100"), (999.4, "999"), (999.7, "1,000"),
                            (1234.5, "1,230"), (12345678, "12,300,000")):
            self.assertEqual(GENERATE.rounded(value), text)

    @unittest.skipUnless(os.environ.get("CALL_COSTS"), "CALL_COSTS names no program")
    def test_unknown_words_are_not_counted(self):
        for words, why in ((("asynk", "get"), "no kind is named asynk"),
                           (("sync", "gets"), "no stage is named gets")):
            done = subprocess.run([os.environ["CALL_COSTS"], "stages", *words], timeout=30,
                                  capture_output=True, text=True)
            self.assertEqual((done.returncode, done.stdout), (2, ""))
            self.assertIn(why, done.stderr)

    def test_rays_numbers_have_columns_when_they_are_asked_for(self):
        beside = {"median": 550, "p10": 500, "p90": 600, "same_source": 5.5, "times": 100}
        row = {"name": "a", "unit": "us", "median": 4.5, "p10": 1, "p90": 2, "limit": 0.5,
               "ratio": 9}
        env = {"ring_round_trip_us": 0.1, "fork_us": 400, "warm_memcpy_gb_per_s": 5,
               "warm_read_gb_per_s": 10, "ray_release": "2.58.0"}
        rows = [dict(row, ray=beside), dict(row, name="b")]
        text = json.dumps({"schema": 1, "env": env, "rows": rows})
        program = Program(self, "rayx", 'test "$4 $5 $6" = "--vs-ray --ray-folder /f" || exit 1\n'
                                        f"cat <<'END'\n{text}\nEND\n")
        table = GENERATE.microbenchmark(program.path, "", None, "/f")
        self.assertIn("| Ray 2.58.0 | its program on RayX | times Ray |", table)
        self.assertIn("| a | us | 4.5 | 1 | 2 | 0.5 | 9 | 550 | 5.5 | 100 |", table)
        self.assertIn("| b | us | 4.5 | 1 | 2 | 0.5 | 9 |  |  |  |", table)

    def test_a_section_that_cannot_be_had_says_why(self):
        def fails():
            raise GENERATE.NotRun("no valgrind here")
        self.assertEqual(GENERATE.section("Stages", fails),
                         "## Stages\n\nnot run: no valgrind here\n\n")

    def test_instructions_are_of_one_call(self):
        annotate = Program(self, "callgrind_annotate", f"cat <<'END'\n{ANNOTATED}END\n")
        Program.found_first(self, annotate)
        each, dearest = GENERATE.counted("/nowhere", 1000)
        self.assertEqual(each, 1234)
        self.assertEqual(dearest, [(900, "client::ClusterClient::SubmitTask"),
                                   (300, "__memcpy_avx_unaligned"),
                                   (34, "std::vector<>::resize")])

    def test_of_more_workers_and_calls_each_stage_is_counted(self):
        # Its last words are: growth, workers, pending.
        valgrind = Program(self, "valgrind",
                           'for each; do a=$b; b=$each; done\n'
                           'if [ "$a" = 64 ]; then echo no memory >&2; exit 1; fi\n'
                           'echo 1000\n')
        annotate = Program(self, "callgrind_annotate",
                           'echo "${2##*.},000 (100.0%)  PROGRAM TOTALS"\n')
        Program.found_first(self, valgrind, annotate)
        text = GENERATE.growth("call_costs_counted")
        self.assertIn("| workers | pending | `Remote` | `Get` | the reference's end |", text)
        self.assertIn("| 1 | 1,000,000 | 1 | 2 | 3 |", text)
        self.assertIn("| 64 | 1,000 | not run: growth 64 1000 under callgrind: no memory |  |  |",
                      text)


if __name__ == "__main__":
    unittest.main()
