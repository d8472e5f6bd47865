"""Goal: whatever dies, all of its cluster ends, and people are told why.

Method: daemons, supervisors and drivers are killed or frozen.
"""

import json
import os
import signal
import subprocess
import time
import unittest

from vm import RAYX, CliTest, wait_until


class Crashes(CliTest):
    def kill_one(self, name, what):
        vm = self.vm()
        session = self.start_head(vm)
        pid = session[name]["pid"]
        os.kill(pid, signal.SIGKILL)
        started = time.monotonic()
        self.assertTrue(wait_until(lambda: not vm.processes(), 25), vm.processes())
        print(f"all gone {time.monotonic() - started:.1f} s after kill -9 of {name}")
        self.assert_fails(vm.run("status"), what, str(pid))
        error = json.loads(vm.run("status", "--format", "json").stdout)["error"]
        self.assertIn("does not run", error)
        self.assert_ok(vm.run("stop"))
        self.assert_nothing_left(vm)
        # And it starts again.
        self.start_head(vm)

    def test_kill_head(self):
        self.kill_one("head", "the head (pid")

    def test_kill_node(self):
        self.kill_one("node", "the node daemon (pid")

    def test_kill_supervisor(self):
        self.kill_one("supervisor", "its supervisor (pid")

    def test_status_shows_signal_and_last_log_lines(self):
        vm = self.vm()
        session = self.start_head(vm)
        os.kill(session["head"]["pid"], signal.SIGKILL)
        self.assertTrue(wait_until(lambda: not vm.processes(), 25))
        self.assert_fails(vm.run("status"), "killed by signal 9", "last log lines", "serves at",
                          "head.log")

    def test_frozen_daemons_are_stopped_too(self):
        vm = self.vm()
        session = self.start_head(vm)
        os.kill(session["supervisor"]["pid"], signal.SIGKILL)
        for name in ("head", "node"):
            try:
                os.kill(session[name]["pid"], signal.SIGSTOP)
            except ProcessLookupError:
                pass
        self.assert_ok(vm.run("stop"))
        self.assert_nothing_left(vm)

    def test_a_start_cleans_up_after_a_crash(self):
        vm = self.vm()
        session = self.start_head(vm)
        for name in ("supervisor", "head", "node"):
            os.kill(session[name]["pid"], signal.SIGKILL)
        self.assertTrue(wait_until(lambda: not vm.processes(), 25))
        self.start_head(vm)
        self.assert_ok(vm.run("status"))


class Embedded(CliTest):
    """The cluster that a driver starts for itself."""

    def start(self, vm, driver):
        ready_read, ready_write = os.pipe()
        life_read, life_write = os.pipe()
        process = subprocess.Popen(
            [RAYX, "start", "--head", "--embedded", "--ready-fd", str(ready_write), "--pipe-fd",
             str(life_read), "--driver-pid", str(driver), "--num-cpus", "1"],
            env=vm.environment, pass_fds=(ready_write, life_read))
        os.close(ready_write)
        os.close(life_read)
        with os.fdopen(ready_read) as ready:
            answer = json.loads(ready.readline())
        return process, answer, life_write

    def test_it_ends_with_the_pipe(self):
        vm = self.vm()
        process, answer, life = self.start(vm, os.getpid())
        self.assertEqual(answer["error"], "")
        self.assertTrue(os.path.exists(answer["session_folder"] + "/node.sock"))
        self.assert_fails(vm.run("status"), "no cluster runs")  # never found by others
        self.assertIn("No session", vm.run("stop").stdout)
        os.close(life)
        self.assertEqual(process.wait(20), 0)
        self.assert_nothing_left(vm)

    def test_it_ends_with_its_driver(self):
        vm = self.vm()
        driver = subprocess.Popen(["sleep", "1000"])
        self.addCleanup(driver.wait)
        self.addCleanup(driver.kill)
        process, answer, life = self.start(vm, driver.pid)
        self.assertEqual(answer["error"], "")
        driver.kill()
        driver.wait()
        self.assertEqual(process.wait(20), 0)
        os.close(life)
        self.assert_nothing_left(vm)

    def test_two_at_once_beside_a_started_one(self):
        vm = self.vm()
        self.start_head(vm)
        started = [self.start(vm, os.getpid()) for _ in range(2)]
        for _, answer, _ in started:
            self.assertEqual(answer["error"], "")
        for process, _, life in started:
            os.close(life)
            self.assertEqual(process.wait(20), 0)
        self.assert_ok(vm.run("status"))

    def test_an_error_is_answered(self):
        vm = self.vm()
        process, answer, life = self.start(vm, 999999999)
        self.assertIn("driver", answer["error"])
        self.assertNotEqual(process.wait(20), 0)
        os.close(life)
        self.assert_nothing_left(vm)


if __name__ == "__main__":
    unittest.main()
