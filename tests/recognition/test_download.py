"""Downloads from a real HTTP server on loopback that breaks in every way a hub or a link can."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub import constants
from support.hub import COMMIT, Faults, Hub

from omniid.errors import RecognitionError
from omniid.recognition import hub as hub_client
from omniid.recognition import model_store, models
from omniid.recognition.download import Downloaded, Progress, download
from omniid.recognition.seals import MANIFEST, read_manifest

REPOSITORY = "Systran/faster-whisper-base.en"
WEIGHTS = random.Random(1).randbytes(300_000)
FILES = {
    "model.bin": WEIGHTS,
    "config.json": b'{"suppress_ids": []}',
    "tokenizer.json": b'{"version": "1.0"}' + b" " * 2_000,
    "vocabulary.txt": b"hello\nworld\n",
    "README.md": b"not for us",
    "vocabulary./../../../outside": b"an intruder",
}
WANTED = {"model.bin", "config.json", "tokenizer.json", "vocabulary.txt"}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "omniid" / "models"
    monkeypatch.setattr(models, "cache_folder", lambda: folder)
    monkeypatch.setattr(models, "PACKAGE", "a_package_that_is_not_installed")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return folder


@pytest.fixture
def hub(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:  # noqa: ARG001 - never a real cache
    stand_in = Hub()
    stand_in.repositories[REPOSITORY] = dict(FILES)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub_client, "RETRY_AFTER_S", (0.0, 0.0))
    monkeypatch.setenv("HF_ENDPOINT", stand_in.endpoint)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with stand_in.serving():
        yield stand_in
    huggingface_hub.close_session()


def refused(name: str = "base.en") -> RecognitionError:
    with pytest.raises(RecognitionError) as caught:
        download(name)
    return caught.value


def assert_whole(done: Downloaded) -> None:
    assert models.find(done.choice.name) == done.choice
    assert {path.name for path in done.choice.path.iterdir()} == {*WANTED, MANIFEST}
    for name in WANTED:
        assert (done.choice.path / name).read_bytes() == FILES[name]
    assert model_store.parts() == []


def assert_not_found(name: str = "base.en") -> None:
    with pytest.raises(RecognitionError) as caught:
        models.find(name)
    assert caught.value.code == "model_missing"
    assert all(choice.origin != "cache" for choice in models.installed())


def test_a_download_is_there_as_a_whole(hub: Hub, cache: Path) -> None:
    seen: list[Progress] = []
    done = download("base.en", seen.append)
    assert_whole(done)
    assert done.choice.path == cache / "base.en"
    size_bytes = sum(len(FILES[name]) for name in WANTED)
    assert (done.was_there, done.fetched_bytes) == (False, size_bytes)
    assert seen[-1] == Progress(size_bytes, size_bytes)
    assert [now.done_bytes for now in seen] == sorted(now.done_bytes for now in seen)
    assert {request.name for request in hub.requests} == WANTED
    manifest = read_manifest(done.choice.path)
    assert manifest is not None
    assert (manifest.repository, manifest.commit) == (REPOSITORY, COMMIT)


def test_a_repository_is_downloaded_by_its_own_name(hub: Hub, cache: Path) -> None:
    hub.repositories["someone/their-model"] = dict(FILES)
    done = download("someone/their-model")
    assert_whole(done)
    assert done.choice.path == cache / "someone--their-model"


def test_what_is_there_is_checked_and_left_alone(hub: Hub) -> None:
    download("base.en")
    asked = len(hub.requests)
    again = download("base.en")
    assert (again.was_there, again.fetched_bytes) == (True, 0)
    assert "already here, and fits its checksums" in again.note
    assert len(hub.requests) == asked


def test_what_is_damaged_is_mended_by_the_files_it_lacks(hub: Hub) -> None:
    path = download("base.en").choice.path
    (path / "model.bin").write_bytes(WEIGHTS[:-1] + b"?")  # of the right size
    (path / "vocabulary.txt").unlink()
    hub.requests.clear()
    assert_whole(download("base.en"))
    assert {request.name for request in hub.requests} == {"model.bin", "vocabulary.txt"}


def test_a_users_own_model_is_not_overwritten(hub: Hub, cache: Path) -> None:
    own = cache / "base.en"
    own.mkdir(parents=True)
    for name in models.NEEDED_FILES:
        (own / name).write_bytes(b"{}")
    done = download("base.en")
    assert done.was_there
    assert "did not download it" in done.note
    assert (own / "model.bin").read_bytes() == b"{}"
    assert hub.requests == []


def test_a_model_in_another_programs_cache_is_not_fetched_again(hub: Hub, tmp_path: Path) -> None:
    folder = tmp_path / "hub" / f"models--{REPOSITORY.replace('/', '--')}"
    (folder / "snapshots" / "abc").mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("abc")
    for name in models.NEEDED_FILES:
        (folder / "snapshots" / "abc" / name).write_bytes(b"{}")
    done = download("base.en")
    assert (done.was_there, done.choice.origin) == (True, "huggingface")
    assert hub.requests == []


@pytest.mark.parametrize("cut", [0, 1, 100, 8_191, 8_192, 150_000, len(WEIGHTS) - 1])
def test_after_a_cut_the_next_download_goes_on_from_that_byte(hub: Hub, cut: int) -> None:
    hub.faults["model.bin"] = Faults(cuts=[cut], statuses=[])
    hub.faults["model.bin"].cuts += [0, 0]  # so that this download gives up
    error = refused()
    assert error.code == "download_failed"
    assert_not_found()
    hub.faults.clear()
    done = download("base.en")
    assert_whole(done)
    assert hub.sent("model.bin") == len(WEIGHTS), "no byte of it was sent twice"
    assert hub.of("model.bin")[-1].start == cut


def test_a_link_that_breaks_again_and_again_still_gets_there(hub: Hub) -> None:
    hub.faults["model.bin"] = Faults(cuts=[30_000] * 8)
    assert_whole(download("base.en"))
    assert hub.sent("model.bin") == len(WEIGHTS)


def test_any_row_of_cuts_ends_in_the_right_bytes(hub: Hub) -> None:
    chance = random.Random(7)
    for _ in range(10):
        hub.requests.clear()
        hub.faults["model.bin"] = Faults(cuts=[chance.randrange(0, 90_000) for _ in range(12)])
        while True:
            try:
                done = download("base.en")
            except RecognitionError:
                assert_not_found()
                continue
            break
        assert_whole(done)
        assert hub.sent("model.bin") == len(WEIGHTS)
        model_store.remove("base.en")


def test_an_answer_that_is_too_short_is_completed(hub: Hub) -> None:
    hub.faults["model.bin"] = Faults(short=[100_000, 50_000])
    assert_whole(download("base.en"))
    assert [request.start for request in hub.of("model.bin")] == [0, 100_000, 150_000]


def test_a_server_that_is_busy_is_asked_again(hub: Hub) -> None:
    hub.api_statuses = [503, 502]
    hub.faults["model.bin"] = Faults(statuses=[503, 503])
    assert_whole(download("base.en"))


def test_a_server_that_stays_busy_is_named(hub: Hub) -> None:
    hub.faults["model.bin"] = Faults(statuses=[503] * 9)
    error = refused()
    assert error.code == "download_failed"
    assert "the hub answers 503" in error.message
    assert_not_found()


def test_a_server_without_ranges_begins_anew(hub: Hub) -> None:
    hub.faults["model.bin"] = Faults(cuts=[200_000], ignores_range=True)
    assert_whole(download("base.en"))
    assert hub.sent("model.bin") == 200_000 + len(WEIGHTS)


@pytest.mark.parametrize("name", ["model.bin", "config.json"])
def test_wrong_bytes_never_become_a_model(hub: Hub, name: str) -> None:
    hub.faults[name] = Faults(wrong=True)
    error = refused()
    assert error.code == "download_damaged"
    assert name in error.message
    assert_not_found()
    hub.faults.clear()
    assert_whole(download("base.en"))


def test_a_damaged_half_is_thrown_away_and_fetched_anew(hub: Hub) -> None:
    hub.faults["model.bin"] = Faults(cuts=[100_000, 0, 0])
    refused()
    half = next(model_store.part_path("base.en").glob("model.bin.*.part"))
    half.write_bytes(bytes(100_000))  # as a power cut leaves it on some file systems
    hub.faults.clear()
    hub.requests.clear()
    assert_whole(download("base.en"))
    assert [request.start for request in hub.of("model.bin")] == [100_000, 0]


def test_a_server_that_sends_more_than_the_file_has_fills_no_disk(hub: Hub) -> None:
    hub.faults["model.bin"] = Faults(too_long=True)
    error = refused()
    assert error.code == "download_failed"
    assert "more bytes than the hub says" in error.message
    assert model_store.size_bytes(model_store.part_path("base.en")) <= len(WEIGHTS) + 10_000
    assert_not_found()
    hub.faults.clear()
    assert_whole(download("base.en"))


def test_a_new_version_is_not_joined_to_the_half_of_the_old(hub: Hub) -> None:
    hub.faults["model.bin"] = Faults(cuts=[100_000, 0, 0])
    refused()
    hub.faults.clear()
    hub.commit = "f" * 40
    newer = random.Random(2).randbytes(250_000)
    hub.repositories[REPOSITORY]["model.bin"] = newer
    hub.requests.clear()
    done = download("base.en")
    assert (done.choice.path / "model.bin").read_bytes() == newer
    assert [request.start for request in hub.of("model.bin")] == [0]


def test_a_silent_server_is_given_up(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_client, "SILENCE_S", 0.2)
    hub.faults["model.bin"] = Faults(stall_after=0)
    error = refused()
    assert error.code == "download_failed"
    assert_not_found()


def test_nobody_at_the_address(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    assert hub.requests == []
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    error = refused()
    assert error.code == "download_failed"
    assert f"http://127.0.0.1:9/{REPOSITORY} cannot be fetched" in error.message
    assert_not_found()


def test_an_address_that_is_none(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    assert hub.requests == []
    for endpoint in ("nonsense", "http://", "http://[::1", "http://a b"):
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        assert refused().code == "download_failed"


def test_offline_by_wish(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert refused().message == "HF_HUB_OFFLINE is set, so nothing is downloaded. Unset it."
    assert hub.requests == []


def test_a_name_that_nobody_has_given(hub: Hub) -> None:
    error = refused("smal.en")
    assert error.code == "model_unknown"
    assert "Did you mean small.en" in error.message
    assert refused("../../etc").code == "model_unknown"
    assert hub.requests == []


def test_a_repository_that_does_not_exist(hub: Hub) -> None:
    error = refused("nobody/nothing")
    assert error.code == "model_unknown"
    assert f"{hub.endpoint}/nobody/nothing" in error.message
    hub.api_statuses = [401]
    assert refused("nobody/nothing").code == "model_unknown"


@pytest.mark.parametrize(("status", "code"), [(401, "GatedRepo"), (403, "GatedRepo"), (403, "")])
def test_a_gated_model_says_what_to_do(hub: Hub, status: int, code: str) -> None:
    hub.faults["model.bin"] = Faults(statuses=[status], error_code=code)
    error = refused()
    assert error.code == "model_gated"
    assert f"Accept its terms at {hub.endpoint}/{REPOSITORY}" in error.message
    assert "HF_TOKEN" in error.message


def test_a_token_goes_to_the_hub_and_not_to_its_store(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert_whole(download("base.en"))
    given = {request.is_at_store: request.authorization for request in hub.requests}
    assert given == {False: "Bearer hf_secret", True: None}


def test_a_model_in_another_form_is_refused_before_it_is_fetched(hub: Hub) -> None:
    hub.repositories["openai/whisper-base"] = {"config.json": b"{}", "pytorch_model.bin": WEIGHTS}
    error = refused("openai/whisper-base")
    assert error.code == "model_unusable"
    assert "lacks model.bin, tokenizer.json" in error.message
    assert hub.requests == []


@pytest.mark.parametrize(
    "description",
    [
        {},
        {"id": REPOSITORY, "sha": "../..", "siblings": []},
        {"id": REPOSITORY, "sha": COMMIT, "siblings": [{"rfilename": "model.bin", "size": 10}]},
        {
            "id": REPOSITORY,
            "sha": COMMIT,
            "siblings": [{"rfilename": "model.bin", "blobId": "x", "size": 10}],
        },
        {"id": REPOSITORY, "sha": COMMIT, "siblings": [{"rfilename": "model.bin", "lfs": {}, "size": 10}]},
        {"id": REPOSITORY, "sha": COMMIT, "siblings": "none"},
        {"id": REPOSITORY, "sha": COMMIT, "siblings": [{}]},
    ],
)
def test_a_description_that_seals_nothing_is_refused(hub: Hub, description: dict[str, Any]) -> None:
    hub.description = description
    assert refused().code == "download_failed"
    assert hub.requests == []


def test_too_little_room_is_seen_before_a_byte_is_fetched(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("omniid.recognition.download.SPARE_BYTES", 10**18)
    error = refused()
    assert error.code == "disk_full"
    assert "Make room" in error.message
    assert hub.requests == []


def test_what_a_removal_that_was_cut_short_has_left_makes_room_first(
    hub: Hub, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (cache / ".removed").mkdir(parents=True)
    (cache / ".removed" / "model.bin").write_bytes(WEIGHTS)
    monkeypatch.setattr("omniid.recognition.download.SPARE_BYTES", 10**18)
    assert refused().code == "disk_full"
    assert hub.requests == []
    assert not (cache / ".removed").exists()


def test_two_downloads_at_a_time_are_one(hub: Hub) -> None:
    hub.faults["model.bin"] = Faults(stall_after=100_000)
    first: list[Downloaded | RecognitionError] = []

    def run() -> None:
        try:
            first.append(download("base.en"))
        except RecognitionError as error:
            first.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    assert hub.stalled.wait(30)
    assert refused().code == "models_busy"
    with pytest.raises(RecognitionError) as caught:
        model_store.remove("base.en")
    assert caught.value.code == "models_busy"
    hub.faults.clear()
    hub.release.set()
    thread.join()
    assert isinstance(first[0], Downloaded)
    assert_whole(first[0])


def test_a_cache_that_cannot_be_written_is_named(hub: Hub, cache: Path) -> None:
    cache.parent.mkdir(parents=True)
    cache.write_text("a file stands where the folder should be")
    error = refused()
    assert error.code == "download_failed"
    assert str(cache) in error.message
    assert hub.requests == []
