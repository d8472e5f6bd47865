"""Makes results/<id>/report.html from env.json, summary.json and the series: one
self-contained page that a person looks at rather than reads.

    report.py RESULT_FOLDER
"""

import json
import os
import sys

import jinja2

import analysis
import charts
import ease


SCHEMA = 4  # bench/runner/result_writer.h


class BadResult(Exception):
    """A file of the result is missing or damaged."""


def read_json(folder, name):
    path = os.path.join(folder, name)
    try:
        with open(path) as file:
            return json.load(file)
    except (OSError, ValueError) as error:
        raise BadResult(f"{path}: {error}") from error


def read_series(folder, path):
    """The series may have moved with its folder: only its name counts."""
    path = os.path.join(folder, "series", os.path.basename(path))
    try:
        with open(path) as file:
            return [float.fromhex(line) for line in file]
    except (OSError, ValueError) as error:
        raise BadResult(f"{path}: {error}") from error


def curves_of(folder, workload):
    """{nodes: {arm: numbers}} of the series that the workload wants drawn."""
    curves = {}
    if workload["curve"] is None:
        return curves
    for row in workload["rows"]:
        path = row.get("series", {}).get(workload["curve"]["series"])
        if path and not row.get("unrestricted"):
            curves.setdefault(row["nodes"], {})[row["arm"]] = read_series(folder, path)
    return curves


def how_far_apart(curves):
    """For each number of VMs a sentence: how far the arms' curves are apart."""
    sentences = []
    for nodes, arms in sorted(curves.items()):
        if len(arms) < 2:
            sentences.append(f"{charts.vms(nodes)}: only one arm, nothing to compare")
            continue
        first, *others = arms.values()
        pairs = [(a, b) for other in others for a, b in zip(first, other)]
        largest = max(abs(a - b) for a, b in pairs)
        share = max(abs(a - b) / abs(a) for a, b in pairs if a) if largest else 0
        same = ("identical in every bit" if largest == 0
                else f"at most {largest:.1g} apart ({share:.1g} of the number)")
        sentences.append(f"{charts.vms(nodes)}: {len(arms)} curves, {same}")
    return sentences


def percent(share):
    """A probability without false precision: 75 %, 93.8 %."""
    return f"{share * 100:.3g} %"


def interval_words(estimate, count, what):
    return (f"{estimate['low']:.2f} to {estimate['high']:.2f} in {count} {what}; such a range "
            f"contains the true median with a probability of {percent(estimate['coverage'])}")


def interval_note(ratios):
    """What the whiskers of the charts are worth, from the number of pairs."""
    worth = sorted({(r["pairs"], r["coverage"]) for r in ratios if r["pairs"]})
    return "; ".join(f"with {pairs} pairs it contains the true median with a "
                     f"probability of {percent(coverage)}"
                     for pairs, coverage in worth)


def why_no_verdict(workload, nodes):
    ours = ("rayx", "native-py")
    rows = [r for r in workload["rows"] if r["nodes"] == nodes and r["arm"] in ours]
    failures = [f for f in workload["failures"] if f["nodes"] == nodes and f["arm"] in ours]
    asked = {r["arm"] for r in workload["rows"]} | {f["arm"] for f in workload["failures"]}
    missing = [charts.arm_name(arm) for arm in ours if arm not in asked]
    if missing:
        return f"not part of this run: {' and '.join(missing)}"
    why = [f"{charts.arm_name(f['arm'])}: {first_line(f['why'])}" for f in failures]
    why += [f"{charts.arm_name(r['arm'])}: {w}" for r in rows for w in r["removed_because"]]
    return "; ".join(why) or "no pair in which both arms count"


def find_ratio(workload, rival, nodes):
    """RayX's ratio of total times against a rival."""
    return next((r for r in workload["ratios"]
                 if r["ours"] == "rayx" and r["rival"] == rival and r["nodes"] == nodes
                 and r["metric"] == "total"), None)


def cpp_note(workload, nodes):
    """The same kernel without RayX: what the runtime alone makes of it."""
    ratio = find_ratio(workload, "native-cpp", nodes)
    if ratio is None or ratio["median"] is None:
        return ""
    return (f" Against the native C++ program: ratio {ratio['median']:.2f} "
            f"({ratio['low']:.2f} to {ratio['high']:.2f}), {ratio['words']}.")


