"""Small files in the layout of every data set that a built-in task reads: the texts are made up here.

``write(name, folder)`` writes what a task needs below a data folder; sizes are in :data:`SIZES`.
"""

import gzip
import json
import random
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from warmup_bench.contracts.task import LoadRequest, Splits

SIZES = {"train": 40, "validation": 6, "test": 8}
"""Examples of each published split."""

_STARTS = ("ba", "ke", "mi", "lo", "tu", "sa", "re", "ni", "po", "du")
_ENDS = ("nar", "tel", "dis", "gon", "lum", "vek", "rit", "sol", "fan", "mer")


def words(seed: str, count: int = 9) -> str:
    """A made sentence: the same for the same seed, another one for any other."""
    rng = random.Random(seed)
    made = [rng.choice(_STARTS) + rng.choice(_STARTS) + rng.choice(_ENDS) for _ in range(count)]
    return " ".join(made).capitalize() + "."


def sentence(language: str, split: str, i: int) -> str:
    """A made sentence of a language: Russian and Chinese ones have a letter of their script."""
    mark = {"ru": "Да ", "zh": "好 "}.get(language, "")
    return mark + words(f"{language} {split} {i}")


def json_lines(path: Path, rows: list[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    packed = path.suffix == ".gz"
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())


def parquet(path: Path, columns: dict) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)


def news_commentary(folder: Path) -> None:
    for pair in ("de-en", "en-fr", "en-ru", "en-zh"):
        rows = [
            {language: sentence(language, "news", i) for language in pair.split("-")}
            for i in range(SIZES["train"])
        ]
        columns = {"id": [str(i) for i in range(len(rows))], "translation": rows}
        parquet(folder / "news_commentary" / pair / "train-00000-of-00001.parquet", columns)


def flores(folder: Path) -> None:
    codes = {"en": "eng_Latn", "de": "deu_Latn", "fr": "fra_Latn", "ru": "rus_Cyrl", "zh": "cmn_Hans"}
    for split, size in (("dev", SIZES["validation"]), ("devtest", SIZES["test"])):
        for language, code in codes.items():
            rows = [
                {
                    "id": i,
                    "iso_639_3": code[:3],
                    "iso_15924": code[4:],
                    "glottocode": "x",
                    "text": sentence(language, split, i),
                    "url": f"https://en.wikinews.org/wiki/{split}_{i // 3}",
                    "domain": "wikinews",
                    "topic": "sports",
                    "has_image": "no",
                    "has_hyperlink": "no",
                    "last_updated": "1.0",
                }
                for i in range(size)
            ]
            json_lines(folder / "flores_plus" / split / f"{code}.jsonl", rows)


def flores_200(folder: Path) -> None:
    """The plain texts that FLORES+ comes from."""
    codes = {"en": "eng_Latn", "de": "deu_Latn", "fr": "fra_Latn", "ru": "rus_Cyrl", "zh": "zho_Hans"}
    root = folder / "flores200_dataset"
    for split, size in (("dev", SIZES["validation"]), ("devtest", SIZES["test"])):
        (root / split).mkdir(parents=True)
        for language, code in codes.items():
            lines = "".join(f"{sentence(language, split, i)}\n" for i in range(size))
            (root / split / f"{code}.{split}").write_text(lines, encoding="utf-8")
        rows = [f"https://en.wikinews.org/wiki/{split}_{i // 3}\twikinews\tsports\t0\t1" for i in range(size)]
        header = "URL\tdomain\ttopic\thas_image\thas_hyperlink"
        (root / f"metadata_{split}.tsv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")


def wmt(folder: Path) -> None:
    news_commentary(folder)
    flores(folder)


def ntrex(folder: Path) -> None:
    news_commentary(folder)
    endings = {"en": "src.eng", "de": "ref.deu", "fr": "ref.fra", "ru": "ref.rus", "zh": "ref.zho-CN"}
    root = folder / "ntrex"
    (root / "NTREX-128").mkdir(parents=True, exist_ok=True)
    for language, ending in endings.items():
        lines = "".join(sentence(language, "ntrex", i) + "\r\n" for i in range(SIZES["test"]))
        (root / "NTREX-128" / f"newstest2019-{ending}.txt").write_bytes(lines.encode())
    documents = "".join(f"bbc.{i // 3}\n" for i in range(SIZES["test"]))
    (root / "DOCUMENT_IDS.tsv").write_text(documents)


def multi30k(folder: Path) -> None:
    stems = {"train": "train", "val": "validation"}
    stems |= {f"test_{name}": "test" for name in ("2016_flickr", "2017_flickr", "2017_mscoco", "2018_flickr")}
    (folder / "multi30k").mkdir(parents=True, exist_ok=True)
    for stem, split in stems.items():
        for language in ("de", "en", "fr", *(["cs"] if "2017" not in stem else [])):
            lines = "".join(f"{sentence(language, stem, i)}\n" for i in range(SIZES[split]))
            (folder / "multi30k" / f"{stem}.{language}.gz").write_bytes(gzip.compress(lines.encode()))


def libreoffice_help(folder: Path) -> None:
    pages = 60  # so many that every split gets some
    for language in ("de", "fr", "ru", "zh"):
        rows = [
            {
                "id": f"swriter/guide/page{page}.html#par_{i}",
                "tag": "p",
                "en": sentence("en", "help", 2 * page + i),
                language: sentence(language, "help", 2 * page + i),
            }
            for page in range(pages)
            for i in range(2)
        ]
        json_lines(folder / "lohelp" / f"en-{language}.jsonl.gz", rows)


