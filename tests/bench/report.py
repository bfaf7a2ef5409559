"""What nights come to: one table for each text, start and budget, its leads, its goals, as text.

A row is an arm and the runs that its nights' tokens are worth: `agent 30`. `head` is the agent's
nights once more, by what it would go on with, not by what it has confirmed. Nights are paired by
their number, for those have the same fresh seeds. Of a night that is there twice, as after a
change of the code, the last one counts.
"""

import math
import statistics
from collections.abc import Sequence
from typing import Any

from agent.search.student import quantile
from tests.bench import arms, curves
from tests.bench.arms import ARMS
from tests.bench.nights import Night

HEAD = "head"
OWN = (*arms.OWN, HEAD)
ORDER = (ARMS[0], HEAD, *ARMS[1:])  # of rows
JUDGING = 100  # from this number on nights judge; those before were looked at while developing
CHECKING = ("baseline", "confirm", "ablate")  # kinds of runs that look for nothing new
MOST_OPTIMISM = 0.01  # bits per byte, either way
MOST_CHECKING = 0.25  # of a night's tokens
GOALS = {"is_ahead": "ahead of every arm, by the whole 95 % interval",
         "is_half_enough": "with half the runs no worse than random",
         "is_none_wasted": "no wasted run",
         "is_honest": f"claims within {MOST_OPTIMISM} bits/byte of fresh seeds",
         "is_search_mostly": "a fourth of a night at most on calibration and confirmation"}
COLUMNS = f"{'arm, runs':<13}{'nights':>6}{'bits/byte':>18}{'gain':>8}{'optimism':>10}" \
          f"{'wasted':>8}{'runs':>6}{'checks':>8}{'confirmed':>11}{'cpu s':>8}"

Row = tuple[str, int]  # arm, and runs that the tokens of its nights are worth
Rows = dict[Row, list[Night]]


def results(nights: Sequence[Night]) -> dict[str, Any]:
    """Every group of nights that may be put in one table."""
    groups: dict[tuple[Any, ...], list[Night]] = {}
    for night in nights:
        key = night["key"]
        group = (key["corpus_sha256"], key["start"], key["tokens_per_run"], key["fresh"])
        groups.setdefault(group, []).append(night)
    return {"groups": [_group(its) for its in groups.values()]}


def is_reached(found: dict[str, Any]) -> bool:
    """Whether no goal is missed; one that these nights say nothing of is not."""
    return all(met is not False for group in found["groups"] for met in group["goals"].values())


def _group(nights: Sequence[Night]) -> dict[str, Any]:
    last = {(night["arm"], night["key"]["runs"], night["night"]): night for night in nights}
    rows: Rows = {}
    for (arm, runs, _), night in last.items():
        rows.setdefault((arm, runs), []).append(night)
    rows |= {(HEAD, runs): [night | {"fresh_bpb": night["head_bpb"] or night["fresh_bpb"],
                                     "claimed_gain": None} for night in its]
             for (arm, runs), its in rows.items() if arm == "agent"}
    rows = dict(sorted(rows.items(), key=lambda one: (ORDER.index(one[0][0]), -one[0][1])))
    leads = {own: leads for own in rows if own[0] in OWN if (leads := {
        peer: lead_of(pairs) for peer in rows if peer[0] not in OWN
        if (pairs := _pairs(rows[own], rows[peer]))})}
    summaries = {row: summary(its) for row, its in rows.items()}
    return {
        "text": nights[0]["text"], "start": nights[0]["start_text"],
        "tokens_per_run": nights[0]["key"]["tokens_per_run"], "fresh": nights[0]["key"]["fresh"],
        "nights": sorted({night["night"] for night in nights}),
        "code": {label(row): sorted({night["key"]["code"] for night in its})
                 for row, its in rows.items() if row[0] != HEAD},
        "rows": {label(row): its for row, its in summaries.items()},
        "leads": {label(own): {label(peer): lead for peer, lead in its.items()}
                  for own, its in leads.items()},
        "goals": _goals(summaries, leads),
        "curves": {label(row): curve for row, its in rows.items()
                   if (curve := curves.mean_curve(its, row[0] == HEAD, bpb_of))}}


