"""Goal: the report shows losses as plainly as wins, hides nothing that was removed, is one file.
Method: a made-up result with every kind of verdict, a failed gate and an arm that was not run."""

import copy
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest

try:
    import jinja2  # noqa: F401
    import matplotlib  # noqa: F401
except ImportError as missing:
    print(f"not run: {missing}")
    sys.exit(77)

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../bench/report")
sys.path.insert(0, FOLDER)
import analysis  # noqa: E402
import charts  # noqa: E402
import ease  # noqa: E402
import report  # noqa: E402


def estimate(value):
    return {"median": value, "low": value * 0.9, "high": value * 1.1, "samples": [value],
            "coverage": 0.75}


def row(arm, nodes, total):
    return {"arm": arm, "nodes": nodes, "repetitions": 3, "repetitions_removed": 0,
            "removed_because": [], "unrestricted": False, "total": estimate(total),
            "phases": {p: estimate(total / 4) for p in ("load", "preprocess", "train", "evaluate")},
            "start": estimate(5.0), "step_ms": estimate(7.0), "cpu_seconds": estimate(2.0),
            "outside_phases": estimate(0.012), "others_cpu_seconds": estimate(0.03),
            "compared": True,
            "peak_memory_bytes": estimate(5e8), "quality": {"accuracy": 0.6},
            "series": {"loss": f"/gone/{arm}.n{nodes}.loss.txt"}}


def ratio(nodes, median, verdict, pairs, coverage, words):
    return {"ours": "rayx", "rival": "native-py", "nodes": nodes, "metric": "total",
            "median": median, "low": median * 0.97, "high": median * 1.03, "pairs": pairs,
            "coverage": coverage, "verdict": verdict, "words": words}


def comparison(nodes, how, reference="native-py", reference_nodes=None):
    return {"nodes": nodes, "reference": reference, "reference_nodes": reference_nodes or nodes,
            "arms": ["rayx"], "agreement": [{"what": "features", "how": "in every bit"},
                                            {"what": "loss of each step", "how": how}]}


ENVIRONMENT = {
    "time": "T", "cpu": "C", "cpus": 2, "cpu_flags": "avx2", "vm_cpus": 0.6,
    "vm_cpu_period_us": 10000, "simulated_vms": True, "command": "rayx-bench run <b>&",
    "noise": {"busy_cpu_share": 0.8, "own_cpu_share": 0.5, "other_cpu_share": 0.3,
              "steal_share": 0.0},
}
WORKLOAD = {
    "workload": "w", "title": "A workload", "steps": 3, "step_word": "step", "shows_ratios": True,
    "phases": ["load", "preprocess", "train", "evaluate"], "main_phase": "train",
    "qualities": [{"value": "accuracy", "label": "accuracy", "digits": 4}],
    "curve": {"series": "loss", "title": "Do they learn the same?", "label": "training loss",
              "logarithmic": False},
    "exchanged_bytes": 2_700_000, "exchanged_what": "gradients", "remark": "A remark of its own.",
    "all_gates_passed": True, "failures": [], "not_compared_on": [],
    "comparisons": [comparison(1, "in every bit"), comparison(2, "in every bit"),
                    comparison(3, "within 1e-06")],
    "rows": [row(arm, n, 2.0) for n in (1, 2, 3) for arm in ("rayx", "native-py")],
    "ratios": [ratio(1, 1.25, "faster", 3, 0.75, "faster in all 3 pairs"),
               ratio(2, 1.01, "no difference", 5, 0.9375, "no difference"),
               ratio(3, 0.8, "slower", 6, 0.96875, "loss")],
}


def line(ending, seconds, fault_at, steps=True):
    return {"ending": ending, "seconds": seconds, "fault_at": fault_at,
            "steps": [[0.5 * i, i] for i in range(1, 5)] if steps else [],
            "phases": [{"name": "load", "end": 0.4}],
            "cpu": {"at": [0.2, 0.4], "vms": [[0.6, 0.5], [0.3, None]]}}


def arm_of_scenario(arm, words, ending, disturbed, **more):
    return {"arm": arm, "words": words, "ending": ending, "error": "", "other_result": "",
            "timeline": {"undisturbed": line("finished", 3.0, None), "disturbed": disturbed},
            **more}