def verdict(workload, nodes):
    """The card of one number of VMs: RayX against the tuned native program."""
    ratio = find_ratio(workload, "native-py", nodes)
    ours, rival = (analysis.find(workload["rows"], arm, nodes) for arm in ("rayx", "native-py"))
    card = {"nodes": nodes, "kind": "none", "label": "", "note": ""}
    if ratio is None or ratio["median"] is None or not ours or not rival:
        return {**card, "headline": "no verdict", "sentence": why_no_verdict(workload, nodes)}
    median, pairs = ratio["median"], ratio["pairs"]
    card["sentence"] = (f"RayX {ours['total']['median']:.2f} s, tuned native "
                        f"{rival['total']['median']:.2f} s")
    card["note"] = f"Ratio {median:.2f} ({interval_words(ratio, pairs, 'pairs')})."
    if ratio["verdict"] == "too few pairs":
        return {**card, "headline": "too few pairs", "note": f"{pairs} say nothing."}
    if ratio["verdict"] == "no difference":
        note = card["note"][:-1] + ", and it contains 1." + cpp_note(workload, nodes)
        return {**card, "kind": "tie", "headline": "no difference", "note": note}
    card["note"] += cpp_note(workload, nodes)
    faster = ratio["verdict"] == "faster"
    headline = f"RayX {median:.2f}× as fast" if faster else f"RayX takes {1 / median:.2f}× as long"
    kind = ("win" if faster else "loss") + ("" if ratio["words"] in ("win", "loss") else " faint")
    return {**card, "kind": kind, "headline": headline, "label": ratio["words"]}


def first_line(text):
    return text.split("\n")[0]


def quoted(arm):
    """The arm's name in a sentence, where a comma in it would mislead."""
    name = charts.arm_name(arm)
    return f"“{name}”" if "," in name else name


def listing(words):
    words = [str(w) for w in words]
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def agreements(workload):
    """What the gates have shown: a sentence for each kind of agreement and reference."""
    kinds = {}
    for c in workload["comparisons"]:
        how = {}
        for gate in c["agreement"]:
            how.setdefault(gate["how"], []).append(gate["what"])
        words = "; ".join(f"{listing(what)}: {close}" for close, what in how.items())
        # One reference for all numbers of VMs says where it ran.
        here = c["reference_nodes"] == c["nodes"] and c["reference"] != "serial"
        reference = (quoted(c["reference"]) if here or c["reference"].startswith("serial")
                     else f"{quoted(c['reference'])} on {charts.vms(c['reference_nodes'])}")
        kinds.setdefault((reference, words), []).append(c)
    sentences = []
    for (reference, words), entries in sorted(kinds.items()):
        who = "; ".join(f"{charts.vms(c['nodes'])}: {listing(quoted(a) for a in c['arms'])}"
                        for c in entries)
        sentences.append(f"Same as {reference} ({who}). {words[0].upper()}{words[1:]}.")
    return sentences


def noise_threats(noise):
    others, steal = noise.get("other_cpu_share"), noise.get("steal_share", 0)
    if others is None:
        yield (f"This run’s own CPU time could not be metered (that needs root), so that it is not "
               f"known what other programs used: all together {noise['busy_cpu_share']:.0%} of the "
               "machine.")
    elif others > 0.1:
        yield (f"Other programs used {others:.0%} of this machine’s CPU during the run. Pairs "
               "share the disturbance, but single times are longer than on a quiet machine.")
    else:
        yield f"The machine was quiet: others used {others:.0%} of its CPU."
    if steal > 0.02:
        yield f"The hypervisor took {steal:.0%} of the CPU time."


def sleepers_threat(rows):
    """What sleeping arms cost the one that ran: the same quota feeds them."""
    shares = []
    for r in rows:
        others, own = (r.get(k, {}).get("median") for k in ("others_cpu_seconds", "cpu_seconds"))
        if others is not None and own and not r.get("unrestricted"):
            shares.append((others / own, others, r))
    if not shares:
        return "It is not known what sleeping arms used of the quota while another one ran."
    share, seconds, row = max(shares, key=lambda s: s[0])
    return (f"Arms that sleep, RayX’s daemons among them, share the VMs’ quota with the one that "
            f"runs. At most they used {seconds:.3f} CPU seconds a repetition, {share:.1%} of what "
            f"{charts.place(row['arm'], row['nodes'])} used itself.")