def label(row: Row) -> str:
    return f"{row[0]} {row[1]}"


# --- numbers ---------------------------------------------------------------------------------


def mean_and_error(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean of one value or more, and its standard error; None where it has none."""
    if len(values) < 2 or not all(map(math.isfinite, values)):
        return statistics.mean(values), None
    return statistics.mean(values), statistics.stdev(values) / math.sqrt(len(values))


def lead_of(pairs: Sequence[float]) -> dict[str, Any]:
    """Mean of paired differences with the 95 % interval of Student's t; None where it has none."""
    mean, error = mean_and_error(pairs)
    reach = None if error is None else quantile(0.975, len(pairs) - 1) * error
    return {"mean": mean, "n": len(pairs), "low": None if reach is None else mean - reach,
            "high": None if reach is None else mean + reach}


def bpb_of(scores: Sequence[float | None], night: Night) -> float:
    """Mean on fresh seeds; where a configuration diverges it scores as token frequencies do."""
    return statistics.mean(night["unigram_bpb"] if one is None else one for one in scores)


def fresh_bpb(night: Night) -> float:
    return bpb_of(night["fresh_bpb"], night)


def fresh_gain(night: Night) -> float:
    return bpb_of(night["start_bpb"], night) - fresh_bpb(night)


def checking_share(night: Night) -> float:
    """Part of a night's tokens that went into calibration, confirmation and ablation."""
    spent = sum(night["tokens_by_kind"].get(kind, 0) for kind in CHECKING)
    return float(spent / night["tokens"]) if night["tokens"] else 0.0


def summary(nights: Sequence[Night]) -> dict[str, Any]:
    """What a row's nights come to."""
    bpb, bpb_error = mean_and_error([fresh_bpb(night) for night in nights])
    gain, gain_error = mean_and_error([fresh_gain(night) for night in nights])
    optimism = [night["claimed_gain"] - fresh_gain(night) for night in nights
                if night["claimed_gain"] is not None]
    wasted: dict[str, int] = {}
    for night in nights:
        for cause, n in night["wasted"].items():
            wasted[cause] = wasted.get(cause, 0) + n
    return {"nights": len(nights), "bpb": bpb, "bpb_error": bpb_error, "gain": gain,
            "gain_error": gain_error,
            "optimism": statistics.mean(optimism) if optimism else None,
            "n_claims": len(optimism), "wasted": wasted,
            "wasted_per_night": sum(wasted.values()) / len(nights),
            "runs": statistics.mean(night["n_runs"] for night in nights),
            "checking_share": statistics.mean(map(checking_share, nights)),
            "most_checking_share": max(map(checking_share, nights)),
            "diverged_winners": sum(None in night["fresh_bpb"] for night in nights),
            "confirmed": sum(night["verdicts"].get("confirmed", 0) for night in nights),
            "cpu_s": statistics.mean(night["cpu_s"] for night in nights),
            "wall_s": statistics.mean(night["wall_s"] for night in nights)}


def _pairs(own: Sequence[Night], peer: Sequence[Night]) -> list[float]:
    """By how much the peer scores worse, night by night."""
    scores = {night["night"]: fresh_bpb(night) for night in own}
    return [fresh_bpb(night) - scores[night["night"]] for night in peer
            if night["night"] in scores]


def _goals(rows: dict[Row, dict[str, Any]], leads: dict[Row, dict[Row, Any]]) -> dict[str, Any]:
    """The agent's goals: whether each is reached, None where these nights do not tell."""
    runs = [runs for arm, runs in rows if arm == "agent"]
    if not runs:
        return {}
    own = rows["agent", max(runs)]
    peers = [lead for (_, its), lead in leads.get(("agent", max(runs)), {}).items()
             if its == max(runs)]
    halves = [lead["mean"] >= 0 for (arm, own_runs), its in leads.items() if arm == "agent"
              for (peer, peer_runs), lead in its.items()
              if peer == "random" and own_runs * 2 == peer_runs]
    return {
        "is_ahead": all((lead["low"] or 0) > 0 for lead in peers) if peers else None,
        "is_half_enough": all(halves) if halves else None,
        "is_none_wasted": own["wasted_per_night"] == 0,
        "is_honest": None if own["optimism"] is None else abs(own["optimism"]) <= MOST_OPTIMISM,
        "is_search_mostly": own["most_checking_share"] <= MOST_CHECKING}


# --- words -----------------------------------------------------------------------------------


def text_of(found: dict[str, Any]) -> str:
    return "\n\n".join("\n".join(_lines(group)) for group in found["groups"])


def _lines(group: dict[str, Any]) -> list[str]:
    lines = [f"{group['text']}, from {group['start']}, runs of {group['tokens_per_run']:,} tokens",
             f"{nights_in_words(group['nights'])}; code {_codes(group['code'])}", "", COLUMNS]
    for name, its in group["rows"].items():
        optimism = "-" if its["optimism"] is None else f"{its['optimism']:+.4f}"
        lines.append(
            f"{name:<13}{its['nights']:>6}{_plus_minus(its['bpb'], its['bpb_error']):>18}"
            f"{its['gain']:>8.4f}{optimism:>10}{its['wasted_per_night']:>8.1f}{its['runs']:>6.0f}"
            f"{its['checking_share']:>8.0%}{its['confirmed']:>11}{its['cpu_s']:>8.0f}")
        if its["diverged_winners"]:
            lines.append(f"  of {name}: {its['diverged_winners']} winners diverged on a fresh seed")
    for own, leads in group["leads"].items():
        lines += ["", f"{own} is ahead of, bits/byte by the same fresh seeds"]
        lines += [f"  {peer:<13}{lead['mean']:>+9.4f}  {_interval(lead)}"
                  for peer, lead in leads.items()]
    goals = [f"  {'yes' if met else 'NO':<4}{GOALS[name]}"
             for name, met in group["goals"].items() if met is not None]
    lines += ["", "goals", *goals] if goals else []
    return lines + (["", *curves.chart(group["curves"])] if group["curves"] else [])


def nights_in_words(numbers: Sequence[int]) -> str:
    """'nights 0-3 for developing, 100-111 for judging'."""
    parts = [(_spans([n for n in numbers if (n >= JUDGING) is is_judging]), word)
             for is_judging, word in ((False, "developing"), (True, "judging"))]
    return "nights " + ", ".join(f"{spans} for {word}" for spans, word in parts if spans)


def _spans(numbers: Sequence[int]) -> str:
    """'0-3 7' of sorted numbers."""
    found: list[list[int]] = []
    for n in numbers:
        if found and n == found[-1][1] + 1:
            found[-1][1] = n
        else:
            found.append([n, n])
    return " ".join(str(a) if a == b else f"{a}-{b}" for a, b in found)


def _codes(codes: dict[str, list[str]]) -> str:
    """One version where all have it, else each row's."""
    if len(versions := {version for its in codes.values() for version in its}) == 1:
        return versions.pop()
    return "; ".join(f"{name}: {', '.join(its)}" for name, its in codes.items())


def _plus_minus(mean: float, error: float | None) -> str:
    return f"{mean:.4f}" if error is None else f"{mean:.4f} ± {error:.4f}"


def _interval(lead: dict[str, Any]) -> str:
    if lead["low"] is None:
        return f"one night says no interval, n {lead['n']}"
    return f"95 % {lead['low']:+.4f} to {lead['high']:+.4f}, n {lead['n']}"
