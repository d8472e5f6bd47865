"""Goal: logs are listed, shown and followed.

Method: files that the test writes beside the daemons' own.
"""

import os
import re
import signal
import subprocess
import threading
import time
import unittest

from vm import RAYX, CliTest, read

PRINTER = os.environ.get("RAYX_PRINTER", "cli_printer")


class Logs(CliTest):
    def test_logs_are_listed_when_the_head_hangs(self):
        vm = self.vm()
        session = self.start_head(vm)
        os.kill(session["head"]["pid"], signal.SIGSTOP)
        self.addCleanup(os.kill, session["head"]["pid"], signal.SIGCONT)
        start = time.monotonic()
        self.assertIn("head.log", self.assert_ok(vm.run("logs")).stdout)
        self.assertLess(time.monotonic() - start, 5)  # what other commands give it

    def test_what_is_left_out_is_said(self):
        vm = self.vm()
        session = self.start_head(vm)
        path = session["folder"] + "/logs/mine.log"
        with open(path, "wb") as file:
            file.write(b"first\n")
            file.seek(65 << 20)  # a line of zeros, longer than what is looked at
            file.write(b"\nlast\n")
        result = self.assert_ok(vm.run("logs", "mine.log", "--tail", "1"))
        self.assertEqual((result.stdout, result.stderr), ("last\n", ""))
        result = self.assert_ok(vm.run("logs", "mine.log", "--tail", "3"))
        self.assertEqual(result.stdout, "last\n")
        self.assertIn("fewer than the 3 lines", result.stderr)

    def test_a_node_sends_whole_lines_and_what_it_leaves_out_is_said(self):
        vm = self.vm()
        session = self.start_head(vm)
        lines = [f"{i:05}\t{'x' * 990}" for i in range(2000)]
        with open(session["folder"] + "/logs/mine.log", "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        command = ("logs", "mine.log", "--tail")
        for tail in ("0", "2"):
            here = self.assert_ok(vm.run(*command, tail))
            there = self.assert_ok(vm.run(*command, tail, "--node", "n1"))
            self.assertEqual(there.stdout.splitlines(), lines[len(lines) - int(tail):])
            self.assertEqual((there.stdout, there.stderr), (here.stdout, here.stderr))
        cut = self.assert_ok(vm.run(*command, "2000", "--node", "n1"))
        shown = cut.stdout.splitlines()
        self.assertTrue(1000 < len(shown) < 1100, len(shown))
        self.assertEqual(shown, lines[-len(shown):])
        self.assertIn(f"{len(shown)} of 2000 lines: there may be more", cut.stderr)

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

    def test_flags_of_one_log_need_its_name(self):
        for arguments in (("--tail", "3"), ("--node", "n1", "--tail", "3"), ("--follow",)):
            result = self.vm().run("logs", *arguments)
            self.assertEqual(result.returncode, 2)
            self.assertIn("FILE is missing", result.stderr)

    def test_what_is_no_file_stops_nobody(self):
        vm = self.vm()
        session = self.start_head(vm)
        folder = session["folder"] + "/logs"
        os.mkfifo(folder + "/pipe.log")  # a daemon that opened it would wait for a writer
        os.symlink("/etc/passwd", folder + "/link.log")
        for name in ("pipe.log", "link.log"):
            self.assert_fails(vm.run("logs", "--node", "n1", name), "there is no log file")
        self.assert_fails(vm.run("logs", "pipe.log"), "no log file")
        self.assert_ok(vm.run("logs", "--node", "n1", "node.log"))

    def test_following_goes_on_over_several_new_files(self):
        vm = self.vm()
        session = self.start_head(vm)
        path = session["folder"] + "/logs/mine.log"
        with open(path, "w", encoding="utf-8") as file:
            file.write("first\n")
        process = subprocess.Popen([RAYX, "logs", "mine.log", "--follow"], env=vm.environment,
                                   stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.kill)
        timer = threading.Timer(60, process.kill)  # its output then ends
        timer.start()
        self.addCleanup(timer.cancel)
        self.assertEqual(process.stdout.readline(), "first\n")
        os.kill(process.pid, signal.SIGSTOP)  # two files are full before it looks again
        with open(path, "a", encoding="utf-8") as file:
            file.write("last of one\n")
        os.rename(path, path + ".2")
        for name, text in ((path + ".1", "all of two\n"), (path, "three\n")):
            with open(name, "w", encoding="utf-8") as file:
                file.write(text)
        os.kill(process.pid, signal.SIGCONT)
        lines = [process.stdout.readline() for _ in range(3)]
        self.assertEqual(lines, ["last of one\n", "all of two\n", "three\n"])


class WorkersOutput(CliTest):
    def run_printer(self, vm, *arguments, **environment):
        return self.assert_ok(
            subprocess.run([PRINTER, "--address", "auto", *arguments], text=True, timeout=90,
                           env={**vm.environment, **environment}, stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE))

    def test_the_same_line_of_many_workers_is_shown_once_and_counted(self):
        vm = self.vm()
        self.start_head(vm)
        # A call that was over before the line was read has no name any more.
        prefix = r"\((?:Printer\S*|worker) pid=\d+, node n1\) "
        shown = self.run_printer(vm, "say", "hello", "3").stdout
        self.assertRegex(shown, f"^{prefix}hello\n{prefix}hello "
                                r"\[2 more times from other workers\]\n$")
        shown = self.run_printer(vm, "say", "hello", "3", RAYX_DEDUPLICATE_OUTPUT="0").stdout
        self.assertRegex(shown, f"^({prefix}hello\n){{3}}$")

    def test_a_flood_is_bounded_in_the_terminal_and_on_disk(self):
        vm = self.vm()
        session = self.start_head(vm, "--log-file-size", "256KiB", "--log-files", "2",
                                  "--log-total", "2MiB")
        shown = self.run_printer(vm, "flood", "20000000")
        self.assertIn("200000 lines\n", shown.stdout)
        self.assertRegex(shown.stdout, r"lines were not shown \(at most 1000 a second are; a part "
                                       r"of the output is in .*worker-\d+\.log\.1 and ")
        self.assertLess(len(shown.stdout), 10_000_000)
        folder = session["folder"] + "/logs"
        (log,) = [name for name in os.listdir(folder)
                  if re.fullmatch(r"worker-\d+\.log", name) and
                  os.path.exists(f"{folder}/{name}.1")]
        self.assertFalse(os.path.exists(f"{folder}/{log}.2"))
        for name in (log, log + ".1"):
            self.assertLessEqual(os.path.getsize(f"{folder}/{name}"), 256 * 1024)
        first, *_, last = read(f"{folder}/{log}").decode().splitlines()
        self.assertRegex(first, r"^\(rayx\) what came before was removed: \d+ bytes; a log has 2 "
                                "files of 262144 bytes at most$")
        self.assertEqual(int(last), 199_999)


if __name__ == "__main__":
    unittest.main()