def outside_threat(rows):
    """A time is the sum of its phases: what is in none must be seen."""
    rows = [r for r in rows if "outside_phases" in r]
    if not rows:
        return None
    row = max(rows, key=lambda r: r["outside_phases"]["median"])
    return (f"A repetition’s time is the sum of its phases. What lies between them and is in none: "
            f"at most {row['outside_phases']['median'] * 1000:.0f} ms "
            f"({charts.place(row['arm'], row['nodes'])}).")


def quota_words(env):
    if not env["vm_cpus"]:
        return "no quota"
    return (f"a quota of {env['vm_cpus']} CPU each (counted per "
            f"{env['vm_cpu_period_us'] / 1000:.0f} ms, which adds waits to every exchange)")


def machine_threats(env):
    """What a reader should hold against any number of this run."""
    result = list(noise_threats(env.get("noise", {"busy_cpu_share": 0})))
    if env.get("simulated_vms"):
        result.append(f"The VMs are simulated on one machine with {env['cpus']} CPUs: namespaces, "
                      f"{quota_words(env)}, and a virtual network without a wire’s latency. Real "
                      "VMs communicate slower.")
        result.append("What RayX’s daemons send between VMs, tasks and objects, is encrypted "
                      "(TLS); what Gloo sends is not, RayX’s gradients among it.")
    else:
        result.append("No VMs were simulated: one machine without quota (" +
                      env.get("not_simulated_because", "") + ").")
    return result


def threats(env, workload):
    """What a reader should hold against these numbers, from what was measured."""
    result = machine_threats(env)
    ratios = [r for r in workload["ratios"] if r["pairs"]]
    few = min(ratios, key=lambda r: r["pairs"]) if ratios and workload["shows_ratios"] else None
    if few is not None and few["coverage"] < 0.95:
        result.append(f"Few pairs ({few['pairs']}): the interval of a ratio is the range of all of "
                      "them, which contains the true median with a probability of "
                      f"{percent(few['coverage'])} only. More than 95 % needs 6 pairs (--reps 6).")
    if workload["exchanged_bytes"]:
        result.append(f"VMs exchange {analysis.size_words(workload['exchanged_bytes'])} of "
                      f"{workload['exchanged_what']} in each {workload['step_word']}: the less "
                      "there is to compute beside it, the more communication weighs. One workload "
                      "says nothing about others.")
    result += filter(None, [sleepers_threat(workload["rows"]), outside_threat(workload["rows"])])
    result.append("Arms repeat inside one launch: file pages, allocators and the object store are "
                  "warm. Start-up is measured per launch and shown apart.")
    if workload["remark"]:
        result.append(workload["remark"])
    return result


def busy(noise):
    if noise is None:
        return None
    if noise["own_cpu_share"] is None:
        return f"{noise['busy_cpu_share']:.0%}, steal {noise['steal_share']:.1%}"
    return "own {own_cpu_share:.0%}, others {other_cpu_share:.0%}, steal {steal_share:.1%}".format(
        **noise)


def facts(env):
    arms = [arm for workload in env.get("arms", {}).values() for arm in workload.values()]
    libraries, blas = ({arm[key] for arm in arms if key in arm} for key in ("torch", "blas"))
    pairs = [
        ("CPU", f"{env.get('cpu')} × {env.get('cpus')} ({env.get('cpu_flags')})"),
        ("Memory", env.get("memory")),
        ("Kernel", env.get("kernel")),
        ("LibTorch", ", ".join(sorted(libraries)) or None),
        ("BLAS", ", ".join(sorted(blas)) or None),
        ("Threads a rank", env.get("threads_a_rank")),
        ("Python, compiler", f"{env.get('python')}, {env.get('compiler')}"),
        ("Revision", f"{env.get('git_revision')} ({env.get('git_changed_files')} changed files)"),
        ("VM shape", "not simulated" if not env.get("simulated_vms") else
                     f"{env['vm_cpus']} CPU, period {env['vm_cpu_period_us']} µs"
                     if env["vm_cpus"] else "no quota"),
        ("Machine busy", busy(env.get("noise"))),
        ("Load before", env.get("load_average_before")),
        ("Order seed", env.get("order_seed")),
        ("Time", env.get("time")),
    ]
    return [(name, value) for name, value in pairs if value is not None]


