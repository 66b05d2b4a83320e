"""The real service in a real process: what is published decides at once, nobody is dropped, and SIGTERM drains."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from time import monotonic, sleep
from typing import Any

import httpx
import msgspec
import pytest

from membergate.deciding.policy import Policy, load_policy
from membergate.domain.errors import RefusedError
from membergate.operations import policy_lifecycle
from membergate.operations.gating import activate
from membergate.operations.testimony import vocabulary
from membergate.operations.verify import Judgement, name_of
from membergate.operations.workspace import Workspace, write_atomically
from membergate.verification.report import digest_of


@pytest.fixture
def served(live: Workspace, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Start `membergate serve` in a process of its own."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "membergate", "serve", "--port", str(port), "--workspace", str(live.root)]
    log = (tmp_path / "log").open("wb")
    with log, subprocess.Popen(command, stdout=log, stderr=log, cwd=tmp_path) as process:
        url = f"http://127.0.0.1:{port}"
        deadline = monotonic() + 120
        while monotonic() < deadline and process.poll() is None:
            try:
                httpx.get(f"{url}/ready")
                break
            except httpx.TransportError:
                sleep(0.1)
        yield process, url
        process.kill()


def test_publishing_drops_no_request(live: Workspace, shop: Any, served: tuple[Any, str]) -> None:
    """Four clients ask while another policy goes live and back: every answer is 2xx, and both policies decided."""
    process, url = served
    asked = list(shop.decisions[-8:])
    ended = Event()

    statuses: set[int] = set()
    versions: set[str] = set()

    def ask(number: int) -> None:
        with httpx.Client(base_url=url, timeout=60) as client:
            while not ended.is_set():
                one = asked[number % len(asked)]
                number += 1
                body = {"account_id": one.account_id, "application_id": one.application_id}
                answer = client.post("/v1/decisions/admission", json=body)
                statuses.add(answer.status_code)
                versions.add(answer.json().get("policy_version", "").rpartition("-")[0])

    old = shop.desk.policy
    text = old.text.replace(f'version: "{old.version}"', 'version: "99"')
    new = load_policy(text, origin="new", vocabulary=vocabulary())
    with ThreadPoolExecutor(4) as clients:
        running = [clients.submit(ask, number) for number in range(4)]
        try:
            policy_lifecycle.submit(live, new, by="anna", clock=shop.clock)
            policy_lifecycle.approve(live, new, by="bert", clock=shop.clock)
            policy_lifecycle.shadow(live, new, by="anna", clock=shop.clock)
            with pytest.raises(RefusedError, match="not verified"):
                activate(live, new, by="bert", clock=shop.clock)
            _open_gate(live, new)
            activate(live, new, by="bert", clock=shop.clock)
            _wait(url, "default-99")
            _until(lambda: "default-99" in versions)  # nobody need have been answered yet, on a busy machine
            policy_lifecycle.rollback(live, by="bert", clock=shop.clock)
            _wait(url, f"default-{old.version}")
            _until(lambda: f"default-{old.version}" in versions)
        finally:
            ended.set()
        for future in running:
            future.result()
    assert statuses == {200}
    assert versions == {f"default-{old.version}", "default-99"}
    _drains(process, url, asked)


def _open_gate(place: Workspace, policy: Policy) -> None:
    """Say that the live model was verified with a policy, and the gate opened."""
    judgement = Judgement(
        opens=True,
        reasons=(),
        policy_digest=policy.digest,
        incumbent=name_of(place.required_live()),
        warehouse=place.warehouse().fingerprint,
        report_digest=digest_of(b"{}"),
    )
    folder = place.report_folder(place.required_live().model_version)
    write_atomically(folder / "report.json", b"{}")
    write_atomically(folder / "judgement.json", msgspec.json.encode(judgement))


def _wait(url: str, version: str) -> None:
    _until(lambda: httpx.get(f"{url}/ready").json()["policy_version"].startswith(version))


def _until(is_so: Callable[[], bool]) -> None:
    deadline = monotonic() + 60
    while not is_so():
        assert monotonic() < deadline, "it never came so far"
        sleep(0.1)


def _drains(process: Any, url: str, asked: list[Any]) -> None:
    """SIGTERM comes while questions are being answered: they are answered, and the process ends."""

    def ask(client: httpx.Client, decision: Any) -> int:
        body = {"account_id": decision.account_id, "application_id": decision.application_id}
        return client.post("/v1/decisions/admission", json=body).status_code

    clients = [httpx.Client(base_url=url, timeout=60) for _ in range(4)]
    for client in clients:
        assert client.get("/health").status_code == 200  # connected, so that the question is on its way at once
    with ThreadPoolExecutor(4) as threads:
        under_way = [threads.submit(ask, client, one) for client, one in zip(clients, asked[:4], strict=True)]
        sleep(0.3)
        os.kill(process.pid, signal.SIGTERM)
        assert {future.result() for future in under_way} == {200}
    for client in clients:
        client.close()
    assert process.wait(60) in {0, -signal.SIGTERM}