def xsum(folder: Path) -> None:
    for split, size in SIZES.items():
        columns = {
            "document": [words(f"{split} body {i}", 40) for i in range(size)],
            "summary": [words(f"{split} line {i}") for i in range(size)],
            "id": [f"{split}{i}" for i in range(size)],
        }
        parquet(folder / "xsum" / "data" / f"{split}-00000-of-00001.parquet", columns)


def cnn_dailymail(folder: Path) -> None:
    parts = {"train": 3, "validation": 1, "test": 1}
    for split, count in parts.items():
        numbers = list(range(SIZES[split]))
        for part in range(count):
            in_part = numbers[part::count]
            columns = {
                "article": [words(f"{split} article {i}", 40) for i in in_part],
                "highlights": [f"{words(f'{split} a {i}')}\n{words(f'{split} b {i}')}" for i in in_part],
                "id": [f"{split}{i:040d}" for i in in_part],
            }
            name = f"{split}-{part:05d}-of-{count:05d}.parquet"
            parquet(folder / "cnn_dailymail" / "3.0.0" / name, columns)


def scitldr(folder: Path) -> None:
    for name, split in (("train", "train"), ("dev", "validation"), ("test", "test")):
        rows = [
            {
                "source": [words(f"{split} {i} s{k}") for k in range(4)],
                "source_labels": [1, 0, 0, 0],
                "rouge_scores": [0.4, 0.3, 0.2, 0.1],
                "paper_id": f"{split}-{i}",
                "target": [words(f"{split} {i} t{k}") for k in range(1 if split == "train" else 2 + i % 2)],
                "title": words(f"{split} {i} title", 3),
            }
            for i in range(SIZES[split])
        ]
        json_lines(folder / "scitldr" / f"{name}.jsonl.gz", rows)


def options(seed: str, count: int = 4) -> list[str]:
    return [words(f"{seed} option {k}", 5) for k in range(count)]


def logiqa(folder: Path) -> None:
    for name, split in (("Train", "train"), ("Eval", "validation"), ("Test", "test")):
        lines = []
        for i in range(SIZES[split]):
            seed = f"logiqa {split} {i}"
            lines += ["", "abcd"[i % 4], words(seed, 20), words(f"{seed} question", 6)]
            lines += [f"{letter}.{text}" for letter, text in zip("ABCD", options(seed), strict=True)]
        path = folder / "logiqa" / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def logiqa2(folder: Path) -> None:
    for name, split in (("train", "train"), ("dev", "validation"), ("test", "test")):
        rows = [
            {
                "id": 100 + i,
                "answer": i % 4,
                "text": words(f"logiqa2 {split} {i}", 20),
                "question": words(f"logiqa2 {split} {i} question", 6),
                "options": options(f"logiqa2 {split} {i}"),
                "type": {"Categorical Reasoning": True} if i % 2 else {},
            }
            for i in range(SIZES[split])
        ]
        json_lines(folder / "logiqa2" / "logiqa" / "DATA" / "LOGIQA" / f"{name}.txt", rows)


def reclor(folder: Path) -> None:
    for name, split in (("train", "train"), ("val", "test")):
        rows = [
            {
                "context": words(f"reclor {split} {i}", 20),
                "question": words(f"reclor {split} {i} question", 6),
                "answers": options(f"reclor {split} {i}"),
                "label": i % 4,
                "id_string": f"{name}_{i}",
            }
            for i in range(SIZES[split])
        ]
        path = folder / "reclor_data" / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(rows))


def ar_lsat(folder: Path) -> None:
    splits = {"Training": "train", "Development": "validation", "Test": "test"}
    for name, split in splits.items():
        passages = []
        for first in range(0, SIZES[split], 2):
            questions = []
            for i in (first, first + 1):
                count = 4 if split == "train" and i % 10 == 0 else 5  # as in the published files
                seed = f"lsat {split} {i}"
                questions.append(
                    {
                        "id": f"{split}_G_{first}_{i}",
                        "fatherId": f"{split}_G_{first}",
                        "questionId": str(i - first + 1),
                        "question": words(f"{seed} question", 8),
                        "isExcept": "",
                        "tags": ["", "", "", ""],
                        "options": options(seed, count),
                        "answer": "ABCDE"[i % count],
                    }
                )
            passage = words(f"lsat {split} passage {first}", 30)
            passages.append({"id": f"{split}_G_{first}", "passage": passage, "questions": questions})
        path = folder / "ar-lsat" / "data" / f"AR_{name}Data.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(passages))


WRITERS: dict[str, Callable[[Path], None]] = {
    "wmt": wmt,
    "ntrex": ntrex,
    "multi30k": multi30k,
    "libreoffice-help": libreoffice_help,
    "xsum": xsum,
    "cnn_dailymail": cnn_dailymail,
    "scitldr": scitldr,
    "logiqa": logiqa,
    "logiqa2": logiqa2,
    "reclor": reclor,
    "ar-lsat": ar_lsat,
}


def write(name: str, folder: Path) -> Path:
    """Write the files of one task below a data folder; returns the folder."""
    WRITERS[name](folder)
    return folder


def load(name: str, folder: Path, subset: str = "en", scale: str = "paper") -> Splits:
    """What a task makes of the files that lie in a data folder."""
    task = import_module(f"tasks.{name.replace('-', '_')}").TASK
    return task.load(LoadRequest(subset, scale, folder, offline=True))
