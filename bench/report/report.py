"""Makes results/<id>/report.html from env.json, summary.json and the loss traces: one
self-contained page that a person looks at rather than reads.

    report.py RESULT_FOLDER
"""

import json
import os
import sys

import jinja2

import charts


class BadResult(Exception):
    """A file of the result is missing or damaged."""


def read_json(folder, name):
    path = os.path.join(folder, name)
    try:
        with open(path) as file:
            return json.load(file)
    except (OSError, ValueError) as error:
        raise BadResult(f"{path}: {error}") from error


def read_losses(folder, path):
    """The trace may have moved with its folder: only its name counts."""
    path = os.path.join(folder, "loss", os.path.basename(path))
    try:
        with open(path) as file:
            return [float.fromhex(line) for line in file]
    except (OSError, ValueError) as error:
        raise BadResult(f"{path}: {error}") from error


def thin(values, count=400):
    """At most so many points: a curve of a page, not the data."""
    step = max(1, len(values) // count)
    return values[::step]


def traces_of(folder, rows):
    traces = {}
    for row in rows:
        if row.get("loss_path") and not row.get("unrestricted"):
            trace = read_losses(folder, row["loss_path"])
            traces.setdefault(row["nodes"], {})[row["arm"]] = trace
    return traces


def agreement(traces):
    """For each number of VMs a sentence: how far the arms' curves are apart."""
    sentences = []
    for nodes, arms in sorted(traces.items()):
        if len(arms) < 2:
            sentences.append(f"{charts.vms(nodes)}: only one arm, nothing to compare")
            continue
        first, *others = arms.values()
        largest = max(abs(a - b) for other in others for a, b in zip(first, other))
        same = "identical in every bit" if largest == 0 else f"at most {largest:.1g} apart"
        sentences.append(f"{charts.vms(nodes)}: {len(arms)} curves, {same}")
    return sentences


def find_row(rows, arm, nodes):
    return next((r for r in rows if r["arm"] == arm and r["nodes"] == nodes and "total" in r), None)


def verdict(workload, nodes):
    """The card of one number of VMs: RayX against the tuned native program."""
    ratio = next((r for r in workload["ratios"]
                  if r["ours"] == "rayx" and r["rival"] == "native-py" and r["nodes"] == nodes
                  and r["metric"] == "total"), None)
    ours, rival = (find_row(workload["rows"], arm, nodes) for arm in ("rayx", "native-py"))
    if ratio is None or ratio["median"] is None or not ours or not rival:
        why = [f["why"].split("\n")[0] for f in workload["failures"]
               if f["nodes"] == nodes and f["arm"] in ("rayx", "native-py")]
        why += [w for r in workload["rows"] if r["nodes"] == nodes and r["arm"] in
                ("rayx", "native-py") for w in r["removed_because"]]
        asked = {r["arm"] for r in workload["rows"]} | {f["arm"] for f in workload["failures"]}
        if "rayx" not in asked:
            why = ["RayX was not part of this run"]
        return {"nodes": nodes, "kind": "none", "headline": "no verdict",
                "sentence": "; ".join(why) or "no pair in which both arms count"}
    median, low, high = ratio["median"], ratio["low"], ratio["high"]
    times = (f"RayX {ours['total']['median']:.2f} s, tuned native {rival['total']['median']:.2f} s")
    interval = f"95 % interval {low:.2f} to {high:.2f}, {ratio['pairs']} pairs"
    if ratio["verdict"] == "win":
        return {"nodes": nodes, "kind": "win", "headline": f"RayX {median:.2f}× as fast",
                "sentence": f"{times} ({interval})"}
    if ratio["verdict"] == "loss":
        return {"nodes": nodes, "kind": "loss", "headline": f"RayX takes {1 / median:.2f}× as long",
                "sentence": f"{times} (ratio {median:.2f}, {interval})"}
    if ratio["verdict"] == "too few pairs":
        return {"nodes": nodes, "kind": "none", "headline": "too few pairs",
                "sentence": f"{times}; {ratio['pairs']} pairs say nothing"}
    return {"nodes": nodes, "kind": "tie", "headline": "no difference",
            "sentence": f"{times} (ratio {median:.2f}, {interval} straddles 1)"}


def threats(env, workload):
    """What a reader should hold against these numbers, from what was measured."""
    result = []
    noise = env.get("noise", {})
    others = noise.get("other_cpu_share", 0)
    if others > 0.1:
        result.append(f"Other programs used {others:.0%} of this machine's CPU during the run. Pairs "
                      "share the disturbance, but single times are longer than on a quiet machine.")
    else:
        result.append(f"The machine was quiet: others used {others:.0%} of its CPU.")
    if noise.get("steal_share", 0) > 0.02:
        result.append(f"The hypervisor took {noise['steal_share']:.0%} of the CPU time.")
    if env.get("simulated_vms"):
        result.append(f"The VMs are simulated on one machine with {env['cpus']} CPUs: namespaces, a "
                      f"quota of {env['vm_cpus']} CPU each (counted per "
                      f"{env['vm_cpu_period_us'] / 1000:.0f} ms, which adds waits to every exchange), "
                      "and a virtual network without a wire's latency. Real VMs communicate slower.")
    else:
        result.append("No VMs were simulated: one machine without quota (" +
                      env.get("not_simulated_because", "") + ").")
    pairs = max([r["pairs"] for r in workload["ratios"]] or [0])
    if 0 < pairs < 5:
        result.append(f"{pairs} pairs: the intervals are wide by nature; the suite “full” takes 5.")
    result.append("The model is small (2.7 MB of gradients): communication weighs more here than in "
                  "large models. One workload says nothing about others.")
    result.append("Arms repeat inside one launch: file pages, allocators and the object store are "
                  "warm. Start-up is measured per launch and shown apart.")
    result.append("Both arms compute with the same LibTorch; differences are the runtime's and the "
                  "language's together (native is Python, RayX is C++).")
    return result


def facts(env):
    arms = next(iter(env.get("arms", {}).values()), {})
    first = next(iter(arms.values()), {})
    pairs = [
        ("CPU", f"{env.get('cpu')} × {env.get('cpus')} ({env.get('cpu_flags')})"),
        ("Memory", env.get("memory")),
        ("Kernel", env.get("kernel")),
        ("LibTorch", ", ".join(sorted({a.get("torch", "?") for a in arms.values()}))),
        ("BLAS", first.get("blas")),
        ("Threads a rank", env.get("threads_a_rank")),
        ("Python, compiler", f"{env.get('python')}, {env.get('compiler')}"),
        ("Revision", f"{env.get('git_revision')} ({env.get('git_changed_files')} changed files)"),
        ("VM shape", f"{env.get('vm_cpus')} CPU, period {env.get('vm_cpu_period_us')} µs"
                     if env.get("simulated_vms") else "not simulated"),
        ("Machine busy", "own {own_cpu_share:.0%}, others {other_cpu_share:.0%}, steal "
                         "{steal_share:.1%}".format(**env["noise"]) if "noise" in env else "?"),
        ("Load before", env.get("load_average_before")),
        ("Order seed", env.get("order_seed")),
        ("Time", env.get("time")),
    ]
    return [(name, value) for name, value in pairs if value is not None]


def section(folder, env, workload, number):
    rows = workload["rows"]
    traces = traces_of(folder, rows)
    prefix = f"w{number}"
    nodes = sorted({r["nodes"] for r in rows} | {f["nodes"] for f in workload["failures"]})
    shows = workload.get("shows_ratios", True)
    return {
        "name": workload["workload"], "title": workload["title"], "steps": workload["steps"],
        "shows_ratios": shows,
        "verdicts": [verdict(workload, n) for n in nodes] if shows else [],
        "removed": [r for r in rows if r["removed_because"]],
        "failures": workload["failures"],
        "all_gates_passed": workload["all_gates_passed"],
        "repetitions": sum(r["repetitions"] for r in rows),
        "rows": charts.ordered(rows),
        "agreement": agreement(traces),
        "ratio_chart": charts.ratio_chart(workload["ratios"], prefix + "r") if shows else "",
        "phases": charts.phase_bars(rows, prefix + "p") if shows else "",
        "losses": charts.loss_curves(
            {n: {a: thin(t) for a, t in arms.items()} for n, arms in traces.items()}, prefix + "l"),
        "speed_up": charts.speed_up(rows, prefix + "s") if shows else "",
        "starts": charts.grouped_bars(rows, "start", 1, "seconds until ready", prefix + "t",
                                      "daemons_start") if shows else "",
        "cpu": charts.grouped_bars(rows, "cpu_seconds", 1, "CPU seconds a repetition",
                                   prefix + "c") if shows else "",
        "memory": charts.grouped_bars(rows, "peak_memory_bytes", 1 / 2**20,
                                      "peak memory of all VMs, MiB", prefix + "m") if shows else "",
        "threats": threats(env, workload),
    }


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: report.py RESULT_FOLDER")
    folder = sys.argv[1]
    try:
        env, summary = read_json(folder, "env.json"), read_json(folder, "summary.json")
        if summary.get("schema") != 1:
            raise BadResult(f"{folder}: schema {summary.get('schema')}, this report knows 1")
        sections = [section(folder, env, w, i) for i, w in enumerate(summary["workloads"])]
    except BadResult as error:
        sys.exit(f"report: {error}")
    loader = jinja2.FileSystemLoader(os.path.dirname(os.path.abspath(__file__)))
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True,
                                     lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    environment.globals.update(arm_name=charts.arm_name, vms=charts.vms)
    page = environment.get_template("report.html.jinja").render(
        summary=summary, env=env, sections=sections, facts=facts(env))
    path = os.path.join(folder, "report.html")
    with open(path, "w") as file:
        file.write(page)
    print(f"report: {path}")


if __name__ == "__main__":
    main()
