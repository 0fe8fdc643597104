"""What Python gives is bitwise what the programs of the shell write."""

import csv
import io

import numpy as np
import pytest
from conftest import BASE, FLAGS, ROW, pixels, png, shell

import feature_cache as fc


@pytest.fixture(scope="module")
def by_shell(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shell")
    shell("extract", "--data", data, "--features", folder / "features", *FLAGS)
    return folder / "features"


def test_extract_writes_the_same_files(features, by_shell):
    for split in ("train", "validation", "test"):
        for what in ("features.npy", "labels.npy", "index.csv"):
            name = f"{split}_{what}"
            assert (features / name).read_bytes() == (by_shell / name).read_bytes(), name


def test_rows_of_paths_and_of_pixels_are_those_of_the_cache(data, by_shell):
    stored = np.load(by_shell / "train_features.npy")
    base = fc.Extractor(**BASE)
    train = fc.open(by_shell)["train"]
    paths = [data / "train" / file for file in train.files]
    rows = base(paths)
    assert rows.dtype == np.float32 and rows.shape == (16, *ROW)
    assert rows.tobytes() == stored.tobytes()
    # Whatever the batches and threads.
    other = fc.Extractor(**{**BASE, "batch_size": 3, "threads": 2})
    assert other([str(path) for path in paths]).tobytes() == stored.tobytes()


def test_arrays_of_any_layout_are_pictures(tmp_path):
    base = fc.Extractor(**BASE)
    made = [pixels(seed) for seed in range(3)]
    paths = []
    for i, picture in enumerate(made):
        paths.append(tmp_path / f"{i}.png")
        paths[-1].write_bytes(png(picture))
    expected = base(paths)
    assert base(np.stack(made)).tobytes() == expected.tobytes()
    assert base(made).tobytes() == expected.tobytes()
    assert base([paths[0], made[1], paths[2]]).tobytes() == expected.tobytes(), "mixed"
    fortran = [np.asfortranarray(picture) for picture in made]
    assert base(fortran).tobytes() == expected.tobytes()
    flipped = [np.ascontiguousarray(picture[:, ::-1])[:, ::-1] for picture in made]
    assert not flipped[0].flags.c_contiguous
    assert base(flipped).tobytes() == expected.tobytes()
    frozen = made[0].copy()
    frozen.flags.writeable = False
    assert base(frozen).tobytes() == expected[:1].tobytes(), "one picture, read-only"
    assert base(paths[0]).shape == (1, *ROW)
    assert base([]).shape == (0, *ROW)
    assert base(iter(paths)).tobytes() == expected.tobytes()


def test_pillow_images_are_pictures(tmp_path):
    Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    base = fc.Extractor(**BASE)
    alpha = np.dstack([pixels(5), np.full((40, 48), 128, np.uint8)])
    Image.fromarray(alpha).save(tmp_path / "alpha.png")
    Image.fromarray(pixels(4)).convert("L").save(tmp_path / "grey.png")
    Image.fromarray(pixels(3)).save(tmp_path / "photo.jpg", quality=90)
    for name in ("alpha.png", "grey.png", "photo.jpg"):
        path = tmp_path / name
        assert base(Image.open(path)).tobytes() == base(path).tobytes(), name


def test_many_pictures_are_taken_in_parts():
    base = fc.Extractor(**{**BASE, "batch_size": 1})
    made = np.stack([pixels(seed) for seed in range(19)])
    assert base(made).tobytes() == np.concatenate([base(one) for one in made]).tobytes()


def test_a_head_has_the_same_bytes(by_shell, head, tmp_path):
    shell("fit-head", "--features", by_shell, "--head", tmp_path / "head", "--epochs", 20, "--lr", "1e-3")
    ours, theirs = (folder / "head.safetensors" for folder in (head, tmp_path / "head"))
    assert ours.read_bytes() == theirs.read_bytes()


def test_predictions_are_the_same_numbers(data, head):
    paths = sorted((data / "test").glob("*/*.png"))
    loaded = fc.Head.load(head)
    predicted = loaded.predict(paths)
    printed = shell("predict", "--head", head, "--top", 2, "--csv", *paths).stdout
    rows = [row for row in csv.DictReader(io.StringIO(printed))]
    for path, probabilities, name in zip(paths, predicted.probabilities, predicted.names):
        mine = {row["class"]: np.float32(row["probability"]) for row in rows if row["file"] == str(path)}
        assert [mine[one] for one in predicted.classes] == list(probabilities), path
        assert max(mine, key=mine.get) == name
    assert predicted.probabilities.shape == (6, 2) and predicted.labels.dtype == np.int64
    # Decided again for each call, with the base that is loaded.
    low = loaded.predict(paths, threshold=0.0)
    assert set(low.names) == {"light"}
    assert loaded.predict(paths).names == predicted.names
    calibrated = loaded.predict(paths, calibrated=True, threshold="auto")
    printed = shell("predict", "--head", head, "--csv", "--calibrated", "--threshold", "auto", *paths).stdout
    firsts = [row["class"] for row in csv.DictReader(io.StringIO(printed)) if row["rank"] == "1"]
    assert calibrated.names == firsts


def test_training_and_comparing(data, head, tmp_path):
    fitted = fc.train(
        data, tmp_path / "net", hidden=4, epochs=2, lr=1e-3, progress=False, **BASE
    )
    assert [len(values) for values in fitted.history.values()] == [2] * 4
    result = fc.compare([tmp_path / "net", head])
    assert (tmp_path / "compare.html").exists()
    assert len(result["models"]) == 2, result.keys()


def test_the_report_says_how_it_was_called(head):
    assert "feature_cache.fit_head(" in (head / "report.html").read_text()


def test_the_programs_are_there(tmp_path):
    for name in ("feature-cache", "extract", "fit-head", "predict", "cache"):
        assert fc.__version__ in shell(name, "--version").stdout
    wrong = shell("extract", "--data", tmp_path / "nowhere", ok=False)
    assert wrong.returncode == 1 and "hint: give its path with --data DIR" in wrong.stderr
    assert shell("predict", ok=False).returncode == 2
