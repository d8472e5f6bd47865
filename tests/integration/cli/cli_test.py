"""Goal: the commands of `rayx` start, explain and end a cluster, and leave nothing behind.

Method: the real binary (RAYX_BIN) in session folders of the test's own, on ports that the kernel
gives; daemons are killed, given wrong secrets and wrong options. "Nothing is left" looks at
processes, at mapped memory and at the session folder. What needs a right that is missing here is
reported as skipped.
"""

import json
import os
import re
import select
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
import unittest

RAYX = os.environ.get("RAYX_BIN", "rayx")
ROOT = os.geteuid() == 0


def wait_until(condition, seconds=20.0):
    """Polls: the things waited for here are processes that are no children of ours."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        select.select([], [], [], 0.01)
    return True


def pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def read(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def state_of(pid):
    text = read(f"/proc/{pid}/stat")
    return text[text.rfind(b")") + 2 : text.rfind(b")") + 3].decode() if text else ""


class Vm:
    """One session folder, as one VM has."""

    def __init__(self):
        self.base = tempfile.mkdtemp(prefix="rx", dir="/tmp")
        self.home = tempfile.mkdtemp(prefix="rxhome", dir="/tmp")
        self.environment = {
            key: value for key, value in os.environ.items() if not key.startswith("RAYX_")
        }
        self.environment.update(RAYX_SESSION_DIR=self.base, HOME=self.home)

    def run(self, *arguments, stdin=subprocess.DEVNULL, **environment):
        return subprocess.run(
            [RAYX, *arguments],
            env={**self.environment, **environment},
            stdin=stdin if not isinstance(stdin, str) else None,
            input=stdin if isinstance(stdin, str) else None,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            timeout=90,
        )

    def sessions(self):
        found = []
        for name in os.listdir(self.base):
            text = read(f"{self.base}/{name}/session.json")
            if text:
                found.append({**json.loads(text), "folder": f"{self.base}/{name}"})
        return found

    def processes(self):
        """Whatever was started with this session folder in its environment and still runs."""
        mark = f"RAYX_SESSION_DIR={self.base}".encode()
        return [
            pid
            for pid in pids()
            if pid != os.getpid()
            and mark in read(f"/proc/{pid}/environ").split(b"\0")
            and state_of(pid) not in ("Z", "X", "")
        ]

    def remove(self):
        self.run("stop")
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.base, ignore_errors=True)
        shutil.rmtree(self.home, ignore_errors=True)


class CliTest(unittest.TestCase):
    def vm(self):
        vm = Vm()
        self.addCleanup(vm.remove)
        return vm

    def assert_ok(self, result):
        self.assertEqual(result.returncode, 0, f"stdout: {result.stdout}\nstderr: {result.stderr}")
        return result

    def assert_fails(self, result, *texts, code=1):
        self.assertEqual(result.returncode, code, f"{result.stdout}\n{result.stderr}")
        for text in texts:
            self.assertIn(text, result.stderr)

    def start_head(self, vm, *arguments):
        self.assert_ok(vm.run("start", "--head", "--port", "0", *arguments))
        (session,) = vm.sessions()
        return session

    def assert_nothing_left(self, vm):
        self.assertTrue(wait_until(lambda: not vm.processes(), 5), vm.processes())
        for name in os.listdir(vm.base):
            self.assertEqual(os.listdir(f"{vm.base}/{name}"), ["logs"])

    def assert_no_mapped_memory(self, seen):
        """`seen`: inodes of memory files that the daemons had."""
        for pid in pids():
            for line in read(f"/proc/{pid}/maps").splitlines():
                if b"memfd:rayx" in line:
                    self.assertNotIn(line.split()[4], seen)


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

    def test_logs_are_listed_when_the_head_hangs(self):
        vm = self.vm()
        session = self.start_head(vm)
        os.kill(session["head"]["pid"], signal.SIGSTOP)
        self.addCleanup(os.kill, session["head"]["pid"], signal.SIGCONT)
        start = time.monotonic()
        self.assertIn("head.log", self.assert_ok(vm.run("logs")).stdout)
        self.assertLess(time.monotonic() - start, 5)  # what other commands give it

    def test_a_log_is_followed(self):
        vm = self.vm()
        session = self.start_head(vm)
        path = session["folder"] + "/logs/mine.log"
        with open(path, "w", encoding="utf-8") as file:
            file.write("one\ntwo\nthree\n")
        process = subprocess.Popen([RAYX, "logs", "mine.log", "--follow", "--tail", "2"],
                                   env=vm.environment, stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.kill)
        timer = threading.Timer(60, process.kill)  # its output then ends
        timer.start()
        self.addCleanup(timer.cancel)
        lines = [process.stdout.readline() for _ in range(2)]
        self.assertEqual(lines, ["two\n", "three\n"])
        with open(path, "a", encoding="utf-8") as file:
            file.write("four\n")
        self.assertEqual(process.stdout.readline(), "four\n")
        os.rename(path, path + ".1")  # as a full file is
        with open(path, "w", encoding="utf-8") as file:
            file.write("five\n")
        self.assertEqual(process.stdout.readline(), "five\n")
        with open(path, "a", encoding="utf-8") as file:
            file.write("six\nseven has no end")
        os.unlink(path)
        self.assertEqual(process.stdout.read(), "six\nseven has no end\n")
        self.assertEqual(process.wait(20), 0)

    def test_following_ends_when_nobody_takes_it(self):
        vm = self.vm()
        self.start_head(vm)
        with open("/dev/full", "w", encoding="utf-8") as full:
            result = subprocess.run([RAYX, "logs", "head.log", "--follow"], env=vm.environment,
                                    stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
        self.assert_fails(result, "standard output")

    def test_dead_actors_are_counted_and_shown_when_asked_for(self):
        vm = self.vm()
        self.start_head(vm)
        # Its actor ends with it.
        result = self.assert_ok(vm.run("microbenchmark", "1:1 actor", "--seconds", "0.01",
                                       "--address", "auto"))
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


class BadInput(CliTest):
    def test_each_wrong_option_is_named(self):
        vm = self.vm()
        head = ("start", "--head")
        cases = [
            (("start",), ("--head", "--address")),
            ((*head, "--address=1.2.3.4:5"), ("--head", "--address")),
            (("start", "--address=nonsense"), ("nonsense", "ip:port")),
            (("start", "--address=1.2.3.4:0"), ("1 to 65535",)),
            (("start", "--address=1.2.3.4:99999"), ("1 to 65535",)),
            (("start", "--address=no.such.host.invalid:1"), ("no.such.host.invalid", "ip:port")),
            (("start", "--address=1.2.3.4:5", "--port", "1"), ("--port",)),
            ((*head, "--join-file", "x"), ("--join-file",)),
            ((*head, "--port", "http"), ("--port", "65535")),
            ((*head, "--port", "70000"), ("--port", "65535")),
            ((*head, "--listen", "example"), ("--listen", "IPv4")),
            ((*head, "--listen", "0.0.0.0"), ("--listen", "0.0.0.0")),
            ((*head, "--listen", "192.0.2.1"), ("--listen", "not an address of this VM")),
            ((*head, "--num-cpus", "many"), ("--num-cpus", "many")),
            ((*head, "--num-cpus=-1"), ("--num-cpus", "-1")),
            ((*head, "--num-gpus", "nan"), ("--num-gpus", "nan")),
            ((*head, "--resources", "disk=2"), ("--resources", "JSON")),
            ((*head, "--resources", '{"disk": "two"}'), ("disk", "a number")),
            ((*head, "--resources", '{"disk": -1}'), ("disk", "0 to")),
            ((*head, "--resources", '{"a b": 1}'), ("a b", "letters")),
            ((*head, "--resources", '{"CPU": 1}'), ("CPU", "--num-cpus")),
            ((*head, "--resources", '{"disk": 0.00001}'), ("disk", "0.0001")),
            ((*head, "--labels", "zone"), ("--labels", "key=value")),
            ((*head, "--labels", "zone=a,zone=b"), ("zone", "twice")),
            ((*head, "--labels", "zone=a b"), ("--labels", "letters")),
            ((*head, "--object-store-memory", "lots"), ("--object-store-memory", "2GiB")),
            ((*head, "--object-store-memory", "1KB"), ("--object-store-memory", "16MiB")),
            ((*head, "--object-store-memory", "200%"), ("--object-store-memory", "at most")),
            ((*head, "--object-store-memory=-5"), ("--object-store-memory",)),
        ]
        for arguments, texts in cases:
            with self.subTest(arguments):
                self.assert_fails(vm.run(*arguments), *texts, code=2)
        self.assertEqual(os.listdir(vm.base), [])

    def test_unknown_words(self):
        vm = self.vm()
        for arguments in (("begin",), ("start", "--haed"), ("list",), ("list", "cats"),
                          ("status", "--format", "xml"), ("logs", "--tail", "x")):
            with self.subTest(arguments):
                result = vm.run(*arguments)
                self.assertEqual(result.returncode, 2)
                self.assertIn("--help", result.stderr)
        self.assert_fails(vm.run("head"), "internal", code=2)

    def test_what_was_meant_is_named(self):
        vm = self.vm()
        for arguments, texts in (
            (("stauts",), ("unknown command 'stauts'", "did you mean 'status'?")),
            (("frobnicate",), ("unknown command 'frobnicate'", "start, stop, status")),
            (("start", "--haed"), ("rayx start: unknown option '--haed'", "'--head'")),
            (("list",), ("WHAT is missing", "nodes, actors", "jobs")),
            (("list", "actrs"), ("rayx list", "actrs", "actors")),
            (("list", "actors", "x"), ("unexpected argument 'x'",)),
            (("list", "--formt", "json"), ("unknown option '--formt'", "'--format'")),
            (("list", "jobs", "--all"), ("--all", "only of actors", "jobs")),
            (("microbenchmark", "no such row"), ("no row's name contains 'no such row'",)),
            (("logs", "--follow", "--node", "2"), ("--follow", "--node")),
        ):
            with self.subTest(arguments):
                self.assert_fails(vm.run(*arguments), *texts, code=2)

    def test_no_call_there_and_back_is_faster_than_the_limit(self):
        vm = self.vm()
        result = self.assert_ok(vm.run("microbenchmark", "tasks sync", "--seconds", "0.3",
                                       "--format", "json"))
        (row,) = json.loads(result.stdout)["rows"]
        self.assertGreaterEqual(row["ratio"], 1, row)

    def test_a_time_that_is_none_is_refused(self):
        vm = self.vm()
        for seconds in ("nan", "inf", "-1", "0", "1e9", "soon"):
            with self.subTest(seconds):
                self.assert_fails(vm.run("microbenchmark", f"--seconds={seconds}"), "--seconds",
                                  seconds, "0.01 to 600", code=2)

    def test_help_names_what_is_expected(self):
        vm = self.vm()
        shown = self.assert_ok(vm.run()).stdout  # no command at all
        for text in ("Usage", "status", "Examples:", "Environment:", "RAYX_SESSION_DIR"):
            self.assertIn(text, shown)
        for command in ("start", "list", "logs", "microbenchmark"):
            shown = self.assert_ok(vm.run(command, "--help")).stdout
            self.assertNotRegex(shown, r"\b(TEXT|UINT|INT|FLOAT)\b")

    def test_help_and_version(self):
        vm = self.vm()
        for command in ((), ("start",), ("stop",), ("status",), ("list",), ("logs",)):
            self.assertIn("Usage", self.assert_ok(vm.run(*command, "--help")).stdout)
        self.assertRegex(self.assert_ok(vm.run("--version")).stdout, r"^rayx \d+\.\d+\.\d+$")

    def test_environment(self):
        vm = self.vm()
        head = ("start", "--head", "--port", "0")
        self.assert_fails(vm.run(*head, RAYX_SESSION_DIR="relative"), "RAYX_SESSION_DIR",
                          "absolute")
        self.assert_fails(vm.run(*head, RAYX_SESSION_DIR="/tmp/" + "x" * 100), "shorter")
        self.assert_fails(vm.run(*head, RAYX_SESSION_DIR="/proc/none"), "cannot be made")
        self.assert_fails(vm.run(*head, RAYX_LOG_LEVEL="loud"), "RAYX_LOG_LEVEL", "loud")
        open_folder = tempfile.mkdtemp(prefix="rx", dir="/tmp")
        self.addCleanup(shutil.rmtree, open_folder)
        os.chmod(open_folder, 0o777)
        self.assert_fails(vm.run(*head, RAYX_SESSION_DIR=open_folder), "other users may write")

    def test_no_permission(self):
        if not ROOT:
            self.skipTest("needs root to become somebody else")
        vm = self.vm()
        nobody = dict(user=65534, group=65534, extra_groups=[])
        run = lambda *arguments: subprocess.run(
            [RAYX, *arguments], env=vm.environment, stdin=subprocess.DEVNULL, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd="/", **nobody)
        self.assert_fails(run("start", "--head", "--port", "0"), "belongs to another user")
        os.chown(vm.base, 65534, 65534)
        limit = int(read("/proc/sys/net/ipv4/ip_unprivileged_port_start") or b"1024")
        if limit <= 81:
            self.skipTest("any user may listen on port 81 here")
        self.assert_fails(run("start", "--head", "--port", "81"), "no permission")
        os.chown(vm.base, 0, 0)

    def test_damaged_files_are_named(self):
        vm = self.vm()
        session = self.start_head(vm)
        with open(session["folder"] + "/session.json", "w", encoding="utf-8") as file:
            file.write('{"head_address": 7}')
        self.assert_fails(vm.run("status"), "session.json")


if __name__ == "__main__":
    unittest.main()