def section(folder, env, workload, number):
    rows = workload["rows"]
    curves = curves_of(folder, workload)
    prefix = f"w{number}"
    nodes = sorted({r["nodes"] for r in rows} | {f["nodes"] for f in workload["failures"]})
    shows = workload.get("shows_ratios", True)
    phases, main_phase = workload["phases"], workload["main_phase"]
    return {
        "id": prefix,
        "name": workload["workload"], "title": workload["title"], "steps": workload["steps"],
        "step_word": workload["step_word"], "phases": phases, "main_phase": main_phase,
        "qualities": workload["qualities"],
        "shows_ratios": shows,
        "verdicts": [verdict(workload, n) for n in nodes] if shows else [],
        "removed": [r for r in rows if r["removed_because"]],
        "failures": [{**f, "why": first_line(f["why"])} for f in workload["failures"]],
        "all_gates_passed": workload["all_gates_passed"],
        "agreements": agreements(workload),
        "not_compared_on": workload["not_compared_on"],
        "rows": charts.ordered(rows),
        "curve": workload["curve"],
        "how_far_apart": how_far_apart(curves),
        "interval_note": interval_note(workload["ratios"]),
        "ratio_chart": charts.ratio_chart(workload["ratios"], prefix + "r") if shows else "",
        "phase_chart": charts.phase_bars(rows, phases, main_phase, prefix + "p") if shows else "",
        "curves": charts.curves(curves, workload["curve"], workload["step_word"], prefix + "l"),
        "speed_up": charts.speed_up(rows, main_phase, prefix + "s") if shows else "",
        "efficiency": charts.efficiency(rows, main_phase, prefix + "e") if shows else "",
        "starts": charts.grouped_bars(rows, "start", 1, "seconds until ready", prefix + "t",
                                      "daemons_start") if shows else "",
        "cpu": charts.grouped_bars(rows, "cpu_seconds", 1, "CPU seconds a repetition",
                                   prefix + "c") if shows else "",
        "memory": charts.grouped_bars(rows, "peak_memory_bytes", 1 / 2**20,
                                      "peak memory of all VMs, MiB", prefix + "m") if shows else "",
        "threats": threats(env, workload),
    }


def overview(sections):
    """One line a workload: its verdict on each number of VMs, and whether its results count."""
    nodes = sorted({v["nodes"] for s in sections for v in s["verdicts"]})
    lines = []
    for s in sections:
        by_nodes = {v["nodes"]: v for v in s["verdicts"]}
        if not s["rows"]:
            gates = "nothing was measured"
        elif s["all_gates_passed"] and not s["failures"]:
            gates = "not compared" if s["not_compared_on"] else "same results"
        else:
            gates = "not everything counts"
        lines.append({"id": s["id"], "name": s["name"], "title": s["title"], "gates": gates,
                      "verdicts": [by_nodes.get(n) for n in nodes]})
    return {"nodes": nodes, "lines": lines}


def make(folder):
    """Writes the page; its path."""
    env, summary = read_json(folder, "env.json"), read_json(folder, "summary.json")
    if summary.get("schema") != SCHEMA:
        raise BadResult(f"{folder}: schema {summary.get('schema')}, this report knows {SCHEMA}")
    scenarios = ease.scenarios(summary, env)
    sections = [section(folder, env, w, i) for i, w in enumerate(summary["workloads"])]
    loader = jinja2.FileSystemLoader(os.path.dirname(os.path.abspath(__file__)))
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True,
                                     lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    environment.globals.update(arm_name=charts.arm_name, vms=charts.vms, listing=listing)
    page = environment.get_template("report.html.jinja").render(
        summary=summary, env=env, sections=sections, overview=overview(sections), facts=facts(env),
        scenarios=scenarios, machine_threats=machine_threats(env), card=ease.card(summary["ease"]),
        why=analysis.analyse(summary["workloads"]))
    path = os.path.join(folder, "report.html")
    with open(path, "w") as file:
        file.write(page)
    return path


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: report.py RESULT_FOLDER")
    try:
        print(f"report: {make(sys.argv[1])}")
    except BadResult as error:
        sys.exit(f"report: {error}")


if __name__ == "__main__":
    main()
