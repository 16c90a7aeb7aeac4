"""The assessment in words: a compact Markdown report, and the template narrative."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mlops_advisor.tools.assess_maturity.models import AssessMaturityResult, Dimension
from mlops_advisor.tools.assess_maturity.recommend import days

LIMIT = 12_000  # characters; 4000 tokens at three characters each
_LONGEST = 240
_LITTLE = 0.1  # share of weighted practices known below which a level is a guess


def narrate(result: AssessMaturityResult) -> str:
    """Return a short account in full sentences; every figure in it stands in the result."""
    if result.coverage == 0.0:
        return (
            "Nothing is known about the team yet, so this is the start of an interview rather "
            "than an assessment. Answer the questions below, describe the practices in plain "
            "sentences, or point to a workspace."
        )
    ranked = sorted(result.dimensions, key=lambda d: (-d.score, d.id))
    best, worst = ranked[0], ranked[-1]
    overall = (
        f"The evidence supports level {result.level} ({result.level_name}), with a score of "
        f"{result.maturity_score.current} out of 100. What is not known could move it between "
        f"{result.score_low} and {result.score_high}."
    )
    spread = (
        f"{best.name} is furthest, at level {best.level} ('{best.cell}'); {worst.name} is the "
        f"weakest, at level {worst.level} ('{worst.cell}')."
    )
    parts = [overall, spread]
    first = next((i for p in result.roadmap for i in p.items), None)
    if first is not None:
        verb = "check for" if first.confirm_first else "build"
        aim = "reach" if result.target_level > result.level else "be sure of"
        parts.append(
            f"To {aim} level {result.target_level} ({result.target_why}), first {verb} "
            f"'{first.title}'."
        )
    if result.contradictions:
        parts.append(
            f"{len(result.contradictions)} contradiction(s) between sources should be settled "
            "first."
        )
    return " ".join(parts)


def render(result: AssessMaturityResult) -> str:
    """Return the whole actionable answer as Markdown; a summary has at most LIMIT characters."""
    lines = list(_lines(result))
    if not result.truncated:
        return "\n".join(lines)  # nothing was cut: the caller asked for everything, or it is short
    size = 0
    for number, line in enumerate(lines):
        size += len(line) + 1
        if size > LIMIT - 120:
            left = len(lines) - number
            return "\n".join([*lines[:number], f"… {left} lines more in structuredContent."])
    return "\n".join(lines)


def _lines(result: AssessMaturityResult) -> Iterator[str]:
    score = result.maturity_score
    if result.coverage == 0.0:
        yield "# MLOps maturity: not assessed yet"
    else:
        guess = "a first guess, " if result.coverage < _LITTLE else ""
        yield (
            f"# MLOps maturity: {guess}level {result.level} ({result.level_name}), "
            f"score {score.current}/100 (range {result.score_low}-{result.score_high})"
        )
    yield ""
    if result.narrative.text:
        yield result.narrative.text
        yield ""
    yield (
        f"Confidence in the level {result.confidence:.2f}; {result.coverage:.0%} of the weighted "
        f"practices are known. Target: level {result.target_level} ({result.target_why})."
    )
    yield ""
    yield "| dimension | level | score | range | known |"
    yield "|---|---|---|---|---|"
    for d in result.dimensions:
        level = d.level if d.coverage else "?"
        yield (
            f"| {d.name} | {level} | {d.score:g} | {d.score_low:g}-{d.score_high:g} | "
            f"{d.coverage:.0%} |"
        )
    if result.change is not None:
        yield ""
        yield f"Since the earlier result: score {result.change.score:+d}."
    yield from _section("Warnings", result.warnings)
    yield from _section(
        "Contradictions",
        (
            f"{c.practice}: {c.one} - against - {c.other}; used: {c.used}"
            for c in result.contradictions
        ),
    )
    for d in result.dimensions:
        yield from _dimension(d)
    yield from _roadmap(result)
    yield from _section(
        "Requirements of regimes and generative AI",
        (f"{o.status}: {o.requirement} ({o.overlay}, {o.cite})" for o in result.overlays[:10]),
    )
    yield from _crosswalk(result)
    yield from _section(
        "Questions, the most telling first",
        (f"`{q.practice}`: {q.question}" for q in result.questions),
    )
    yield from _section("Next steps", result.next_steps)
    yield from _section("Assumed", (f"{a.field} = {a.value}: {a.why}" for a in result.assumptions))
    unread = [u for u in result.unread if u.field != "current_tools"]
    yield from _section("Not understood", (f"{u.field}: {u.text}" for u in unread[:6]))
    yield from _section("Not assessed", result.not_assessed[:6])
    if result.degradation.level:
        yield from _section("Left out", result.degradation.omitted[:6])


def _dimension(d: Dimension) -> Iterator[str]:
    if not d.evidence and not d.gaps:
        return
    yield ""
    yield f"## {d.name}: level {d.level}"
    if d.workings.cap_reason:
        yield f"- capped at level {d.workings.capped_at}: {d.workings.cap_reason}"
    for e in d.evidence[:3]:
        place = f" `{e.path}:{e.line}`" if e.path else ""
        yield f"- {e.practice}: {_clip(e.detail)}{place}"
    for g in d.gaps[:3]:
        yield f"- gap ({g.priority}, level {g.level}): {_clip(g.why)}"


def _roadmap(result: AssessMaturityResult) -> Iterator[str]:
    actions = {r.id: r.action for r in result.recommendations}
    for phase in result.roadmap:
        yield ""
        yield (
            f"## {phase.name} ({phase.weeks} weeks, "
            f"{days(phase.effort_days.low, phase.effort_days.high)}, score then "
            f"{phase.score_after})"
        )
        for item in phase.items:
            effort = days(item.effort_days.low, item.effort_days.high)
            action = f" {_clip(actions[item.practice])}" if item.practice in actions else ""
            yield (
                f"- **{item.title}** ({item.owner}, {effort}, +{item.score_gained:g}):{action} "
                f"Done when: {_clip(item.exit_test)}"
            )
        if phase.items_in_all > len(phase.items):
            yield f"- … {phase.items_in_all - len(phase.items)} more with detail: full"


def _crosswalk(result: AssessMaturityResult) -> Iterator[str]:
    walk = result.crosswalk
    yield ""
    yield "## Published models (reported, not scored)"
    for name, model in (("Google", walk.google), ("Microsoft", walk.microsoft), ("AWS", walk.aws)):
        missing = ", ".join(model.missing_for_next)
        unknown = ", ".join(model.unknown_for_next)
        next_level = f"; the next level also needs {_clip(missing, 120)}" if missing else ""
        next_level += f"; not known: {_clip(unknown, 120)}" if unknown else ""
        reached = model.name if model.name.lower() == model.level else f"{model.level} {model.name}"
        yield f"- {name}: {reached}{next_level}"
    test = walk.ml_test_score
    yield (
        f"- ML Test Score: {test.score:g} of 7 ({test.band}), up to {test.score_high:g}; "
        f"{test.unknown} of 28 tests unknown"
    )
    for metric in walk.dora:
        yield f"- {metric.metric}: {metric.value}, {metric.band}"


def _section(title: str, items: Iterable[str]) -> Iterator[str]:
    rows = [f"- {_clip(i)}" for i in items]
    if rows:
        yield ""
        yield f"## {title}"
        yield from rows


def _clip(text: str, limit: int = _LONGEST) -> str:
    if len(text) <= limit and "\n" not in text:
        return text
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"
