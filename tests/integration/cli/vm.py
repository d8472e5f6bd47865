"""What the tests of the command line share: a session folder that stands for a VM, and checks.

The real binary (RAYX_BIN) runs in session folders of the test's own, on ports that the kernel
gives. "Nothing is left" looks at processes, at mapped memory and at the session folder.
"""

import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
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

    def run(self, *arguments, stdin=subprocess.DEVNULL, timeout=90, **environment):
        return subprocess.run(
            [RAYX, *arguments],
            env={**self.environment, **environment},
            stdin=stdin if not isinstance(stdin, str) else None,
            input=stdin if isinstance(stdin, str) else None,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            timeout=timeout,
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
