"""Goal: a shell completes what the command line understands, no less and no more.

Method: bash runs the function that the script defines, with the words that it would be called with;
what it offers is compared with the help. The scripts of other shells are compared with the help,
and parsed where the shell is there.
"""

import re
import shutil
import subprocess
import unittest

from vm import RAYX, CliTest

COMMANDS = {"start", "stop", "status", "list", "logs", "microbenchmark", "completion"}
BASH = r"""
source <("$0" completion bash) || exit 3
[[ $(complete -p rayx) == 'complete -F _rayx rayx' ]] || exit 4
COMP_WORDS=("$0" "$@")
COMP_CWORD=$#
_rayx
((${#COMPREPLY[@]})) && printf '%s\n' "${COMPREPLY[@]}"
exit 0
"""


class Completion(CliTest):
    def offered(self, vm, *words):
        """What bash offers for the last word."""
        result = subprocess.run(["bash", "-c", BASH, RAYX, *words], env=vm.environment,
                                cwd=vm.home, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                text=True, timeout=60)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        return set(result.stdout.split())

    def flags_of(self, vm, command):
        """That its help shows."""
        shown = self.assert_ok(vm.run(command, "--help")).stdout
        return set(re.findall(r"^ *(?:-\w,)?(--[a-z-]+)", shown, re.M))

    def test_bash_completes_commands_flags_and_values(self):
        vm = self.vm()
        self.assertEqual(self.offered(vm, "st"), {"start", "stop", "status"})
        self.assertEqual(self.offered(vm, ""), COMMANDS)
        self.assertEqual(self.offered(vm, "--"), {"--help", "--version"})
        for command in sorted(COMMANDS):
            self.assertEqual(self.offered(vm, command, "--"), self.flags_of(vm, command))
        self.assertEqual(self.offered(vm, "start", "--log"),
                         {"--log-file-size", "--log-files", "--log-total"})
        for words in (("--format", ""), ("--format", "="), ("--format", "=", "")):
            self.assertEqual(self.offered(vm, "list", *words), {"table", "json"})
        self.assertEqual(self.offered(vm, "list", "a"), {"actors"})
        self.assertEqual(self.offered(vm, "completion", ""), {"bash", "fish", "zsh"})
        self.assertEqual(self.offered(vm, "start", "--port", ""), set())  # nobody can guess
        open(f"{vm.home}/joiner", "w", encoding="utf-8").close()
        self.assertEqual(self.offered(vm, "start", "--join-file", "jo"), {"joiner"})

    def test_bash_completes_the_names_of_logs(self):
        vm = self.vm()
        self.assertEqual(self.offered(vm, "logs", ""), set())  # no cluster, no word on stderr
        self.start_head(vm)
        self.assertLessEqual({"head.log", "node.log"}, self.offered(vm, "logs", ""))
        self.assertEqual(self.offered(vm, "logs", "--follow", "hea"), {"head.err", "head.log"})

    def test_every_shell_has_every_flag(self):
        vm = self.vm()
        for shell, form in (("fish", "from {}' -l {} "), ("zsh", "'--{1}")):
            script = self.assert_ok(vm.run("completion", shell)).stdout
            for command in sorted(COMMANDS):
                for flag in self.flags_of(vm, command):
                    self.assertIn(form.format(command, flag[2:]), script)
            self.assertNotIn("embedded", script)  # a driver's own
            if shutil.which(shell):
                subprocess.run([shell, "-n"], input=script, text=True, check=True, timeout=60)

    def test_fish_offers_the_programs_flags_and_known_values_alone(self):
        script = self.assert_ok(self.vm().run("completion", "fish")).stdout
        for flag in ("help", "version"):
            self.assertIn(f"complete -c rayx -n __fish_use_subcommand -l {flag} -d", script)
        self.assertIn("from list' -l format -x -a 'table json'", script)
        self.assertIn("from start' -l port -r -d", script)

    def test_an_unknown_shell_is_refused(self):
        vm = self.vm()
        self.assert_fails(vm.run("completion", "bsh"), "bash, fish or zsh", "did you mean 'bash'?",
                          code=2)
        self.assert_fails(vm.run("completion"), "SHELL is missing", code=2)


if __name__ == "__main__":
    unittest.main()
