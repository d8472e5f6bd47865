"""The ease-of-use card and the scenarios, from summary.json to what the page shows."""

import charts


def pivot(entries, line, column, cell):
    """[(line, {column: cell})] in the order of first appearance."""
    lines = {}
    for entry in entries:
        lines.setdefault(line(entry), {})[column(entry)] = cell(entry)
    return list(lines.items())


def columns_of(entries):
    return charts.in_order(e["arm"] for e in entries)


def mistake_cell(mistake):
    took = mistake["seconds"]
    kind = {"named": "win", "not run": "none"}.get(mistake["ending"], "loss")
    words = {"named": f"after {took:.1f} s", "ended": f"ends after {took:.1f} s, does not say it",
             "nothing": f"nothing in {took:.0f} s", "not run": "not run",
             "unnoticed": f"runs to its end in {took:.1f} s, says nothing"}[mistake["ending"]]
    return {"words": words, "text": mistake["text"], "kind": kind}


def card(ease):
    """Tables of the card; None where there is nothing to show."""
    lines, facts, mistakes = (ease.get(key, []) for key in ("lines", "facts", "mistakes"))
    if not lines and not facts and not mistakes:
        return None
    return {
        "vms": ease.get("vms"),
        "line_arms": columns_of(lines),
        "lines": pivot(lines, lambda e: e["workload"], lambda e: e["arm"], lambda e: e),
        "fact_arms": columns_of(facts),
        "facts": pivot(facts, lambda e: e["label"], lambda e: e["arm"], lambda e: e),
        "mistake_arms": columns_of(mistakes),
        "mistakes": pivot(mistakes, lambda e: e["title"], lambda e: e["arm"], mistake_cell),
    }


def outcome_kind(arm):
    """How the page colours what became of an arm."""
    if arm["words"].startswith("not run"):
        return "none"
    good = arm.get("ending") == "finished" and not arm.get("other_result")
    return "win" if good else "loss"


def short_outcome(arm):
    """A few words for the overview."""
    if arm["words"].startswith("not run"):
        return "not run"
    if "cold_start" in arm:
        return f"{arm['cold_start']['total']['median']:.1f} s"
    if arm.get("other_result"):
        return "another result"
    if arm["ending"] == "finished":
        return f"finishes, {arm['ratio']['median']:.2f}× the time"
    if arm["ending"] == "hung":
        return f"hangs (> {arm['after_fault_seconds']:.0f} s)" if "after_fault_seconds" in arm \
            else "hangs"
    if "after_fault_seconds" in arm:
        return f"error after {arm['after_fault_seconds']:.1f} s"
    return "fails"


def scenarios(summary, env):
    result = []
    for number, scenario in enumerate(summary["scenarios"]):
        arms = [{**arm, "kind": outcome_kind(arm), "short": short_outcome(arm)}
                for arm in sorted(scenario["arms"], key=lambda a: charts.order_of(a["arm"]))]
        result.append({
            **scenario, "arms": arms, "by_arm": {a["arm"]: a for a in arms},
            "timeline": charts.timelines(scenario, env.get("vm_cpus") or 1, f"t{number}"),
            "cold_start": charts.cold_starts(scenario, f"k{number}"),
        })
    return result
