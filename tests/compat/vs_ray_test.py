"""Goal: `rayx microbenchmark --vs-ray` gives Ray's numbers beside its own, or says what is missing.

Method: the program that is compiled against both is compiled against RayX and run. With Ray itself,
which is 400 MB to install, where RAYX_TEST_RAY names a folder for it. VS_RAY_PLANTED_PROGRAM: the
same program, but what its tasks and actors return is wrong.
"""

import fcntl
import importlib.machinery
import importlib.util
import json
import os
import pathlib
import subprocess
import tempfile
import unittest
import unittest.mock

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

    @unittest.skipUnless(os.environ.get("VS_RAY_PLANTED_PROGRAM"), "no program with wrong results")
    def test_a_wrong_result_is_no_number(self):
        run_both = load_run_both()
        program = os.environ["VS_RAY_PLANTED_PROGRAM"]
        environment = run_both.RayX(self.folder, PREFIX).environment
        for name in (run_both.COLD_START, "single client tasks sync", "1:1 actor calls sync"):
            with self.assertRaisesRegex(run_both.Failure, r"vs_ray: got \d+, expected \d+"):
                run_both.measure("RayX", program, environment, [], [name], 0.05)

    def test_the_last_word_of_a_program_is_why_it_has_no_number(self):
        run_both = load_run_both()
        with self.assertRaisesRegex(run_both.Failure, "got 12, expected 13"):
            run_both.run(["/bin/sh", "-c", "echo vs_ray: got 12, expected 13 >&2; exit 1"], {},
                         [], 10)

    def test_neither_side_is_sent_to_a_cluster_of_the_users(self):
        run_both = load_run_both()
        seen = pathlib.Path(self.folder, "seen")
        users = {"RAY_ADDRESS": "192.0.2.1:6379", "RAYX_LOCAL_MODE": "1", "VS_RAY_BEGAN": "1"}
        with unittest.mock.patch.dict(os.environ, users):
            for given in ({}, {"RAY_ADDRESS": ""}):
                run_both.run(["/bin/sh", "-c", f"env >{seen}"], given, [], 10)
                entries = dict(line.split("=", 1) for line in seen.read_text().splitlines()
                               if line.startswith(("RAY", "VS_RAY")))
                del entries["VS_RAY_RESULTS"]
                self.assertEqual(entries, given)

    def test_only_an_unfinished_installation_of_its_own_is_removed(self):
        run_both = load_run_both()
        ray = run_both.Ray(self.folder)
        of_a_user = pathlib.Path(ray.venv, "file")
        of_a_user.parent.mkdir()
        of_a_user.touch()

        def fails(command, *_):
            pathlib.Path(ray.venv).mkdir()
            raise run_both.Failure("no network")

        with unittest.mock.patch.object(run_both, "logged", fails):
            with self.assertRaisesRegex(run_both.Failure, "is not of rayx: name another folder"):
                ray.install()
            self.assertTrue(of_a_user.exists())
            os.remove(of_a_user)
            os.rmdir(ray.venv)
            for _ in range(2):  # the second removes what the first has left
                with self.assertRaisesRegex(run_both.Failure, "no network"):
                    ray.install()
        installs = unittest.mock.Mock(side_effect=lambda *_: os.makedirs(ray.venv, exist_ok=True))
        with unittest.mock.patch.object(run_both, "logged", installs):
            ray.install()
            self.assertEqual(installs.call_count, 2)
            self.assertFalse(os.path.exists(ray.unfinished))
            ray.install()
            self.assertEqual(installs.call_count, 2)

    def test_two_runs_on_a_folder_take_turns(self):
        with open(f"{self.folder}/lock", "a", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with subprocess.Popen([RUN_BOTH, "run", "--folder", self.folder, "--prefix", PREFIX,
                                   "--seconds", "0.01", "--rows", "a row"], text=True,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as second:
                try:
                    self.assertIn("waiting for another run", second.stderr.readline())
                    fcntl.flock(lock, fcntl.LOCK_UN)
                    _, said = second.communicate(timeout=60)
                finally:
                    second.kill()
        # Nothing is prepared there, which is one sentence too.
        self.assertEqual(second.returncode, 1, said)
        self.assertIn("ray_rows_rayx", said)
        self.assertNotIn("Traceback", said)

    def test_what_does_not_run_or_end_is_said(self):
        run_both = load_run_both()
        with self.assertRaisesRegex(run_both.Failure, "bin/python does not run"):
            run_both.Ray(self.folder).cpp()
        with self.assertRaisesRegex(run_both.Failure, "the rows: no end in 0.1 s"):
            run_both.logged(["sleep", "60"], f"{self.folder}/log", "the rows", 0.1)

    def test_another_ray_that_rays_end_would_end_is_refused(self):
        run_both = load_run_both()
        raylet = pathlib.Path(self.folder, "12", "comm")
        raylet.parent.mkdir()
        raylet.write_text("raylet\n")
        owner = raylet.stat().st_uid
        for user, refused in ((owner, True), (0, True), (owner + 1, False)):
            with unittest.mock.patch("os.geteuid", return_value=user):
                if refused:
                    with self.assertRaisesRegex(run_both.Failure, "a Ray cluster runs .pid 12."):
                        run_both.refuse_beside_another_ray(self.folder)
                else:
                    run_both.refuse_beside_another_ray(self.folder)
        with unittest.mock.patch.object(run_both, "open", create=True,
                                        side_effect=ProcessLookupError):
            run_both.refuse_beside_another_ray(self.folder)

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
        mended = []
        self.assertEqual(run_both.measure(*arguments, tries=2, mend=lambda: mended.append(1)),
                         {"a row": [1, 2, 3]})
        self.assertEqual(mended, [1])  # what the first try has left is cleared away once

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
