"""Goal: a cluster starts, tells of itself and ends without a trace.

Method: one VM, the commands as people type them.
"""

import json
import re
import signal
import socket
import subprocess
import unittest

from vm import RAYX, CliTest, read, wait_until


class StartStop(CliTest):
    def test_a_cluster_starts_tells_and_stops_without_a_trace(self):
        vm = self.vm()
        result = self.assert_ok(
            vm.run("start", "--head", "--port", "0", "--num-cpus", "3", "--resources",
                   '{"disk": 2.5}', "--labels", "zone=a", "--object-store-memory", "64MiB"))
        (session,) = vm.sessions()
        self.assertIn(session["head_address"], result.stdout)
        self.assertEqual(session["node_number"], 1)
        status = json.loads(self.assert_ok(vm.run("status", "--format", "json")).stdout)
        (node,) = status["nodes"]
        self.assertEqual(node["total"]["CPU"], 3)
        self.assertEqual(node["total"]["disk"], 2.5)
        self.assertEqual(node["labels"], {"zone": "a"})
        self.assertEqual(node["store_bytes"], 64 << 20)
        self.assertTrue(node["alive"] and node["head"])
        self.assertIn("1 of 1 nodes alive", self.assert_ok(vm.run("status")).stdout)
        for what in ("nodes", "actors", "workers", "objects", "jobs", "leases"):
            self.assert_ok(vm.run("list", what))
            rows = json.loads(self.assert_ok(vm.run("list", what, "--format", "json")).stdout)
            self.assertEqual(len(rows), 1 if what == "nodes" else 0)
        self.assertRegex(self.assert_ok(vm.run("logs")).stdout, r"head\.log +\d+ +head\n")
        self.assertIn("serves at", self.assert_ok(vm.run("logs", "head.log", "--tail", "5")).stdout)
        for node in ("1", "n1"):
            self.assertIn("node.log", self.assert_ok(vm.run("logs", "--node", node)).stdout)
        self.assert_fails(vm.run("logs", "--node", "nx"), "--node", code=2)
        self.assert_fails(vm.run("logs", "--node", "n9"), "n9")
        self.assert_fails(vm.run("logs", "../session.json"), "no log file")
        mapped = {
            line.split()[4]
            for pid in vm.processes()
            for line in read(f"/proc/{pid}/maps").splitlines()
            if b"memfd:rayx" in line
        }
        self.assert_ok(vm.run("stop"))
        self.assert_nothing_left(vm)
        self.assert_no_mapped_memory(mapped)
        self.assert_fails(vm.run("status"), "no cluster runs on this VM",
                          f"the last one, at {session['head_address']}, was stopped at ")
        self.assertIn("No session", self.assert_ok(vm.run("stop")).stdout)
        self.assertIn("serves at", self.assert_ok(vm.run("logs", "head.log")).stdout)
        self.assertNotIn("stopped.json", self.assert_ok(vm.run("logs")).stdout)

    def test_dead_actors_are_counted_and_shown_when_asked_for(self):
        vm = self.vm()
        self.start_head(vm)
        # Its actor ends with it.
        result = self.assert_ok(vm.run("microbenchmark", "1:1 actor calls async", "--seconds",
                                       "0.01", "--address", "auto"))
        self.assertNotIn("busy", result.stderr)  # the rows' own workers are no others
        rows = lambda *arguments: self.assert_ok(vm.run("list", "actors", *arguments)).stdout
        self.assertTrue(wait_until(lambda: "1 dead not shown; --all" in rows()), rows())
        self.assertNotIn("Counter", rows())
        self.assertRegex(rows("--all"), "Counter +dead")
        (actor,) = json.loads(rows("--format", "json"))
        self.assertEqual(actor["state"], "dead")

    def test_titles_and_memory(self):
        vm = self.vm()
        session = self.start_head(vm)
        for name in ("head", "node"):
            title = read(f"/proc/{session[name]['pid']}/cmdline").rstrip(b"\0").decode()
            self.assertEqual(title, f"rayx {name}")
        pss = 0
        for name in ("head", "node", "supervisor"):
            rollup = read(f"/proc/{session[name]['pid']}/smaps_rollup").decode()
            pss += int(re.search(r"^Pss:\s+(\d+) kB", rollup, re.M).group(1))
        print(f"head + node + supervisor hold {pss / 1024:.1f} MB (PSS)")
        if "asan" not in RAYX and "tsan" not in RAYX:
            self.assertLess(pss, 60 * 1024)

    def test_a_second_start_is_refused(self):
        vm = self.vm()
        session = self.start_head(vm)
        self.assert_fails(vm.run("start", "--head", "--port", "0"), "already running",
                          session["head_address"], "rayx stop")
        self.assert_ok(vm.run("status"))

    def test_a_port_in_use_is_named_and_nothing_is_left(self):
        vm = self.vm()
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            self.assert_fails(vm.run("start", "--head", "--port", str(port)),
                              f"127.0.0.1:{port}: the port is in use", "Logs: ")
        self.assert_nothing_left(vm)
        self.assert_ok(vm.run("start", "--head", "--port", str(port)))

    def test_block_ends_with_a_signal(self):
        vm = self.vm()
        process = subprocess.Popen([RAYX, "start", "--head", "--port", "0", "--block"],
                                   env=vm.environment, stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        self.assertIn("serves at", process.stdout.readline())
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(30), 0)
        self.assert_nothing_left(vm)


if __name__ == "__main__":
    unittest.main()
