"""Goal: a command that cannot do what it was asked says within 5 s what is wrong and what to do.

Method: clusters that are not there, are two, hang, are of something else or of somebody else;
tables of commands and of the texts that their answers have. What needs a right that is missing here
is reported as skipped.
"""

import concurrent.futures
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
import unittest

from vm import RAYX, ROOT, CliTest, read, wait_until

PRINTER = os.environ.get("RAYX_PRINTER", "cli_printer")
SECONDS_MAX = 5.0 + 3.0  # beside everything else that a machine may do


class Failures(CliTest):
    def timed(self, vm, arguments, **environment):
        begun = time.monotonic()
        result = vm.run(*arguments, **environment)
        return arguments, result, time.monotonic() - begun

    def check(self, timed, *texts, code=1):
        arguments, result, seconds = timed
        with self.subTest(arguments):
            self.assertLess(seconds, SECONDS_MAX)
            self.assert_fails(result, *texts, code=code)
            self.assertTrue(result.stderr.startswith(f"rayx {arguments[0]}: "), result.stderr)

    def fails(self, vm, arguments, *texts, code=1, **environment):
        self.check(self.timed(vm, arguments, **environment), *texts, code=code)

    def all_fail(self, vm, commands, *texts):
        """At once: what is frozen is given up by others after some seconds."""
        with concurrent.futures.ThreadPoolExecutor(len(commands)) as pool:
            for timed in list(pool.map(lambda arguments: self.timed(vm, arguments), commands)):
                self.check(timed, *texts)

    def freeze(self, pid):
        os.kill(pid, signal.SIGSTOP)

    def stops_in_time(self, vm):
        begun = time.monotonic()
        self.assert_ok(vm.run("stop"))
        self.assertLess(time.monotonic() - begun, SECONDS_MAX)
        self.assert_nothing_left(vm)

    def test_no_cluster(self):
        vm = self.vm()
        for arguments in (("status",), ("list", "nodes"), ("list", "workers"),
                          ("logs", "--node", "1")):
            self.fails(vm, arguments, "no cluster runs on this VM for this user",
                       "`rayx start --head`", vm.base)
        self.fails(vm, ("logs",), "no logs in", vm.base, "`rayx start --head`")
        self.fails(vm, ("logs", "head.log"), "no logs in", vm.base)
        stopped = self.assert_ok(vm.run("stop"))  # what was wanted is so
        self.assertIn("No session", stopped.stdout)
        self.assertEqual(os.listdir(vm.base), [])

    def test_a_hung_head(self):
        vm = self.vm()
        session = self.start_head(vm)
        self.freeze(session["head"]["pid"])
        self.all_fail(vm, (("status",), ("list", "nodes"), ("list", "workers"),
                           ("logs", "--node", "1")),
                      "the head does not answer", session["head_address"],
                      f"(pid {session['head']['pid']}) is stopped by a signal", "`rayx stop`")
        self.stops_in_time(vm)

    def test_a_hung_node(self):
        vm = self.vm()
        session = self.start_head(vm)
        self.freeze(session["node"]["pid"])
        self.assert_ok(vm.run("status"))
        self.all_fail(vm, (("list", "workers"), ("logs", "--node", "1")),
                      "node n1 does not answer")
        self.stops_in_time(vm)

    def test_a_hung_supervisor(self):
        vm = self.vm()
        self.freeze(self.start_head(vm)["supervisor"]["pid"])
        self.assert_ok(vm.run("status"))
        self.stops_in_time(vm)

    def test_an_address_that_is_no_head(self):
        vm = self.vm()
        other = self.vm()
        join = self.start_head(other)["folder"] + "/join"
        silent = socket.socket()  # takes connections and says nothing
        self.addCleanup(silent.close)
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        chatty = socket.socket()
        self.addCleanup(chatty.close)
        chatty.bind(("127.0.0.1", 0))
        chatty.listen()

        def greet():
            try:
                while True:
                    connection, _ = chatty.accept()
                    with connection:
                        connection.sendall(b"220 mail.example ESMTP\r\n" * 20)
            except OSError:
                pass

        threading.Thread(target=greet, daemon=True).start()
        for what, server in (("silent", silent), ("chatty", chatty)):
            address = "127.0.0.1:%d" % server.getsockname()[1]
            with self.subTest(what):
                self.fails(vm, ("start", "--address", address, "--join-file", join),
                           "the head cannot be reached", address)
                self.assert_nothing_left(vm)

    def test_a_join_file_of_another_cluster(self):
        vm, one, two = self.vm(), self.vm(), self.vm()
        address = self.start_head(one)["head_address"]
        join = self.start_head(two)["folder"] + "/join"
        self.fails(vm, ("start", "--address", address, "--join-file", join),
                   "refused the token", "of another cluster")
        self.assert_nothing_left(vm)

    def test_logs(self):
        vm = self.vm()
        folder = self.start_head(vm)["folder"] + "/logs"
        self.fails(vm, ("logs", "nonsense.log"), '"nonsense.log"', folder, "`rayx logs` lists them")
        self.fails(vm, ("logs", "hed.log"), "did you mean 'head.log'?")
        self.fails(vm, ("logs", "--node", "1", "nonsense.log"), "nonsense.log", "node n1")
        self.fails(vm, ("logs", "--node", "7"), "the cluster has no node n7")
        self.fails(vm, ("logs", "--follow"), "--follow", "which", code=2)

    def test_twice(self):
        vm = self.vm()
        session = self.start_head(vm)
        self.fails(vm, ("start", "--head", "--port", "0"), "already running",
                   session["head_address"], "`rayx stop`", "RAYX_SESSION_DIR")
        self.assert_ok(vm.run("stop"))
        self.assertIn("No session", self.assert_ok(vm.run("stop")).stdout)

    def test_a_folder_that_cannot_be_used(self):
        vm = self.vm()
        file = f"{vm.home}/file"
        open(file, "w", encoding="utf-8").close()
        head = ("start", "--head", "--port", "0")
        for folder, text in ((file, "is not a folder"), (f"{vm.home}/no/such", "cannot be made"),
                             ("here", "absolute"), ("/tmp/" + "x" * 100, "shorter")):
            self.fails(vm, head, "RAYX_SESSION_DIR " + folder, text, code=2,
                       RAYX_SESSION_DIR=folder)
        for arguments in (("status",), ("stop",), ("logs",), ("list", "jobs")):
            self.fails(vm, arguments, "RAYX_SESSION_DIR here", "absolute", code=2,
                       RAYX_SESSION_DIR="here")

    def test_somebody_elses_session(self):
        if not ROOT:
            self.skipTest("needs root to become somebody else")
        vm = self.vm()
        self.start_head(vm)
        os.chmod(vm.base, 0o700)
        for arguments, texts in ((("status",), ("Permission denied",)),
                                 (("list", "nodes"), ("Permission denied",)),
                                 (("logs",), ("Permission denied",)),
                                 (("stop",), ("Permission denied",)),
                                 (("start", "--head"), ("belongs to another user",))):
            with self.subTest(arguments):
                result = subprocess.run([RAYX, *arguments], env=vm.environment, cwd="/", text=True,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, user=65534, group=65534,
                                        extra_groups=[])
                self.assertNotEqual(result.returncode, 0)
                for text in (vm.base, *texts):
                    self.assertIn(text, result.stderr)

    def test_a_disk_without_room(self):
        if not ROOT or shutil.which("mount") is None:
            self.skipTest("needs root and mount")
        vm = self.vm()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k,mode=700", "tmpfs", vm.base],
                          stderr=subprocess.DEVNULL).returncode != 0:
            self.skipTest("may not mount here")
        self.addCleanup(subprocess.run, ["umount", "-l", vm.base])
        with open(f"{vm.base}/fill", "wb") as file:
            try:
                file.write(bytes(64 * 1024))
                file.flush()
            except OSError:
                pass
        self.fails(vm, ("start", "--head", "--port", "0"), "No space left on device", vm.base)
        self.assertEqual(os.listdir(vm.base), ["fill"])

    def test_after_a_reboot(self):
        """Its processes are gone, their pids are others', its files are there."""
        vm = self.vm()
        session = self.start_head(vm)
        for name in ("supervisor", "head", "node"):
            os.kill(session[name]["pid"], signal.SIGKILL)
        self.assertTrue(wait_until(lambda: not vm.processes(), 25))
        path = session["folder"] + "/session.json"
        info = json.loads(read(path))
        for name in ("supervisor", "head", "node"):
            info[name] = {"pid": os.getpid(), "start": 1}
        with open(path, "w", encoding="utf-8") as file:
            json.dump(info, file)
        self.fails(vm, ("status",), "does not run", session["head_address"], "`rayx stop`")
        self.assertIn("had crashed", self.assert_ok(vm.run("stop")).stdout)  # and we live
        self.assert_nothing_left(vm)