SCENARIOS = [
    {"name": "vm-lost", "title": "A VM is lost", "what": "one VM is gone", "workload": "w",
     "nodes": 3, "steps": 8, "step_word": "step", "not_run_because": "", "arms": [
         arm_of_scenario("rayx", "fails 12.0 s after the fault: ActorDied <b>", "failed",
                         line("failed", 14.0, 2.0), after_fault_seconds=12.0),
         arm_of_scenario("native-py", "hangs: neither a result nor an error 60 s after the fault",
                         "hung", line("hung", 62.0, 2.0, steps=False), after_fault_seconds=60.0)]},
    {"name": "straggler", "title": "One VM is slow", "what": "half a quota", "workload": "w",
     "nodes": 3, "steps": 8, "step_word": "step", "not_run_because": "", "arms": [
         arm_of_scenario("rayx", "finishes in 6.00 s, 1.50x as long as undisturbed", "finished",
                         line("finished", 6.0, None), ratio=estimate(1.5)),
         {"arm": "native-py", "words": "not run: it did not start"}]},
    {"name": "cold-start", "title": "Cold start", "what": "nothing runs", "workload": "w",
     "nodes": 3, "steps": 1, "step_word": "step", "not_run_because": "", "arms": [
         {"arm": "rayx", "words": "first step done after 4.0 s", "ending": "finished",
          "cold_start": {part: estimate(1.0) for part in
                         ("daemons", "ready", "first_step", "total")}}]},
    {"name": "twice", "title": "Data twice the store", "what": "much data", "workload": "",
     "nodes": 3, "steps": 0, "step_word": "step", "not_run_because": "it cannot spill",
     "arms": []},
]
EASE = {
    "vms": 3,
    "lines": [{"workload": "w", "arm": "rayx", "lines": 120, "program_lines": 80,
               "files": ["a", "b"]},
              {"workload": "w", "arm": "native-py", "lines": 90, "program_lines": 90,
               "files": ["c"]}],
    "facts": [{"arm": "rayx", "label": "files copied by hand", "reason": "the join file",
               "value": 2},
              {"arm": "native-py", "label": "files copied by hand", "reason": "the program",
               "value": 4}],
    "mistakes": [{"mistake": "m", "title": "a wrong port", "arm": "rayx", "ending": "named",
                  "seconds": 1.2, "text": "nobody <listens>"},
                 {"mistake": "m", "title": "a wrong port", "arm": "native-py", "ending": "nothing",
                  "seconds": 60.0, "text": "waiting"}],
}


