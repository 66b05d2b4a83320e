"""Verify without labels: gather what later applicants, the model's own space and the market say of themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest

from membergate.domain.disposition import FULL_ADMISSIONS, HOLDERS
from membergate.engine import HDBSCAN, OPTICS, KDistance, LocalOutlierFactor
from membergate.learning.features import FeatureTable
from membergate.learning.model import IdentificationModel
from membergate.learning.model.clusters import MIN_SAMPLES, SUSPICIOUS_FROM, RegionClustering, TypedClusters
from membergate.learning.model.groundwork import Sight
from membergate.operations.admission import AdmissionDesk
from membergate.operations.history import Applications, History
from membergate.operations.planting import Pool, plant
from membergate.verification.drift import Drift, measure_drift
from membergate.verification.prediction_powered import Frame, Population, PoweredShare, powered_share
from membergate.verification.sample import is_among
from membergate.verification.structure import Agreement, Region, measure_agreement, measure_region, tiers
from membergate.verification.unlabelled import Roof, WithoutLabels, control_score

MOST_ROWS = 3_000
"""Applications that are looked at for structure and drift at most, in each period."""
SHARED_FROM = 5
"""Applicants at one place from which it counts as shared."""
ROOFS = ("dorm", "school", "office", "pickup", "locker", "home")


@dataclass(frozen=True)
class Later:
    """Later applicants of operators that the model has never met, decided by the door that is verified.

    Parameters
    ----------
    applications, table
        Who they are, and their features.
    operator_sizes
        Accounts of each one's operator as of the application, shape (n,).
    disposition, risk_score
        What the door says, shape (n,).
    population
        The same with what reviews by chance say.
    """

    applications: Applications
    table: FeatureTable
    operator_sizes: NDArray[np.int64]
    disposition: NDArray[np.str_]
    risk_score: NDArray[np.float64]
    population: Population


def verify_without_labels(desk: AdmissionDesk, later: Later, *, seed: int) -> WithoutLabels:
    """Measure everything that needs no label.

    Parameters
    ----------
    desk
        The door that is verified.
    later
        Applicants it has decided.
    seed
        Seed of every draw.
    """
    rows = _some(later.population.operator_ids, seed)
    sight = desk.model.groundwork.see(later.table.take(rows))
    operators = later.population.operator_ids[rows]
    return WithoutLabels(
        regions=tuple(
            measure_region(region, RegionClustering(), seed=seed)
            for region in _regions(sight, operators, desk.model.groundwork.clusters)
        ),
        agreements=_agreements(sight, later.risk_score[rows], seed),
        score_controls=control_score(
            later.risk_score, _irrelevant(later.applications), later.population.operator_ids, seed=seed
        ),
        planted=plant(desk, _pool(later), seed=seed),
        roofs=_roofs(desk.history, later),
        powered=_powered(later.population),
        plan=Frame.of(later.population).rows(),
    )


def measure_drift_since(
    history: History, model: IdentificationModel, earlier: Applications, later: Later, *, seed: int
) -> Drift | None:
    """Hold later applicants against earlier ones that the model has never met either; None without both.

    Parameters
    ----------
    history
        The market.
    model
        Scores the earlier ones.
    earlier
        Applications from before the model's training ended, of operators that it never met.
    later
        Those since.
    seed
        Seed of samples and permutations.
    """
    some = np.zeros(len(earlier), dtype=np.bool_)
    some[_some(earlier.account_ids, seed)] = True
    earlier = earlier.take(some)
    now = _some(later.population.operator_ids, seed)
    if not len(earlier) or not len(now):
        return None
    operators = history.operators(earlier.spine)
    table = history.features(earlier.spine, operators, model.norms, model.features)
    names = ["risk_score", *model.features]
    before = np.column_stack([model.witness(table).risk_score, table.values])
    after = np.column_stack([later.risk_score[now], later.table.values[now]])
    both = np.concatenate([before, after])
    ids = np.concatenate([operators.operator_ids, later.table.operator_ids[now]]).astype(np.str_)
    is_later = np.arange(len(both)) >= len(before)
    return measure_drift({name: both[:, at] for at, name in enumerate(names)}, is_later, ids, seed=seed)


def _some(operator_ids: NDArray[np.str_], seed: int) -> NDArray[np.int64]:
    """Choose whole operators up to about `MOST_ROWS` rows, in order."""
    _, codes = np.unique(operator_ids, return_inverse=True)
    if len(codes) <= MOST_ROWS:
        return np.arange(len(codes))
    rank = np.random.default_rng(seed).permutation(int(codes.max()) + 1)[codes]
    return np.flatnonzero(rank < np.sort(rank)[MOST_ROWS])


def _regions(sight: Sight, operators: NDArray[np.str_], clusters: TypedClusters) -> list[Region]:
    regions = []
    is_suspicious = sight.prior >= SUSPICIOUS_FROM
    for name, inside, learned in (
        ("suspicious", is_suspicious, clusters.suspicious),
        ("other", ~is_suspicious, clusters.rest),
    ):
        placement = sight.placement
        regions.append(
            Region(
                name,
                sight.deviations[inside],
                operators[inside],
                placement.cluster_ids[inside],
                placement.merchant_share[inside],
                None if learned.clusterer is None else float(learned.clusterer.eps),
            )
        )
    return regions


def _agreements(sight: Sight, score: NDArray[np.float64], seed: int) -> tuple[Agreement, ...]:
    """Compare clusterings of the suspicious region, and the risk tiers of score, economics and outlier detectors."""
    rows = sight.deviations
    suspicious = rows[sight.prior >= SUSPICIOUS_FROM]
    found: tuple[Agreement, ...] = ()
    if len(suspicious) > 5 * MIN_SAMPLES:
        clusterings = {
            "DBSCAN": RegionClustering().fit_predict(suspicious),
            "HDBSCAN": HDBSCAN(min_cluster_size=MIN_SAMPLES).fit_predict(suspicious),
            "OPTICS": OPTICS(min_samples=MIN_SAMPLES).fit_predict(suspicious),
        }
        found += measure_agreement("clusters", clusterings)
    if len(rows) > 5 * MIN_SAMPLES:
        detectors = _detectors(rows, seed) | {"resale economics": sight.prior}
        tiered = {"score": tiers(score)} | {name: tiers(odd) for name, odd in detectors.items()}
        found += measure_agreement("risk tiers", tiered, [("score", name) for name in detectors])
    return found


def _detectors(rows: NDArray[np.float64], seed: int) -> dict[str, NDArray[np.float64]]:
    """Score the rows by outlier detectors that know of no label, larger for odder."""
    forest = IsolationForest(random_state=seed).fit(rows)
    return {
        "local outlier factor": -LocalOutlierFactor(n_neighbors=2 * MIN_SAMPLES).fit(rows).score_samples(rows),
        "k-distance": -KDistance(n_neighbors=2 * MIN_SAMPLES).fit(rows).score_samples(rows),
        "isolation forest": -forest.score_samples(rows),
    }


def _irrelevant(applications: Applications) -> Mapping[str, NDArray[np.float64]]:
    """Give what cannot matter to whether somebody resells."""
    digests = {
        name: np.array([int.from_bytes(sha256(text.encode()).digest()[:6]) for text in ids.tolist()], dtype=np.float64)
        for name, ids in (
            ("a digest of the account's id", applications.account_ids),
            ("a digest of the application's id", applications.application_ids),
        )
    }
    second = np.timedelta64(1, "s")
    fraction = (applications.submitted_at - applications.submitted_at.astype("datetime64[s]")) / second
    return digests | {"the fraction of a second of the submission": fraction.astype(np.float64)}


def _pool(later: Later) -> Pool:
    """Choose who may be altered: operators of one account, whom the door lets in."""
    kept = (later.operator_sizes == 1) & is_among(later.disposition, HOLDERS)
    return Pool(later.applications.take(kept), is_among(later.disposition[kept], FULL_ADMISSIONS))


def _roofs(history: History, later: Later) -> tuple[Roof, ...]:
    """Count real places that several later applicants share, by kind: the first address each ordered to most."""
    columns = history.warehouse.columns()
    if "kind" not in columns.get("addresses", ()) or "address_id" not in columns.get("orders", ()):
        return ()
    found = history.connection.execute(
        "SELECT account_id, mode(address_id) AS place FROM orders "
        "WHERE account_id IN (SELECT unnest($ids)) GROUP BY ALL",
        {"ids": later.applications.account_ids.tolist()},
    ).fetchall()
    kinds = dict(
        history.connection.execute("SELECT address_id, any_value(kind) FROM addresses GROUP BY ALL").fetchall()
    )
    place_of = dict(found)
    places = np.array([place_of.get(account) or "" for account in later.applications.account_ids.tolist()])
    kept_out = ~is_among(later.disposition, HOLDERS)
    shared = {
        place for place, n in zip(*np.unique(places, return_counts=True), strict=True) if place and n >= SHARED_FROM
    }
    rows = []
    for kind in ROOFS:
        of_kind = [place for place in sorted(shared) if kinds.get(place) == kind]
        inside = np.isin(places, of_kind)
        if of_kind:
            merged = sum(_is_merged(later.population.operator_ids[places == place]) for place in of_kind)
            rows.append(
                Roof(
                    kind,
                    len(of_kind),
                    int(inside.sum()),
                    merged,
                    float(kept_out[inside].mean()),
                    float(kept_out.mean()),
                )
            )
    return tuple(rows)


def _is_merged(operator_ids: NDArray[np.str_]) -> bool:
    return bool(np.unique(operator_ids, return_counts=True)[1].max() > len(operator_ids) / 2)


def _powered(people: Population) -> tuple[PoweredShare, ...]:
    among = {"all_applicants": np.ones(len(people), dtype=np.bool_)}
    among |= {"admitted_in_full": is_among(people.disposition, FULL_ADMISSIONS)}
    among |= {"all_holders": is_among(people.disposition, HOLDERS)}
    return tuple(powered_share(people.take(rows), name) for name, rows in among.items() if rows.any())
