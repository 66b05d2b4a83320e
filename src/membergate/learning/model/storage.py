"""A model on disk: arrays, Parquet norms, and a manifest with a hash of every file. Never pickle.

The model's version is a digest of its content, so the same learning gives the same version, and a changed byte is
refused at load.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, fields
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from membergate import __version__
from membergate.domain.errors import ModelError
from membergate.domain.instants import format_instant, parse_instant
from membergate.engine import DBSCAN
from membergate.learning.features import Norms
from membergate.learning.model.additive import AdditiveLogit
from membergate.learning.model.calibration import SigmoidCalibration
from membergate.learning.model.clusters import Region, TypedClusters
from membergate.learning.model.groundwork import Groundwork
from membergate.learning.model.head import SupervisedHead
from membergate.learning.model.identification import IdentificationModel, LearningSettings, Lineage
from membergate.learning.model.jury import Jury
from membergate.learning.model.parts import Parts
from membergate.learning.model.prior import EconomicPrior
from membergate.learning.model.settling import Settling
from membergate.learning.model.shrinkage import Shrinkage
from membergate.learning.model.space import ContextSpace

FORMAT = 4
MANIFEST = "manifest.json"
ARRAYS = "arrays.npz"
NORMS = "norms"
_REGIONS = tuple(field.name for field in fields(TypedClusters))
_PARTS_OF_A_REGION = tuple(field.name for field in fields(Region) if field.name != "clusterer")

Arrays = dict[str, NDArray[Any]]


def save_model(model: IdentificationModel, models: Path) -> str:
    """Write a model into `models/<version>` and give its version; an equal model that is there already is kept.

    The folder appears whole or not at all.
    """
    models.mkdir(parents=True, exist_ok=True)
    staging = models / f".{os.getpid()}.part"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir()
    try:
        np.savez(staging / ARRAYS, allow_pickle=False, **_arrays_of(model))
        model.norms.save(staging / NORMS)
        manifest = _manifest_of(model, staging)
        version = str(manifest["version"])
        (staging / MANIFEST).write_text(json.dumps(manifest, indent=2, sort_keys=True), encoding="utf-8")
        if not (models / version).exists():
            staging.rename(models / version)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return version


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read a model's manifest and hold every file against its hash.

    Raises
    ------
    ModelError
        If the folder is no model, was made by another format, or any file is missing, added or altered.
    """
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise ModelError(
            f"there is no readable model in {folder.name!r}",
            where=str(folder),
            next_step="membergate learn makes one; membergate publish names those that are there",
        ) from None
    if manifest.get("format") != FORMAT:
        raise ModelError(
            f"the model has format {manifest.get('format')!r}",
            where=str(folder),
            allowed=f"format {FORMAT}",
            next_step="learn it again with this version of membergate",
        )
    actual = _hashes(folder)
    if actual != manifest["files"] or not manifest["version"] == _version(manifest) == folder.name:
        changed = sorted(
            name for name in actual.keys() | manifest["files"].keys() if actual.get(name) != manifest["files"].get(name)
        )
        raise ModelError(
            "the model was altered after it was made",
            where=f"{folder}: {', '.join(changed) or MANIFEST}",
            next_step="restore the folder from a backup, or learn the model again",
        )
    return manifest


def load_model(folder: Path) -> IdentificationModel:
    """Load a model, bit for bit as it was saved.

    Raises
    ------
    ModelError
        See `read_manifest`.
    """
    manifest = read_manifest(folder)
    with np.load(folder / ARRAYS, allow_pickle=False) as stored:
        arrays: Arrays = {name: stored[name] for name in stored.files}
    features = tuple(manifest["features"])
    lineage = manifest["lineage"]
    return IdentificationModel(
        features=features,
        norms=Norms.load(folder / NORMS),
        groundwork=Groundwork(
            space=ContextSpace(features, arrays["space.centres"], arrays["space.scales"]),
            prior=EconomicPrior(arrays["prior.weights"], arrays["prior.ranks"]),
            clusters=_clusters_from(arrays),
            jury=_jury_from(arrays),
            ranks=arrays["ranks"],
        ),
        head=_head_from(arrays, tuple(manifest["columns"])),
        calibration=SigmoidCalibration(**manifest["calibration"]) if manifest["calibration"] else None,
        lineage=Lineage(
            as_of=parse_instant(lineage["as_of"]),
            trained_until=parse_instant(lineage["trained_until"]),
            warehouse=lineage["warehouse"],
            accounts=arrays["lineage.accounts"],
            holdout_share=lineage["holdout_share"],
        ),
        settings=LearningSettings(**manifest["settings"] | {"parts": Parts(**manifest["settings"]["parts"])}),
        notes=tuple(manifest["notes"]),
        settling=_settling_from(arrays),
    )


