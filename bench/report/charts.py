"""The charts of a report, each a function from summary rows to an inline SVG string."""

import io
import re

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402

ARM_COLOURS = {
    "rayx": "#1f6feb",
    "native-py": "#e8710a",
    "native-cpp": "#8250df",
    "native-py-naive": "#f2b880",
    "serial": "#6e7781",
    "serial-unrestricted": "#b7bdc4",
}
ARM_NAMES = {
    "rayx": "RayX",
    "native-py": "native, tuned",
    "native-cpp": "native, C++",
    "native-py-naive": "native, tutorial",
    "serial": "serial, 1 VM",
    "serial-unrestricted": "serial, whole machine",
}
ARM_ORDER = list(ARM_NAMES)
OTHER_ARM_COLOUR = "#24292f"
CURVE_POINTS_MAX = 400  # a curve of a page, not the data
MAIN_PHASE_COLOUR = "#2da44e"
OTHER_PHASE_COLOURS = ("#8c959f", "#54aeff", "#bf8700", "#d2a8ff")

plt.rcParams.update({
    "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 10,
    "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": "#8c959f",
    "axes.labelcolor": "#24292f", "xtick.color": "#57606a", "ytick.color": "#24292f",
    "figure.facecolor": "none", "axes.facecolor": "none", "legend.frameon": False,
})


def arm_name(arm):
    return ARM_NAMES.get(arm, arm)


def vms(nodes):
    return f"{nodes} VM" if nodes == 1 else f"{nodes} VMs"


def place(arm, nodes):
    return arm_name(arm) if arm.startswith("serial") else f"{arm_name(arm)} · {vms(nodes)}"


def to_svg(figure, name):
    plt.rcParams["svg.hashsalt"] = name
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", bbox_inches="tight",
                   metadata={"Date": None, "Creator": None})
    plt.close(figure)
    text = buffer.getvalue()
    text = text[text.index("<svg"):]
    # Several figures share a page: their element ids must not.
    text = re.sub(r'(id="|url\(#|xlink:href="#|href="#)', lambda m: m.group(1) + name + "-", text)
    text = re.sub(r'width="[\d.]+pt" height="[\d.]+pt"', "", text, count=1)
    return text


def order_of(arm):
    return ARM_ORDER.index(arm) if arm in ARM_ORDER else len(ARM_ORDER)


def in_order(arms):
    """Each arm once; those that have no place of their own come last, by name."""
    return sorted(set(arms), key=lambda arm: (order_of(arm), arm))


def colour_of(arm):
    return ARM_COLOURS.get(arm, OTHER_ARM_COLOUR)