class ReportTest(unittest.TestCase):
    pages = {}  # charts take their time: the same page is made once

    def render(self, *workloads, **options):
        key = json.dumps([workloads, options])
        if key not in self.pages:
            self.pages[key] = self.make_page(*workloads, **options)
        return self.pages[key]

    def make_page(self, *workloads, complete=True, environment=ENVIRONMENT, scenarios=None,
                  ease=None):
        with tempfile.TemporaryDirectory() as folder:
            os.mkdir(os.path.join(folder, "series"))
            for r in (row for workload in workloads for row in workload["rows"]):
                for path in r.get("series", {}).values():
                    with open(os.path.join(folder, "series", os.path.basename(path)), "w") as file:
                        file.write("0x1p+1\n0x1.8p+0\n0x1p+0\n")
            summary = {"schema": 4, "id": "ID", "suite": "quick", "complete": complete,
                       "workloads": workloads, "scenarios": scenarios or [],
                       "ease": ease or {"mistakes": []}}
            for name, value in (("env.json", environment), ("summary.json", summary)):
                with open(os.path.join(folder, name), "w") as file:
                    json.dump(value, file)
            report.make(folder)
            with open(os.path.join(folder, "report.html")) as file:
                return file.read()

    def test_every_verdict_in_plain_words(self):
        page = self.render(WORKLOAD)
        for words in ("RayX 1.25× as fast", "no difference", "RayX takes 1.25× as long",
                      "The results are the same", "identical in every bit",
                      "Same as “native, tuned” (1 VM: RayX; 2 VMs: RayX). "
                      "Features and loss of each step: in every bit.",
                      "Same as “native, tuned” (3 VMs: RayX). "
                      "Features: in every bit; loss of each step: within 1e-06.",
                      "2.7 MB of gradients in each step", "A remark of its own.",
                      "Do they learn the same?", "efficiency of train, %",
                      "ms / step", "<th>accuracy</th>", "<td>0.6</td>",
                      "At most they used 0.030 CPU seconds a repetition, 1.5%"):
            self.assertIn(words, page)

    def other_workload(self):
        """One with results that do not depend on the number of VMs, and other phases."""
        workload = copy.deepcopy(WORKLOAD)
        workload.update(workload="v", title="Another workload", step_word="iteration",
                        phases=["load", "iterate"], main_phase="iterate", remark="",
                        qualities=[{"value": "inertia", "label": "inertia", "digits": 6}],
                        curve={"series": "change", "title": "Do they converge alike?",
                               "label": "change", "logarithmic": True},
                        exchanged_bytes=43_000, exchanged_what="partial sums",
                        comparisons=[comparison(n, "within 1e-09 of itself", "serial", 1)
                                     for n in (1, 2, 3)])
        for r in workload["rows"]:
            r["phases"] = {p: estimate(1.0) for p in ("load", "iterate")}
            r["quality"] = {"inertia": 1234567.0}
            r["series"] = {"change": f"/gone/v.{r['arm']}.n{r['nodes']}.change.txt"}
        return workload

    def test_several_workloads_have_an_overview_and_their_own_words(self):
        page = self.render(WORKLOAD, self.other_workload())
        for words in ("at a glance", "A workload", "Another workload", "ms / iteration",
                      "<th>iterate s</th>",
                      "1.23457e+06", "Do they converge alike?",
                      "43 kB of partial sums in each iteration",
                      "Time is load + iterate;",
                      "Same as “serial, 1 VM” (1 VM: RayX; 2 VMs: RayX; 3 VMs: RayX). "
                      "Features: in every bit; loss of each step: within 1e-09 of itself."):
            self.assertIn(words, page)
        ids = re.findall(r'\sid="([^"]+)"', page)
        self.assertEqual(len(ids), len(set(ids)))

    def test_the_native_program_in_c_plus_plus_is_named(self):
        workload = copy.deepcopy(WORKLOAD)
        workload["rows"] += [row("native-cpp", n, 1.5) for n in (1, 2, 3)]
        workload["ratios"] += [{**ratio(1, 0.97, "slower", 3, 0.75, "slower in all 3 pairs"),
                                "rival": "native-cpp"}]
        page = self.render(workload)
        self.assertIn("Against the native C++ program: ratio 0.97 (0.94 to 1.00), "
                      "slower in all 3 pairs.", page)
        self.assertIn("“native, C++” is", page)
        self.assertNotIn("“native, C++” is", self.render(WORKLOAD))

    def test_intervals_say_what_they_are_worth(self):
        page = self.render(WORKLOAD)
        for words in ("faster in all 3 pairs", "with a probability of 75 %",
                      "with a probability of 93.8 %", "with a probability of 96.9 %"):
            self.assertIn(words, page)
        self.assertNotIn("95 % interval", page)

    def test_an_arm_that_was_alone_is_not_called_right(self):
        workload = copy.deepcopy(WORKLOAD)
        workload["rows"] = [r for r in workload["rows"] if r["arm"] == "rayx"]
        workload.update(ratios=[], comparisons=[], not_compared_on=[1, 2, 3])
        page = self.render(workload)
        self.assertIn("Not compared.", page)
        self.assertIn("On 1, 2 and 3 VMs", page)
        self.assertNotIn("The results are the same", page)
        self.assertNotIn("Not everything counts", page)
        self.assertIn("not part of this run: native, tuned", page)

    def test_unmetered_cpu_is_not_called_quiet(self):
        noise = {"busy_cpu_share": 0.4, "own_cpu_share": None, "other_cpu_share": None,
                 "steal_share": 0.0}
        page = self.render(WORKLOAD, environment={**ENVIRONMENT, "noise": noise})
        self.assertIn("could not be metered", page)
        self.assertNotIn("The machine was quiet", page)

    def test_one_file_without_references_and_with_unique_ids(self):
        page = self.render(WORKLOAD)
        self.assertNotRegex(page, r'(src|href)="(?!#)')
        self.assertNotIn("<script", page)
        ids = re.findall(r'\sid="([^"]+)"', page)
        self.assertGreater(len(ids), 10)
        self.assertEqual(len(ids), len(set(ids)))
        self.assertIn("rayx-bench run &lt;b&gt;&amp;", page)

    def test_what_was_removed_or_not_run_is_said_first(self):
        workload = copy.deepcopy(WORKLOAD)
        removed = workload["rows"][0]
        for key in ("total", "phases", "step_ms", "cpu_seconds", "peak_memory_bytes", "quality",
                    "series", "unrestricted"):
            del removed[key]
        removed.update(repetitions=0, repetitions_removed=3, removed_because=["the loss differs"])
        workload["all_gates_passed"] = False
        workload["ratios"][0].update(median=None, low=None, high=None, pairs=0)
        workload["failures"] = [{"arm": "serial", "nodes": 1, "why": "it died\nat length"}]
        page = self.render(workload, complete=False)
        self.assertIn("RayX on 1 VM: 3 removed: the loss differs", page)
        self.assertIn("not run: it died", page)
        self.assertNotIn("at length", page)
        self.assertIn("This run did not finish", page)
        self.assertNotIn("The results are the same", page)
        self.assertNotIn("RayX 1.25× as fast", page)

    def test_what_happens_when_something_goes_wrong(self):
        page = self.render(WORKLOAD, scenarios=SCENARIOS)
        for words in ("error after 12.0 s", "hangs (&gt; 60 s)", "finishes, 1.50× the time",
                      "fails 12.0 s after the fault: ActorDied &lt;b&gt;",
                      "error 12.0 s after the fault", "still silent 60.0 s after the fault",
                      "this program does not say when a step is done",
                      "not run: it did not start", "<b>not run</b>: it cannot spill",
                      "first step done after 4.0 s", "daemons of the cluster"):
            self.assertIn(words, page)
        ids = re.findall(r'\sid="([^"]+)"', page)
        self.assertEqual(len(ids), len(set(ids)))

    def test_encryption_is_named_where_vms_are_simulated(self):
        self.assertIn("is encrypted (TLS)", self.render(WORKLOAD))

    def test_scenarios_alone_make_a_page(self):
        page = self.render(scenarios=SCENARIOS, ease=EASE)
        self.assertIn("When something goes wrong", page)
        self.assertNotIn("Where RayX loses", page)

    def test_ease_of_use_is_in_numbers_with_their_reasons(self):
        page = self.render(WORKLOAD, ease=EASE)
        for words in ("<b>120</b>", "in 2 files", "<b>90</b>", "in 1 file<", "<b>2</b>",
                      "the join file", "<b>4</b>", "after 1.2 s", "nobody &lt;listens&gt;",
                      "nothing in 60 s"):
            self.assertIn(words, page)
        self.assertNotIn("How much must a user write", self.render(WORKLOAD))

    def test_losses_are_explained_by_phase_cpu_and_bytes(self):
        workload = copy.deepcopy(WORKLOAD)
        ours = next(r for r in workload["rows"] if (r["arm"], r["nodes"]) == ("rayx", 3))
        ours.update(total=estimate(2.5), cpu_seconds=estimate(2.0))
        ours["phases"]["train"] = estimate(1.0)
        workload["rows"].append(row("native-cpp", 3, 1.25))
        page = self.render(workload)
        for words in ("w on 3 VMs: 1.25× as long.", "0.50 s lie in train",
                      "exchanges 2.7 MB of gradients in each of 3 steps",
                      "the same or less work, so that the difference is waiting",
                      "Native C++ with the same kernel takes 1.25 s: "
                      "RayX’s runtime makes that 2.00×",
                      "w on 2 VMs"):  # a tie
            self.assertIn(words, page)
        ours["cpu_seconds"] = estimate(2.6)
        self.assertIn("it computes more, it does not only wait", self.render(workload))
        # The ratio is everywhere the median over pairs, not once that of two medians.
        ours["total"] = estimate(2.6)
        self.assertIn("w on 3 VMs: 1.25× as long.", self.render(workload))

    def test_a_win_is_called_less_work_only_where_it_is(self):
        def words(cpu_seconds):
            return analysis.cpu_words({"cpu_seconds": estimate(cpu_seconds)},
                                      {"cpu_seconds": estimate(2.0)}, times=0.5, loses=False)

        self.assertIn("as much work, less waiting", words(2.2))
        self.assertIn("partly work, partly waiting", words(1.7))
        self.assertIn("by computing less", words(1.4))

    def test_a_long_curve_keeps_its_places(self):
        for length in (1, 3, 400, 401, 799, 938):
            places, values = charts.thinned(list(range(1, length + 1)))
            self.assertEqual(list(places), values)
            self.assertLessEqual(len(values), charts.CURVE_POINTS_MAX)
            self.assertGreater(len(values), min(length, charts.CURVE_POINTS_MAX) / 2)

    def test_an_arm_that_the_charts_do_not_know_is_drawn_too(self):
        workload = copy.deepcopy(WORKLOAD)
        workload["rows"] += [row("other-cpp", n, 1.5) for n in (1, 2, 3)]
        page = self.render(workload)
        for name in ("w0p-", "w0l-", "w0s-", "w0e-", "w0c-"):  # a chart each
            chart = page[page.index(f'id="{name}'):]
            self.assertIn("other-cpp", chart[:chart.index("</svg>")])

    def test_a_mistake_that_was_not_made_is_no_loss(self):
        cell = ease.mistake_cell({"ending": "not run", "seconds": 0, "text": "no LibTorch"})
        self.assertEqual((cell["words"], cell["kind"]), ("not run", "none"))

    def test_a_damaged_result_is_an_error_that_names_the_file(self):
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run([sys.executable, f"{FOLDER}/report.py", folder],
                                  capture_output=True, text=True)
            self.assertEqual(done.returncode, 1)
            self.assertIn("env.json", done.stderr)


if __name__ == "__main__":
    unittest.main()