def _manifest_of(model: IdentificationModel, folder: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "made_by": f"membergate {__version__}",
        "features": list(model.features),
        "columns": list(model.head.columns) if model.head else [],
        "calibration": asdict(model.calibration) if model.calibration else None,
        "settings": asdict(model.settings),
        "lineage": {
            "as_of": format_instant(model.lineage.as_of),
            "trained_until": format_instant(model.lineage.trained_until),
            "warehouse": model.lineage.warehouse,
            "holdout_share": model.lineage.holdout_share,
        },
        "notes": list(model.notes),
        "files": _hashes(folder),
    }
    return manifest | {"version": _version(manifest)}


def _version(manifest: Mapping[str, Any]) -> str:
    content = {key: value for key, value in manifest.items() if key != "version"}
    return "m-" + sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


def _hashes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
    return {path.relative_to(folder).as_posix(): sha256(path.read_bytes()).hexdigest() for path in files}


def _arrays_of(model: IdentificationModel) -> Arrays:
    ground = model.groundwork
    arrays: Arrays = {
        "space.centres": ground.space.centres,
        "space.scales": ground.space.scales,
        "prior.weights": ground.prior.weights,
        "prior.ranks": ground.prior.ranks,
        "ranks": ground.ranks,
        "lineage.accounts": model.lineage.accounts,
    }
    for name in _REGIONS:
        region: Region = getattr(ground.clusters, name)
        if region.clusterer is not None:
            arrays |= _prefixed(f"clusters.{name}.fitted", region.clusterer.to_arrays())
        arrays |= {f"clusters.{name}.{part}": getattr(region, part) for part in _PARTS_OF_A_REGION}
    if model.head is not None:
        arrays |= {
            "head.ranks": model.head.ranks,
            "head.shrinkage": np.array([model.head.shrinkage.newcomer_share, model.head.shrinkage.weight]),
        }
        for number, member in enumerate(model.head.members):
            scalars = np.array([member.intercept, member.faith])
            arrays |= _prefixed(
                f"head.{number}", {"curves": member.curves, "absent": member.absent, "scalars": scalars}
            )
    if model.settling is not None:
        arrays |= _prefixed("settling", {"down": model.settling.down, "up": model.settling.up})
    if ground.jury is not None:
        arrays |= _prefixed("jury", ground.jury.to_arrays())
    return arrays


def _head_from(arrays: Arrays, columns: tuple[str, ...]) -> SupervisedHead | None:
    members: list[AdditiveLogit] = []
    while part := _under(f"head.{len(members)}", arrays):
        intercept, faith = part["scalars"].tolist()
        members.append(AdditiveLogit(part["curves"], part["absent"], intercept, faith))
    if not members:
        return None
    return SupervisedHead(tuple(members), Shrinkage(*arrays["head.shrinkage"].tolist()), columns, arrays["head.ranks"])


def _clusters_from(arrays: Arrays) -> TypedClusters:
    def region(name: str) -> Region:
        fitted = _under(f"clusters.{name}.fitted", arrays)
        parts = {part: arrays[f"clusters.{name}.{part}"] for part in _PARTS_OF_A_REGION}
        return Region(DBSCAN.from_arrays(fitted) if fitted else None, **parts)

    return TypedClusters(*(region(name) for name in _REGIONS))


def _settling_from(arrays: Arrays) -> Settling | None:
    kept = _under("settling", arrays)
    return Settling(kept["down"], kept["up"]) if kept else None


def _jury_from(arrays: Arrays) -> Jury | None:
    kept = _under("jury", arrays)
    return Jury.from_arrays(kept) if kept else None


def _prefixed(prefix: str, arrays: Mapping[str, NDArray[Any]]) -> Arrays:
    return {f"{prefix}.{name}": values for name, values in arrays.items()}


def _under(prefix: str, arrays: Arrays) -> Arrays:
    return {name[len(prefix) + 1 :]: values for name, values in arrays.items() if name.startswith(f"{prefix}.")}