def thinned(values):
    """Some of the values, and their places, from 1 on."""
    stride = max(1, -(-len(values) // CURVE_POINTS_MAX))
    return range(1, len(values) + 1, stride), values[::stride]


def ordered(rows):
    return sorted(rows, key=lambda r: (r["nodes"], order_of(r["arm"])))


def error_of(estimate):
    """Distances from the median down and up, as error bars want them."""
    return [[estimate["median"] - estimate["low"]], [estimate["high"] - estimate["median"]]]


def phase_colours(phases, main_phase):
    others = iter(OTHER_PHASE_COLOURS * len(phases))
    return {p: MAIN_PHASE_COLOUR if p == main_phase else next(others) for p in phases}


def phase_bars(rows, phases, main_phase, name):
    """Where the time goes: one stacked bar an arm and number of VMs, intervals on the total. The
    serial program on the whole machine is a line."""
    best_serial = next((r for r in rows if r.get("unrestricted") and "total" in r), None)
    rows = [r for r in ordered(rows) if "total" in r and not r.get("unrestricted")]
    if not rows:
        return ""
    colours = phase_colours(phases, main_phase)
    positions, at, last = [], 0.0, None
    for row in rows:
        if last is not None and row["nodes"] != last:
            at += 0.7
        positions.append(at)
        at += 1
        last = row["nodes"]
    figure, axes = plt.subplots(figsize=(8.6, 0.36 * at + 0.9))
    for row, y in zip(rows, positions):
        left = 0.0
        for phase in phases:
            width = row["phases"][phase]["median"]
            axes.barh(y, width, left=left, height=0.74, color=colours[phase])
            left += width
        total = row["total"]
        axes.errorbar(total["median"], y, xerr=error_of(total), color="#24292f", capsize=3,
                      linewidth=1.1)
        axes.annotate(f"{total['median']:.2f} s", (total["high"], y), xytext=(7, 0),
                      textcoords="offset points", va="center",
                      fontweight="bold" if row["arm"] == "rayx" else "normal")
    axes.set_yticks(positions, [place(r["arm"], r["nodes"]) for r in rows])
    for label, row in zip(axes.get_yticklabels(), rows):
        main = row["arm"] in ("rayx", "native-py")
        label.set_color(colour_of(row["arm"]) if main else "#57606a")
    axes.set_ylim(at - 0.4, -0.6)
    axes.set_xlabel("seconds of work, median; shorter is better; whisker: interval of the total")
    widest = max(r["total"]["high"] for r in rows)
    axes.set_xlim(0, widest * 1.13)
    if best_serial is not None and best_serial["total"]["median"] < widest * 1.1:
        x = best_serial["total"]["median"]
        axes.axvline(x, color="#57606a", linestyle="--", linewidth=1)
        axes.annotate(f"{arm_name(best_serial['arm'])}: {x:.2f} s", (x, -0.5), xytext=(4, 4),
                      textcoords="offset points", color="#57606a", fontsize=8)
    handles = [plt.Rectangle((0, 0), 1, 1, color=colours[p]) for p in phases]
    axes.legend(handles, phases, loc="lower center", ncols=4, bbox_to_anchor=(0.5, 1.02))
    return to_svg(figure, name)


def ratio_chart(ratios, name):
    """RayX against each rival: the median ratio with its interval, around the line of equality."""
    shown = [r for r in ratios if r["metric"] == "total" and r["ours"] == "rayx"
             and r["median"] is not None]
    if not shown:
        return ""
    figure, axes = plt.subplots(figsize=(6.6, 0.42 * len(shown) + 0.9))
    colours = {"faster": "#1a7f37", "slower": "#cf222e"}
    for y, ratio in enumerate(shown):
        colour = colours.get(ratio["verdict"], "#57606a")
        axes.errorbar(ratio["median"], y, xerr=error_of(ratio), fmt="o", color=colour, capsize=4,
                      linewidth=2)
        axes.text(1.02, y, f"{ratio['median']:.2f}× {ratio['words']}", va="center", color=colour,
                  transform=axes.get_yaxis_transform())
    axes.axvline(1, color="#24292f", linewidth=1)
    axes.set_yticks(range(len(shown)),
                    [f"against {place(r['rival'], r['nodes'])}" for r in shown])
    axes.invert_yaxis()
    low = min(r["low"] for r in shown)
    high = max(r["high"] for r in shown)
    axes.set_xlim(min(0.9, low * 0.97), max(1.1, high * 1.03))
    axes.set_xlabel("rival's time / RayX's time: left of 1 the rival is faster, right of 1 RayX is")
    return to_svg(figure, name)


def curves(numbers, curve, step_word, name):
    """numbers: {nodes: {arm: [number a step]}}. One panel a number of VMs, the arms on top of each
    other."""
    if not numbers:
        return ""
    figure, panels = plt.subplots(1, len(numbers), figsize=(8.6, 2.7), sharey=True, squeeze=False)
    for axes, (nodes, arms) in zip(panels[0], sorted(numbers.items())):
        names = in_order(arms)
        for i, arm in enumerate(reversed(names)):
            axes.plot(*thinned(arms[arm]), color=colour_of(arm),
                      linewidth=1.0 + 1.7 * (len(names) - 1 - i), label=arm_name(arm),
                      alpha=0.9, rasterized=False)
        axes.set_title(vms(nodes), fontsize=10)
        axes.set_xlabel(step_word)
        if curve["logarithmic"]:
            axes.set_yscale("log")
    panels[0][0].set_ylabel(curve["label"])
    panels[0][-1].legend(fontsize=8, loc="upper right")
    return to_svg(figure, name)


def speed_up(rows, main_phase, name):
    """Steps per second of the main phase against one VM's serial program."""
    rows = [r for r in rows if "phases" in r and not r.get("unrestricted")]
    base = next((r for r in rows if r["arm"] == "serial" and r["nodes"] == 1), None) or next(
        (r for r in rows if r["arm"] == "native-py" and r["nodes"] == 1), None)
    nodes = sorted({r["nodes"] for r in rows})
    if base is None or len(nodes) < 2:
        return ""
    one = base["phases"][main_phase]["median"]
    figure, axes = plt.subplots(figsize=(4.2, 2.9))
    axes.plot([0, max(nodes)], [0, max(nodes)], color="#8c959f", linestyle=":", label="ideal")
    for arm in in_order(r["arm"] for r in rows):
        mine = sorted((r["nodes"], r["phases"][main_phase]) for r in rows if r["arm"] == arm)
        if not mine or arm == "serial":
            continue
        x = [n for n, _ in mine]
        y = [one / e["median"] for _, e in mine]
        error = [[one / e["median"] - one / e["high"] for _, e in mine],
                 [one / e["low"] - one / e["median"] for _, e in mine]]
        axes.errorbar(x, y, yerr=error, marker="o", capsize=3, color=colour_of(arm),
                      label=arm_name(arm))
    axes.axhline(1, color="#d0d7de", linewidth=1, zorder=0)
    axes.set_xticks(nodes)
    axes.set_xlim(0.7, max(nodes) + 0.3)
    axes.set_ylim(0, None)
    axes.set_xlabel("VMs")
    axes.set_ylabel(f"speed of {main_phase}, × {arm_name(base['arm'])}")
    axes.legend(fontsize=8)
    return to_svg(figure, name)


def grouped_bars(rows, key, scale, label, name, on_top=None):
    """One group a number of VMs, one bar an arm, of the estimate under `key`; hatched above it the
    one under `on_top`, where there is one."""
    rows = [r for r in ordered(rows) if key in r]
    if not rows:
        return ""
    nodes = sorted({r["nodes"] for r in rows})
    arms = in_order(r["arm"] for r in rows)
    width = 0.8 / len(arms)
    figure, axes = plt.subplots(figsize=(4.2, 2.9))
    for row in rows:
        x = nodes.index(row["nodes"]) + (arms.index(row["arm"]) - (len(arms) - 1) / 2) * width
        value = row[key]
        axes.bar(x, value["median"] * scale, width=width * 0.92, color=colour_of(row["arm"]),
                 label=arm_name(row["arm"]))
        if on_top in row:
            axes.bar(x, row[on_top]["median"] * scale, bottom=value["median"] * scale,
                     width=width * 0.92, facecolor="none", edgecolor=colour_of(row["arm"]),
                     hatch="////", linewidth=0.8)
        axes.errorbar(x, value["median"] * scale, color="#24292f", capsize=2, linewidth=1,
                      yerr=[[e[0] * scale] for e in error_of(value)])
    handles, names = axes.get_legend_handles_labels()
    unique = dict(zip(names, handles))
    figure.legend(unique.values(), unique.keys(), fontsize=8, ncols=2, loc="lower center",
                  bbox_to_anchor=(0.5, 0.9))
    axes.set_xticks(range(len(nodes)), [vms(n) for n in nodes])
    axes.set_ylabel(label)
    return to_svg(figure, name)


def efficiency(rows, main_phase, name):
    """What of each arm's own speed on one VM is left per VM on several."""
    rows = [r for r in rows if "phases" in r and not r.get("unrestricted")]
    nodes = sorted({r["nodes"] for r in rows})
    figure, axes = plt.subplots(figsize=(4.2, 2.9))
    drawn = False
    for arm in in_order(r["arm"] for r in rows):
        mine = sorted((r["nodes"], r["phases"][main_phase]) for r in rows if r["arm"] == arm)
        if len(mine) < 2 or mine[0][0] != 1:
            continue
        one = mine[0][1]["median"]
        x = [n for n, _ in mine]
        y = [100 * one / e["median"] / n for n, e in mine]
        error = [[v - 100 * one / e["high"] / n for v, (n, e) in zip(y, mine)],
                 [100 * one / e["low"] / n - v for v, (n, e) in zip(y, mine)]]
        axes.errorbar(x, y, yerr=error, marker="o", capsize=3, color=colour_of(arm),
                      label=arm_name(arm))
        drawn = True
    if not drawn:
        plt.close(figure)
        return ""
    axes.axhline(100, color="#8c959f", linestyle=":", zorder=0)
    axes.set_xticks(nodes)
    axes.set_xlim(0.7, max(nodes) + 0.3)
    axes.set_ylim(0, None)
    axes.set_xlabel("VMs")
    axes.set_ylabel(f"efficiency of {main_phase}, %")
    axes.legend(fontsize=8, loc="lower left")
    return to_svg(figure, name)


FAULT_COLOUR = "#cf222e"
QUIET_COLOUR = "#8c959f"


def seen_until(arms):
    """Where the axis of time ends: a hang goes on beyond what is worth showing."""
    end = 0.0
    for line in (line for arm in arms for line in arm["timeline"].values()):
        hung = line["ending"] == "hung" and line["fault_at"] is not None
        end = max(end, min(line["seconds"], line["fault_at"] + 15) if hung else line["seconds"])
    return end * 1.02


def draw_progress(axes, line, colour, width, until, label):
    """Steps done over time, as stairs, and a mark for how it ended."""
    x = [0.0] + [at for at, _ in line["steps"]]
    y = [0] + [done for _, done in line["steps"]]
    end = min(line["seconds"], until)
    axes.step(x + [end], y + [y[-1]], where="post", color=colour, linewidth=width, label=label)
    mark, mark_colour = {"finished": ("o", colour), "failed": ("X", FAULT_COLOUR),
                         "hung": (">", FAULT_COLOUR)}[line["ending"]]
    axes.plot([end], [y[-1]], marker=mark, color=mark_colour, markersize=8, clip_on=False,
              linestyle="none", zorder=5)
    words = {"finished": "", "failed": "error", "hung": "still silent"}[line["ending"]]
    if words:
        if line["fault_at"] is not None:
            words += f" {line['seconds'] - line['fault_at']:.1f} s after the fault"
        left = end < until / 2
        axes.annotate(words, (end, y[-1]), xytext=(10, -12) if left else (-9, 8), zorder=6,
                      textcoords="offset points", ha="left" if left else "right", fontsize=9,
                      color=FAULT_COLOUR,
                      bbox={"facecolor": "white", "alpha": 0.85, "linewidth": 0, "pad": 1})


def draw_lanes(axes, line, quota):
    """One lane a VM: the darker, the more of its quota is in use."""
    rates = line["cpu"]
    lanes = len(rates["vms"])
    for vm, shares in enumerate(rates["vms"]):
        before = 0.0
        for at, share in zip(rates["at"], shares):
            if share is None:
                axes.barh(vm, at - before, left=before, height=0.8, color="none",
                          edgecolor=FAULT_COLOUR, hatch="////", linewidth=0, alpha=0.35)
            else:
                axes.barh(vm, at - before, left=before, height=0.8, linewidth=0, color="#0a3069",
                          alpha=min(1.0, max(0.03, share / quota)))
            before = at
    axes.set_yticks(range(lanes), [f"VM {vm + 1}" for vm in range(lanes)], fontsize=8)
    axes.set_ylim(lanes - 0.4, -0.6)
    axes.spines["left"].set_visible(False)
    axes.tick_params(left=False)


def draw_phases(axes, line, colours):
    left = 0.0
    for phase in line["phases"]:
        axes.axvspan(left, phase["end"], ymin=0, ymax=0.06, color=colours.get(phase["name"]),
                     linewidth=0)
        left = phase["end"]


def timelines(scenario, quota, name):
    """Of each arm: steps done with and without the disturbance, and the CPU that each VM used."""
    arms = [a for a in sorted(scenario["arms"], key=lambda a: order_of(a["arm"]))
            if "disturbed" in a.get("timeline", {})]
    if not arms:
        return ""
    lanes = max(len(a["timeline"]["disturbed"]["cpu"]["vms"]) for a in arms) or 1
    heights = [1.6, 0.22 * lanes, 0.75]  # steps, lanes, room for the next title
    figure, panels = plt.subplots(
        3 * len(arms), 1, figsize=(8.6, len(arms) * sum(heights)), sharex=True, squeeze=False,
        gridspec_kw={"height_ratios": heights * len(arms), "hspace": 0.12})
    until = seen_until(arms)
    for i, arm in enumerate(arms):
        steps_axes, lane_axes, room = (axes for axes, in panels[3 * i:3 * i + 3])
        room.set_visible(False)
        steps_axes.tick_params(labelbottom=False)
        lane_axes.tick_params(labelbottom=True)
        quiet, disturbed = (arm["timeline"].get(k) for k in ("undisturbed", "disturbed"))
        names = [p["name"] for p in disturbed["phases"] + (quiet or disturbed)["phases"]]
        names = list(dict.fromkeys(names))
        if quiet:
            draw_progress(steps_axes, quiet, QUIET_COLOUR, 1.4, until, "undisturbed")
        draw_progress(steps_axes, disturbed, colour_of(arm["arm"]), 2.2, until, "disturbed")
        draw_phases(steps_axes, disturbed, phase_colours(names, ""))
        if not disturbed["steps"]:
            steps_axes.annotate("this program does not say when a step is done",
                                (0.02, 0.5), xycoords="axes fraction", fontsize=8,
                                color=QUIET_COLOUR)
        draw_lanes(lane_axes, disturbed, quota)
        for axes in (steps_axes, lane_axes):
            if disturbed["fault_at"] is not None:
                axes.axvline(disturbed["fault_at"], color=FAULT_COLOUR, linestyle="--",
                             linewidth=1.2)
        if disturbed["fault_at"] is not None:
            steps_axes.annotate("fault", (disturbed["fault_at"], scenario["steps"]),
                                xytext=(4, 2), textcoords="offset points", fontsize=9,
                                color=FAULT_COLOUR)
        steps_axes.set_ylim(0, scenario["steps"] * 1.12)
        steps_axes.set_ylabel(f"{scenario['step_word']}s done", fontsize=9)
        steps_axes.set_title(arm_name(arm["arm"]), loc="left", fontsize=11, fontweight="bold",
                             color=colour_of(arm["arm"]))
        steps_axes.yaxis.get_major_locator().set_params(integer=True)
        steps_axes.legend(fontsize=8, loc="lower right", ncols=2, bbox_to_anchor=(1, 0.98))
    panels[0][0].set_xlim(0, until)
    lane_axes.set_xlabel("seconds since the command; lanes: the darker, the more of a VM’s CPU is "
                         "in use; hatched: lost", fontsize=9)
    return to_svg(figure, name)


def cold_starts(scenario, name):
    """From nothing to the first step, in its parts."""
    arms = [a for a in sorted(scenario["arms"], key=lambda a: order_of(a["arm"]))
            if "cold_start" in a]
    if not arms:
        return ""
    parts = (("daemons", "daemons of the cluster", "#8c959f"),
             ("ready", "program until ready", "#54aeff"),
             ("first_step", "data and first step", MAIN_PHASE_COLOUR))
    figure, axes = plt.subplots(figsize=(8.6, 0.5 * len(arms) + 1.0))
    for y, arm in enumerate(arms):
        left = 0.0
        for key, label, colour in parts:
            width = arm["cold_start"][key]["median"]
            axes.barh(y, width, left=left, height=0.7, color=colour, label=label if y == 0 else "")
            left += width
        total = arm["cold_start"]["total"]
        axes.errorbar(total["median"], y, xerr=error_of(total), color="#24292f", capsize=3,
                      linewidth=1.1)
        axes.annotate(f"{total['median']:.1f} s", (total["high"], y), xytext=(7, 0),
                      textcoords="offset points", va="center")
    axes.set_yticks(range(len(arms)), [arm_name(a["arm"]) for a in arms])
    axes.invert_yaxis()
    axes.set_xlim(0, max(a["cold_start"]["total"]["high"] for a in arms) * 1.13)
    axes.set_xlabel("seconds, medians of launches on fresh VMs; whisker: interval of the whole")
    axes.legend(fontsize=8, loc="lower center", ncols=3, bbox_to_anchor=(0.5, 1.0))
    return to_svg(figure, name)