class TwoClusters(CliTest):
    def say(self, vm, address):
        return subprocess.run([PRINTER, "--address", address, "say", "hello", "1"], text=True,
                              env=vm.environment, stdin=subprocess.DEVNULL, timeout=60,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def test_each_is_found_and_stopped_by_its_own_folder(self):
        one, two = self.vm(), self.vm()
        sessions = [self.start_head(vm) for vm in (one, two)]
        addresses = [session["head_address"] for session in sessions]
        self.assertNotEqual(*addresses)
        for vm, own, other in ((one, *addresses), (two, *reversed(addresses))):
            shown = self.assert_ok(vm.run("status")).stdout
            self.assertIn(own, shown)
            self.assertNotIn(other, shown)
        self.assertIn(addresses[0], self.assert_ok(one.run("stop")).stdout)
        self.assert_nothing_left(one)
        self.assertIn("1 of 1 nodes alive", self.assert_ok(two.run("status")).stdout)
        self.assertEqual(self.say(two, addresses[1]).returncode, 0)

    def test_a_wrong_address_says_what_one_is(self):
        said = self.say(self.vm(), "autoo").stderr
        self.assertIn('Init: address "autoo": expected ip:port', said)
        self.assertIn("or auto", said)
        self.assertEqual(said.count("autoo"), 1, said)

    def test_two_in_one_folder_are_both_named(self):
        one, two = self.vm(), self.vm()
        sessions = [self.start_head(vm) for vm in (one, two)]
        name = os.path.basename(sessions[1]["folder"])
        os.symlink(sessions[1]["folder"], f"{one.base}/{name}")  # is none of the folder's own
        self.assert_ok(one.run("status"))
        os.unlink(f"{one.base}/{name}")
        os.mkdir(f"{one.base}/{name}", 0o700)
        shutil.copy(sessions[1]["folder"] + "/session.json", f"{one.base}/{name}")
        os.link(sessions[1]["folder"] + "/node.sock", f"{one.base}/{name}/node.sock")
        addresses = [session["head_address"] for session in sessions]
        for arguments in (("status",), ("list", "nodes")):
            self.assert_fails(one.run(*arguments), "several clusters", *addresses)
        for text in ("InvalidOption", "several clusters", *addresses):
            self.assertIn(text, self.say(one, "auto").stderr)
        shutil.rmtree(f"{one.base}/{name}")  # else its stop would end the other


if __name__ == "__main__":
    unittest.main()
