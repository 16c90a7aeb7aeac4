"""The published models, by their own criteria.  Reported, never scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mlops_advisor.resources.models import Band, CrosswalkFile, DeliveryScale, PublishedModel
from mlops_advisor.tools.assess_maturity.models import (
    Crosswalk,
    Delivery,
    DeliveryBand,
    MlTestScore,
    PublishedLevel,
)
from mlops_advisor.tools.assess_maturity.scoring import Known

_DONE = frozenset({"by_hand", "automated"})
_TEST_POINTS = {"by_hand": 0.5, "automated": 1.0}


def crosswalk(
    data: CrosswalkFile,
    known: Mapping[str, Known],
    releases_per_year: float | None,
    delivery: Delivery | None,
) -> Crosswalk:
    """Return where the team stands in each published model."""
    models = {m.id: _published(m, known) for m in data.models}
    return Crosswalk(
        google=models["google"],
        microsoft=models["microsoft"],
        aws=models["aws"],
        ml_test_score=_ml_test_score(data, known),
        dora=tuple(_delivery(data.delivery, releases_per_year, delivery)),
    )


def _published(model: PublishedModel, known: Mapping[str, Known]) -> PublishedLevel:
    reached = model.levels[0]
    missing: list[str] = []
    unknown: list[str] = []
    for level in model.levels[1:]:
        for group in level.needs:
            states = [known[p] for p in group if p in known and known[p].settled]
            if any(s.answer in _DONE for s in states):
                continue
            (missing if len(states) == len(group) else unknown).append(group[0])
        if missing or unknown:
            break
        reached = level
    return PublishedLevel(
        level=reached.level,
        name=reached.name,
        missing_for_next=tuple(missing),
        unknown_for_next=tuple(unknown),
        note=model.not_covered,
    )


def _ml_test_score(data: CrosswalkFile, known: Mapping[str, Known]) -> MlTestScore:
    sums: dict[str, float] = {}
    highs: dict[str, float] = {}
    unknown = 0
    for item in data.ml_test_score:
        section = item.id.rpartition("_")[0]
        state = known.get(item.practice)
        settled = state is not None and state.settled
        points = _TEST_POINTS.get(state.answer, 0.0) if state is not None and settled else 0.0
        unknown += not settled
        sums[section] = sums.get(section, 0.0) + points
        highs[section] = highs.get(section, 0.0) + (points if settled else 1.0)
    lowest = min(sums.values())
    return MlTestScore(
        score=lowest,
        score_high=min(highs.values()),
        band=_band(data.ml_test_bands, lowest).name,
        sections=sums,
        unknown=unknown,
    )


def _band(bands: Sequence[Band], value: float) -> Band:
    for band in bands:
        if band.up_to is None or value <= band.up_to:
            return band
    return bands[-1]


def _delivery(
    scales: Sequence[DeliveryScale], releases_per_year: float | None, delivery: Delivery | None
) -> list[DeliveryBand]:
    found: list[DeliveryBand] = []
    for scale in scales:
        if scale.metric == "deployment_frequency":
            if releases_per_year is None:
                continue
            # The scale counts days between releases, so that less is better as for the others.
            value = 365.0 / releases_per_year if releases_per_year else float("inf")
            shown = f"{releases_per_year:g} releases a year"
        else:
            given = getattr(delivery, scale.metric) if delivery else None
            if given is None:
                continue
            value, shown = float(given), f"{given:g} {scale.unit}"
        band = _band(scale.bands, value)
        found.append(
            DeliveryBand(metric=scale.metric, value=shown, band=band.name, note=scale.note)
        )
    return found
