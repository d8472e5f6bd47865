"""Where RayX loses and where it wins, and why as far as the numbers of a result say it."""

import charts

OURS, RIVAL = "rayx", "native-py"


def find(rows, arm, nodes):
    return next((r for r in rows if r["arm"] == arm and r["nodes"] == nodes and "total" in r), None)


def median(row, key):
    return row[key]["median"] if key in row else None


def seconds(value):
    return f"{value:.2f} s" if value >= 0.1 else f"{value * 1000:.0f} ms"


def size_words(count):
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"


def decisive_phases(workload, ours, rival, loses):
    """The phases, by how much of the difference lies in them, largest first."""
    sign = 1 if loses else -1
    parts = [(sign * (ours["phases"][p]["median"] - rival["phases"][p]["median"]), p)
             for p in workload["phases"]]
    return sorted((part for part in parts if part[0] > 0), reverse=True)


def cpu_words(ours, rival, times, loses):
    """Whether the difference is work or waiting: from the CPU time of both. `times`: how much
    longer RayX takes, below 1 where it wins. Half of that in CPU time makes it one of work."""
    mine, theirs = median(ours, "cpu_seconds"), median(rival, "cpu_seconds")
    if not mine or not theirs:
        return ""
    numbers = f"RayX uses {mine:.2f} CPU seconds, native {theirs:.2f}"
    share = mine / theirs
    if loses and share >= 1 + (times - 1) / 2:
        return f"{numbers}: it computes more, it does not only wait."
    if loses and share <= 1.05:
        return f"{numbers}: the same or less work, so that the difference is waiting."
    if not loses and share <= 1 - (1 - times) / 2:
        return f"{numbers}: the time is saved by computing less."
    if not loses and share >= 0.95:
        return f"{numbers}: as much work, less waiting."
    return f"{numbers}: partly work, partly waiting."


def kernel_words(workload, ours, nodes):
    cpp = find(workload["rows"], "native-cpp", nodes)
    if cpp is None:
        return ""
    times = ours["total"]["median"] / cpp["total"]["median"]
    return (f"Native C++ with the same kernel takes {seconds(cpp['total']['median'])}: RayX’s "
            f"runtime makes that {times:.2f}×.")


def exchange_words(workload, nodes, phase):
    if nodes == 1 or not workload["exchanged_bytes"] or phase != workload["main_phase"]:
        return ""
    return (f"It exchanges {size_words(workload['exchanged_bytes'])} of "
            f"{workload['exchanged_what']} in each of {workload['steps']} "
            f"{workload['step_word']}s.")


def explain(workload, ratio, loses):
    """One entry: what differs, by how much, and what the numbers say about the reason. `ratio`: of
    the totals, as the rest of the report shows it: the median over pairs."""
    nodes = ratio["nodes"]
    ours, rival = (find(workload["rows"], arm, nodes) for arm in (OURS, RIVAL))
    mine, theirs = ours["total"]["median"], rival["total"]["median"]
    times = mine / theirs
    phases = decisive_phases(workload, ours, rival, loses)
    difference = abs(mine - theirs)
    sentences = [f"RayX {seconds(mine)}, tuned native {seconds(theirs)}."]
    if phases:
        largest, phase = phases[0]
        how = ("Of the time it takes longer" if loses else "Of the time it saves")
        sentences.append(f"{how}, {seconds(largest)} lie in {phase}"
                         + (f", {seconds(phases[1][0])} in {phases[1][1]}"
                            if len(phases) > 1 and phases[1][0] > difference / 10 else "") + ".")
        sentences.append(exchange_words(workload, nodes, phase))
    sentences += [cpu_words(ours, rival, times, loses), kernel_words(workload, ours, nodes)]
    return {"workload": workload["workload"], "nodes": nodes,
            "headline": f"{workload['workload']} on {charts.vms(nodes)}: "
                        + (f"{1 / ratio['median']:.2f}× as long" if loses
                           else f"{ratio['median']:.2f}× as fast"),
            "text": " ".join(filter(None, sentences))}


def analyse(workloads):
    """{"losses": [...], "wins": [...], "ties": [...]} of all workloads that show ratios."""
    result = {"losses": [], "wins": [], "ties": []}
    for workload in workloads:
        if not workload["shows_ratios"]:
            continue
        for ratio in workload["ratios"]:
            if (ratio["ours"], ratio["rival"], ratio["metric"]) != (OURS, RIVAL, "total"):
                continue
            nodes = ratio["nodes"]
            if ratio["median"] is None or not all(find(workload["rows"], arm, nodes)
                                                  for arm in (OURS, RIVAL)):
                continue
            if ratio["verdict"] == "slower":
                result["losses"].append(explain(workload, ratio, True))
            elif ratio["verdict"] == "faster":
                result["wins"].append(explain(workload, ratio, False))
            else:
                result["ties"].append(f"{workload['workload']} on {charts.vms(nodes)}")
    return result
