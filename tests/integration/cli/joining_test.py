"""Goal: a VM joins with the cluster's secret and in no other way.

Method: session folders stand for VMs; beyond loopback in a network namespace of its own. What needs
a right that is missing here is reported as skipped.
"""

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import unittest

from vm import ROOT, CliTest, read, wait_until


class Joining(CliTest):
    """Two session folders stand for two VMs, on loopback."""

    def setUp(self):
        self.head_vm = self.vm()
        self.session = self.start_head(self.head_vm, "--num-cpus", "1")
        self.join = self.session["folder"] + "/join"
        self.address = self.session["head_address"]
        self.node_vm = self.vm()

    def test_join_stop_one_stop_all(self):
        self.assertEqual(stat.S_IMODE(os.stat(self.join).st_mode), 0o600)
        result = self.assert_ok(self.node_vm.run("start", f"--address={self.address}",
                                                 "--join-file", self.join, "--num-cpus", "2"))
        self.assertIn(self.address, result.stdout)
        (joined,) = self.node_vm.sessions()
        self.assertEqual(joined["cluster"], self.session["cluster"])
        self.assertEqual(joined["node_number"], 2)
        for vm in (self.head_vm, self.node_vm):
            self.assertIn("2 of 2 nodes alive", self.assert_ok(vm.run("status")).stdout)
        self.assertIn("this node", self.assert_ok(self.node_vm.run("stop")).stdout)
        self.assert_nothing_left(self.node_vm)
        nodes = json.loads(self.head_vm.run("list", "nodes", "--format", "json").stdout)
        self.assertEqual([node["alive"] for node in nodes], [True, False])
        self.assert_ok(self.node_vm.run("start", f"--address={self.address}", "--join-file",
                                        self.join))
        self.assert_ok(self.head_vm.run("stop"))
        self.assert_nothing_left(self.head_vm)
        self.assert_nothing_left(self.node_vm)  # a stop on the head's VM ends the cluster

    def test_a_joined_node_that_died_does_not_speak_for_the_cluster(self):
        self.assert_ok(self.node_vm.run("start", f"--address={self.address}", "--join-file",
                                        self.join))
        (joined,) = self.node_vm.sessions()
        os.kill(joined["node"]["pid"], signal.SIGKILL)
        wait_until(lambda: "signal 9" in self.node_vm.run("status").stderr)
        self.assert_fails(self.node_vm.run("status"),
                          f"this node of the cluster at {self.address} does not run")
        self.assert_ok(self.head_vm.run("status"))

    def test_every_place_of_the_join_file(self):
        start = ("start", f"--address={self.address}")
        text = read(self.join).decode()
        for attempt in ("environment", "home", "stdin", "dash"):
            with self.subTest(attempt):
                if attempt == "environment":
                    result = self.node_vm.run(*start, RAYX_JOIN_FILE=self.join)
                elif attempt == "home":
                    os.mkdir(self.node_vm.home + "/.rayx", 0o700)
                    shutil.copy(self.join, self.node_vm.home + "/.rayx/join")
                    result = self.node_vm.run(*start)
                    shutil.rmtree(self.node_vm.home + "/.rayx")
                elif attempt == "stdin":
                    result = self.node_vm.run(*start, stdin=text)
                else:
                    result = self.node_vm.run(*start, "--join-file", "-", stdin=text)
                self.assert_ok(result)
                self.assert_ok(self.node_vm.run("stop"))

    def refused(self, *texts, join=None, address=None, **options):
        arguments = ["start", f"--address={address or self.address}"]
        if join:
            arguments += ["--join-file", join]
        self.assert_fails(self.node_vm.run(*arguments, **options), *texts)
        self.assert_nothing_left(self.node_vm)

    def write_join(self, mode=0o600, **changes):
        path = f"{self.node_vm.home}/join"
        text = json.dumps({**json.loads(read(self.join)), **changes})
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, mode)
        return path

    def test_no_and_wrong_secrets(self):
        self.refused("no token", "--join-file", "RAYX_JOIN_FILE", ".rayx/join", "standard input")
        self.refused("refused the token", join=self.write_join(token="0" * 64))
        self.refused("\"token\": expected 64", join=self.write_join(token="secret"))
        self.refused("other users can read", join=self.write_join(mode=0o644))
        self.refused("cannot be opened", join=self.node_vm.home + "/none")
        self.refused("not JSON", join="-", stdin="{")

    def test_head_that_is_not_there(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = "127.0.0.1:%d" % free.getsockname()[1]
            self.refused("the head cannot be reached", address, "refused",
                         "127.0.0.1 is this VM itself", "--listen", join=self.join,
                         address=address)

    def test_the_token_is_nowhere_to_be_seen(self):
        token = json.loads(read(self.join))["token"]
        result = self.node_vm.run("start", f"--address={self.address}", "--join-file", self.join)
        shown = self.assert_ok(result).stdout + result.stderr
        for vm in (self.head_vm, self.node_vm):
            shown += vm.run("status").stdout + vm.run("status", "--format", "json").stdout
            for pid in vm.processes():
                shown += read(f"/proc/{pid}/cmdline").decode(errors="replace")
                shown += read(f"/proc/{pid}/environ").decode(errors="replace")
            for folder, _, files in os.walk(vm.base):
                for name in files:
                    path = os.path.join(folder, name)
                    if name == "join":
                        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
                    else:
                        shown += read(path).decode(errors="replace")
        self.assertNotIn(token, shown)

    def test_a_node_beyond_loopback_needs_a_head_beyond_loopback(self):
        address = next((a for a in local_addresses() if not a.startswith("127.")), None)
        if address is None:
            self.skipTest("this VM has loopback only")
        self.assert_fails(
            self.node_vm.run("start", f"--address={self.address}", "--join-file", self.join,
                             "--listen", address), "no TLS", "--listen")


def local_addresses():
    output = subprocess.run(["hostname", "-I"], stdout=subprocess.PIPE, text=True).stdout
    return [word for word in output.split() if ":" not in word]


class BeyondLoopback(CliTest):
    def test_tls_in_a_network_of_its_own(self):
        if os.environ.get("RAYX_CLI_TEST_NETWORK") != "1":
            if not ROOT or shutil.which("unshare") is None or shutil.which("ip") is None:
                self.skipTest("needs root, unshare and ip")
            result = subprocess.run(
                ["unshare", "-n", sys.executable, os.path.abspath(__file__),
                 "BeyondLoopback.test_tls_in_a_network_of_its_own"],
                env={**os.environ, "RAYX_CLI_TEST_NETWORK": "1"}, text=True,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            self.assertEqual(result.returncode, 0, result.stdout)
            return
        for command in ("link set lo up", "addr add 10.9.0.1/24 dev lo",
                        "addr add 10.9.0.2/24 dev lo"):
            subprocess.run(["ip", *command.split()], check=True)
        head_vm, node_vm = self.vm(), self.vm()
        result = self.assert_ok(head_vm.run("start", "--head", "--listen", "10.9.0.1"))
        self.assertIn("rayx start --address=10.9.0.1:7399", result.stdout)
        (session,) = head_vm.sessions()
        join = json.loads(read(session["folder"] + "/join"))
        self.assertIn("BEGIN CERTIFICATE", join["ca_certificate"])
        path = session["folder"] + "/join"
        start = ("start", "--address=10.9.0.1:7399", "--listen", "10.9.0.2")
        self.assert_ok(node_vm.run(*start, "--join-file", path))
        for vm in (head_vm, node_vm):
            self.assertIn("2 of 2 nodes alive", self.assert_ok(vm.run("status")).stdout)
            self.assert_ok(vm.run("list", "workers"))  # the nodes' servers, with their certificates
        self.assert_ok(node_vm.run("stop"))
        # Plain text where TLS is spoken: refused, and said so.
        plain = f"{node_vm.home}/plain"
        with open(plain, "w", encoding="utf-8") as file:
            insecure = {"ca_certificate": "", "ca_fingerprint": "", "insecure": True}
            file.write(json.dumps({**join, **insecure}))
        os.chmod(plain, 0o600)
        self.assert_fails(node_vm.run(*start, "--insecure", "--join-file", plain), "without TLS")
        self.assert_ok(head_vm.run("stop"))
        # Without TLS, if told so.
        result = self.assert_ok(
            head_vm.run("start", "--head", "--listen", "10.9.0.1", "--insecure"))
        self.assertIn("warning: --insecure", result.stderr)
        (session,) = head_vm.sessions()
        path = session["folder"] + "/join"
        self.assert_fails(node_vm.run(*start, "--join-file", path), "--insecure")
        self.assert_ok(node_vm.run(*start, "--join-file", path, "--insecure"))
        self.assertIn("2 of 2 nodes alive", self.assert_ok(node_vm.run("status")).stdout)


if __name__ == "__main__":
    unittest.main()
