"""Goal: `rayx microbenchmark --vs-ray` gives Ray's numbers beside its own, or says what is missing.

Method: the program that is compiled against both is compiled against RayX and run. With Ray itself,
which is 400 MB to install, where RAYX_TEST_RAY names a folder for it.
"""

import importlib.machinery
import importlib.util
import json
import os
import pathlib
import subprocess
import tempfile
import unittest

RAYX = os.environ["RAYX_BIN"]
PREFIX = os.path.dirname(os.path.dirname(RAYX))
RUN_BOTH = f"{PREFIX}/libexec/rayx/vs_ray/run_both"
# pip finds no package anywhere.
NO_INDEX = {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "",
            "PIP_INDEX_URL": "", "PIP_EXTRA_INDEX_URL": ""}


def load_run_both():
    loader = importlib.machinery.SourceFileLoader("run_both", RUN_BOTH)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("run_both", loader))
    loader.exec_module(module)
    return module


def microbenchmark(*arguments, **environment):
    return subprocess.run([RAYX, "microbenchmark", "--seconds", "0.01", "--format", "json",
                           *arguments], capture_output=True, text=True, timeout=800,
                          env={**os.environ, **environment})


class VsRay(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="vsraytest")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def test_the_rows_compile_against_rayx_and_have_checked_numbers(self):
        run_both = load_run_both()
        rayx = run_both.RayX(self.folder, PREFIX)
        rayx.compile(os.environ.get("CXX", "c++"))
        names = run_both.rows()
        self.assertIn("single client tasks sync", names)
        samples = run_both.measure("RayX", rayx.program, rayx.environment, [], names, 0.05)
        self.assertEqual(set(samples), set(names))
        for name, values in samples.items():
            self.assertGreaterEqual(len(values), 3, name)
            self.assertGreater(min(values), 0, name)

    def test_rows_have_names_of_the_microbenchmark(self):
        listed = microbenchmark("no such row")
        for name in load_run_both().rows():
            self.assertIn(f"  {name}\n", listed.stderr)

    def test_without_an_index_it_says_so_before_anything_is_measured(self):
        result = microbenchmark("1:1 actor calls sync", "--vs-ray", "--ray-folder", self.folder,
                                **NO_INDEX)
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertIn("Ray 2.58.0 cannot be installed; is there a network", result.stderr)
        self.assertIn(f"{self.folder}/install.log", result.stderr)
        self.assertNotIn("[1/1]", result.stderr)

    def test_what_cannot_be_is_said(self):
        none = microbenchmark("chain of 10,000", "--vs-ray", "--ray-folder", self.folder)
        self.assertEqual(none.returncode, 1)
        self.assertIn("Ray's C++ API has none of these rows", none.stderr)
        alone = microbenchmark("chain of 10,000", "--ray-folder", self.folder)
        self.assertEqual(alone.returncode, 2)
        homeless = microbenchmark("1:1 actor calls sync", "--vs-ray", HOME="", XDG_CACHE_HOME="")
        self.assertEqual(homeless.returncode, 1)
        self.assertIn("name a folder with --ray-folder", homeless.stderr)
        file = microbenchmark("1:1 actor calls sync", "--vs-ray", "--ray-folder",
                              f"{__file__}/below", **NO_INDEX)
        self.assertEqual(file.returncode, 1)
        self.assertIn("cannot be made", file.stderr)

    def test_a_wrong_result_is_no_number(self):
        run_both = load_run_both()
        with self.assertRaisesRegex(run_both.Failure, "got 12, expected 13"):
            run_both.run(["/bin/sh", "-c", "echo vs_ray: got 12, expected 13 >&2; exit 1"], {},
                         [], 10)

    def test_a_failure_says_what_matters_and_is_tried_again_when_it_is_rays(self):
        run_both = load_run_both()
        self.assertEqual(run_both.reason(["[2026 C 1 1] a.cc:1: no raylet", "[0x12] main", "x"]),
                         "[2026 C 1 1] a.cc:1: no raylet")
        self.assertEqual(run_both.reason(["one", "two"]), "one | two")
        script = pathlib.Path(self.folder, "program")
        script.write_text(f"#!/bin/sh\nif mkdir {self.folder}/once 2>/dev/null; then exit 1; fi\n"
                          'printf "a row\\t1 2 3 \\n" >$VS_RAY_RESULTS\n')
        script.chmod(0o700)
        arguments = ("Ray", str(script), lambda scratch: {}, [], ["a row"], 1)
        with self.assertRaisesRegex(run_both.Failure, r"program failed \(1\)"):
            run_both.measure(*arguments)
        os.rmdir(f"{self.folder}/once")
        self.assertEqual(run_both.measure(*arguments, tries=2), {"a row": [1, 2, 3]})

    @unittest.skipUnless(os.environ.get("RAYX_TEST_RAY"), "RAYX_TEST_RAY names no folder for Ray")
    def test_rays_numbers_stand_beside_rayxs(self):
        name = "1:1 actor calls sync"
        result = microbenchmark(name, "--vs-ray", "--ray-folder", os.environ["RAYX_TEST_RAY"])
        self.assertEqual(result.returncode, 0, result.stderr)
        document = json.loads(result.stdout)
        self.assertEqual(document["env"]["ray_release"], "2.58.0")
        (row,) = document["rows"]
        self.assertEqual(row["name"], name)
        self.assertGreater(row["ray"]["median"], row["ray"]["same_source"])
        self.assertAlmostEqual(row["ray"]["times"],
                               row["ray"]["median"] / row["ray"]["same_source"], 3)


if __name__ == "__main__":
    unittest.main()
