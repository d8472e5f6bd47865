"""Goal: a wrong word, value or environment is answered by what was expected, and starts nothing.

Method: tables of command lines and of the texts that their answers have.
"""

import os
import shutil
import subprocess
import tempfile
import unittest

from vm import RAYX, ROOT, CliTest, read


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
            (("strat", "--head"), ("unknown command 'strat'", "did you mean 'start'?")),
            (("frobnicate",), ("unknown command 'frobnicate'", "start, stop, status")),
            (("start", "--haed"), ("rayx start: unknown option '--haed'", "'--head'")),
            (("list",), ("WHAT is missing", "nodes, actors", "jobs")),
            (("list", "actrs"), ("rayx list", "actrs", "actors")),
            (("list", "actors", "x"), ("unexpected argument 'x'",)),
            (("list", "--formt", "json"), ("unknown option '--formt'", "'--format'")),
            (("list", "jobs", "--all"), ("--all", "only of actors", "jobs")),
            (("microbenchmark", "no such row"), ("no row's name contains 'no such row'",)),
            (("logs", "--follow", "--node", "2"), ("--node and --follow exclude each other",)),
            (("logs", "head.log", "--tail", "-1"), ('--tail: "-1": expected 0 to 1000000 lines',)),
            (("logs", "head.log", "--tail"), ("--tail: a value must follow",)),
            (("logs", "--tail", "1", "--tail", "2"), ("--tail: given more than once",)),
            (("status", "--format", "yaml"), ('--format: "yaml": expected table or json',)),
            (("status", "--format", "jsn"), ("did you mean 'json'?",)),
            (("start", "--head=maybe"), ("--head",)),
            (("start", "--head", "--ready-fd", "-1"), ("--ready-fd", "descriptor")),
            (("start", "--head", "--num-cpus", "-1"), ("--num-cpus", "-1")),
            (("start", "--head", "--log-files", "0"), ("--log-files", "1 to 100")),
            (("start", "--head", "--log-file-size", "1GiB", "--log-total", "2GiB"),
             ("--log-total", "4 files")),
        ):
            with self.subTest(arguments):
                self.assert_fails(vm.run(*arguments), *texts, code=2)

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
        self.assert_fails(vm.run(*head, RAYX_LOG_LEVEL="loud"), "RAYX_LOG_LEVEL", "loud")
        open_folder = tempfile.mkdtemp(prefix="rx", dir="/tmp")
        self.addCleanup(shutil.rmtree, open_folder)
        os.chmod(open_folder, 0o777)
        self.assert_fails(vm.run(*head, RAYX_SESSION_DIR=open_folder), "other users may write",
                          code=2)

    def test_no_permission(self):
        if not ROOT:
            self.skipTest("needs root to become somebody else")
        vm = self.vm()
        nobody = dict(user=65534, group=65534, extra_groups=[])
        run = lambda *arguments: subprocess.run(
            [RAYX, *arguments], env=vm.environment, stdin=subprocess.DEVNULL, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd="/", **nobody)
        self.assert_fails(run("start", "--head", "--port", "0"), "belongs to another user",
                          code=2)
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
        os.unlink(session["folder"] + "/session.json")
        os.mkfifo(session["folder"] + "/session.json")
        self.assert_fails(vm.run("status"), "session.json")


if __name__ == "__main__":
    unittest.main()
