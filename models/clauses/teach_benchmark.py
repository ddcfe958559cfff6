"""Measure `smallprint teach`: five clause types from 20, 100 and 500 examples.

    python -m models.lora.train APART --base var/base --data FOLDER --fold 0 --out RUN
    python -m models.clauses.teach_benchmark models/clauses/contract-clauses --data FOLDER --run RUN

The encoder must not know the five types. APART has the `labels.json` and the `config.toml` of
models/clauses/contract-clauses, with this setting:

    [data]
    leave_out = ["Governing Law", "Audit Rights", "Non-Compete", "Agreement Date",
                 "Liquidated Damages"]

Without `--run` the shipped specialist is used, which knows the types and the contracts of fold 0.
The result says so (`seen`) and only shows that the program works.

Examples are stretches of contracts of folds 1 to 4, half of them with the clause type if there are
enough. Smaller sets are parts of larger ones. The taught specialist is scored on the whole
contracts of fold 0. Two baselines use the same examples: a keyword search (up to five phrases of
one to three words, chosen greedily by F1) and a linear model (TF-IDF of sentences, logistic
regression). For dates, both decide by the sentence around each date.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

from models.corpus import FOLDS, read_records
from models.evaluation.curves import intervals
from models.evaluation.judging import answers_of
from models.files import RUN_FILE, command, read_config, read_json, say, write_json
from models.lora.export import export, trained_state
from services.extraction.evaluation.metric import THRESHOLDS, Counts, Curve, count
from services.extraction.pipeline.decoding import Decoding, Span, decode, sentences
from services.extraction.pipeline.patterns import Kind, patterns
from services.extraction.pipeline.ranking import MIN_SCORE
from services.extraction.pipeline.search import search_scores
from services.extraction.teaching import Example, teach
from shared.inference import Specialist, Specialists, TokenScores
from shared.inference.adapters import ADAPTER_FILE, VIEWS
from shared.inference.session import Adapter, write_adapter

CATEGORIES: Mapping[str, str] = {
    "Governing Law": "frequent, one sentence in set phrases: the easy end",
    "Audit Rights": "frequent, several passages a contract, in many words",
    "Non-Compete": "in a quarter of the contracts; only its meaning differs from exclusivity",
    "Agreement Date": "a date, no sentence; only its position differs from other dates",
    "Liquidated Damages": "rare: fewer passages than 500 examples could hold",
}
SIZES = (20, 100, 500)
FOLD = 0  # of the evaluation
STRETCH = 2000  # least characters of an example
PHRASES = 5  # of a keyword search
SEED = 20
Floats = NDArray[np.float32]
Found = list[tuple[str, float]]
"""Text and confidence of each proposal in one contract."""


# --- the examples -------------------------------------------------------------------------------


def stretches(record: Mapping[str, Any], category: str) -> Iterator[Example]:
    """Cut a contract into examples at ends of sentences, never within a passage."""
    text = record["text"]
    passages = sorted(
        (note["start"], note["end"])
        for note in record["annotations"]
        if note["category"] == category
    )
    spans: list[Span] = []
    for span in passages:  # overlapping passages are joined
        if spans and span[0] < spans[-1][1]:
            spans[-1] = (spans[-1][0], max(spans[-1][1], span[1]))
        else:
            spans.append(span)
    begin = 0
    for _, end in sentences(text):
        cuts_one = any(first < end < last for first, last in spans)
        if (end - begin >= STRETCH and not cuts_one) or end == len(text.rstrip()):
            inside = tuple((a - begin, b - begin) for a, b in spans if begin <= a and b <= end)
            if text[begin:end].strip():
                yield Example(begin, text[begin:end], inside, record["id"])
            begin = end


def examples_of(records: Sequence[Mapping[str, Any]], category: str) -> list[Example]:
    """Return as many examples as the largest size needs.

    Half have the clause type, if there are enough. Smaller sets are the first examples.
    """
    every = [example for record in records for example in stretches(record, category)]
    unique = list({example.text: example for example in every}.values())
    draw = np.random.default_rng(SEED)
    order = draw.permutation(len(unique))
    having = [unique[i] for i in order if unique[i].spans]
    empty = [unique[i] for i in order if not unique[i].spans]
    half = max(SIZES) // 2
    pairs = zip(having[:half], empty, strict=False)
    mixed = [example for pair in pairs for example in pair]
    mixed += empty[min(half, len(having)) :]
    return [replace(specialist, line=i) for i, specialist in enumerate(mixed[: max(SIZES)], 1)]


# --- baselines ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Unit:
    """A sentence, or a date with its sentence, that a baseline classifies."""

    start: int
    end: int
    words: str


def units(text: str, category: str) -> list[Unit]:
    """Cut a text into units of a baseline."""
    spans = sentences(text)
    if category != "Agreement Date":
        return [Unit(start, end, text[start:end]) for start, end in spans]
    starts = [start for start, _ in spans]
    dates = [(start, end) for kind, start, end in patterns(text) if kind == Kind.DATE]
    around = [spans[max(0, int(np.searchsorted(starts, d[0], side="right")) - 1)] for d in dates]
    return [
        Unit(*date, text[min(date[0], s[0]) : max(date[1], s[1])])
        for date, s in zip(dates, around, strict=True)
    ]


def labelled(examples: Sequence[Example], category: str) -> tuple[list[str], NDArray[np.bool_]]:
    """Return the words of all units, and whether a passage covers at least half of each."""
    words, truth = [], []
    for example in examples:
        for unit in units(example.text, category):
            shared = sum(
                max(0, min(unit.end, end) - max(unit.start, start)) for start, end in example.spans
            )
            words.append(unit.words)
            truth.append(2 * shared >= unit.end - unit.start)
    return words, np.array(truth)


class Keywords:
    """A search for phrases; the confidence of a phrase is its precision in the examples."""

    def __init__(self, words: Sequence[str], truth: NDArray[np.bool_]) -> None:
        """Choose the phrases one by one, as long as F1 rises."""
        self._vectoriser = CountVectorizer(ngram_range=(1, 3), binary=True, max_features=50_000)
        table = self._vectoriser.fit_transform(words).tocsc()
        columns = range(table.shape[1])
        rows = [table.indices[table.indptr[c] : table.indptr[c + 1]] for c in columns]
        hit = np.zeros(len(words), bool)
        self.phrases: dict[int, float] = {}
        best = 0.0
        for _ in range(PHRASES):
            fresh = [row[~hit[row]] for row in rows]
            right = np.array([truth[row].sum() for row in fresh]) + (hit & truth).sum()
            predicted = np.array([len(row) for row in fresh]) + hit.sum()
            f1 = 2 * right / np.maximum(predicted + truth.sum(), 1)
            chosen = int(f1.argmax())
            if f1[chosen] <= best:
                break
            best = float(f1[chosen])
            hit[rows[chosen]] = True
            self.phrases[chosen] = float((truth[rows[chosen]].sum() + 1) / (len(rows[chosen]) + 2))

    def names(self) -> list[str]:
        names = self._vectoriser.get_feature_names_out()
        return [str(names[column]) for column in self.phrases]

    def chances(self, words: Sequence[str]) -> Floats:
        """Return the confidence of the best phrase in each unit, 0 without a phrase."""
        result = np.zeros(len(words), np.float32)
        if words and self.phrases:
            columns = list(self.phrases)
            table = self._vectoriser.transform(words)[:, columns].toarray()
            result = (table * np.array(list(self.phrases.values()))).max(1).astype(np.float32)
        return result


class Linear:
    """TF-IDF and logistic regression; cross-validation chooses the regularisation."""

    def __init__(self, words: Sequence[str], truth: NDArray[np.bool_]) -> None:
        self._vectoriser = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
        folds = max(2, min(5, int(truth.sum())))
        self._model = GridSearchCV(
            LogisticRegression(class_weight="balanced", max_iter=1000),
            {"C": [1.0, 10.0, 100.0]},
            scoring="average_precision",
            cv=folds,
        )
        self._model.fit(self._vectoriser.fit_transform(words), truth)

    def chances(self, words: Sequence[str]) -> Floats:
        if not words:
            return np.zeros(0, np.float32)
        result = self._model.predict_proba(self._vectoriser.transform(words))[:, 1]
        return np.asarray(result, np.float32)


def proposed(text: str, category: str, model: Keywords | Linear) -> Found:
    """Return the proposals of a baseline: dates unchanged, sentences joined as usual."""
    result = units(text, category)
    chances = np.minimum(model.chances([unit.words for unit in result]), np.float32(1 - 1e-6))
    if category == "Agreement Date":
        named = zip(result, chances.tolist(), strict=True)
        return [(text[u.start : u.end], chance) for u, chance in named if chance > MIN_SCORE]
    offsets = np.array([(unit.start, unit.end) for unit in result], np.int64).reshape(-1, 2)
    scores = TokenScores(offsets, chances[:, None])
    made = decode(text, scores, [category], Decoding(entities={}))
    return [(text[c.start : c.end], c.score) for c in made]


# --- taught specialists -------------------------------------------------------------------------


class JoinedSpecialists:
    """Several taught specialists of one parent in one pass, with joined heads."""

    def __init__(self, specialists: Specialists, adapters: Path, names: Sequence[str]) -> None:
        """Load the specialists as usual, and join their heads."""
        self.each = [specialists.get(name) for name in names]
        loaded = [  # the parameters are views of their memory
            Adapter(adapters / s.manifest.name / s.manifest.version / ADAPTER_FILE)
            for s in self.each
        ]
        parameters = [adapter.parameters() for adapter in loaded]
        joined = dict(parameters[0])
        for key in ("head.weight", "head.bias"):
            joined[key] = np.concatenate([p[key] for p in parameters], axis=-1)
        path = adapters / "together.onnx_adapter"
        write_adapter(path, joined, 1)
        self._adapter = Adapter(path)
        run = specialists.base.engine.specialise(self._adapter)
        manifest = replace(self.each[0].manifest, labels=tuple(names), views=VIEWS[:1])
        self._all = Specialist(manifest, specialists.base.tokeniser, run)

    def found(self, text: str) -> list[Found]:
        scores = self._all.token_probabilities(text)
        lists = []
        for i, specialist in enumerate(self.each):
            own = TokenScores(scores.offsets, np.ascontiguousarray(scores.probabilities[:, [i]]))
            clauses = search_scores(text, own, specialist, least=MIN_SCORE).clauses
            lists.append([(clause.text, clause.confidence) for clause in clauses])
        return lists

    def require_same(self, text: str) -> None:
        """Check that a specialist alone proposes the same. Raises SystemExit otherwise."""
        joined, alone = self._all.token_probabilities(text), self.each[-1]
        own = alone.token_probabilities(text).probabilities[:, 0]
        if np.abs(joined.probabilities[:, -1] - own).max() > 1e-4:
            raise SystemExit(f"{alone.manifest.name} alone and together propose different clauses")


# --- scores -------------------------------------------------------------------------------------


def figures(
    category: str,
    results: Sequence[Found],
    records: Sequence[Mapping[str, Any]],
    threshold: float | None = None,
) -> dict[str, Any]:
    """Score the proposals in each contract by the legal metric, with 95% intervals.

    With a threshold, also precision, recall and F1 there.
    """
    texts = [answers_of(dict(record)).get(category, []) for record in records]
    counts: Counts = np.stack([count(category, *pair) for pair in zip(results, texts, strict=True)])
    answers = np.array([len(some) for some in texts], np.int64)
    curve = Curve.of(counts.sum(0), int(answers.sum()))
    between = intervals(counts, answers, [record["family"] for record in records])
    result: dict[str, Any] = {
        "answers": int(answers.sum()),
        "aupr": curve.aupr,
        "aupr_interval": between["aupr"],
        "best_f1": curve.best_f1,
        "best_f1_interval": between["best_f1"],
        "highest_recall": float(curve.recall[-1]),
    }
    if threshold is not None:
        at = int(np.abs(THRESHOLDS - threshold).argmin())
        result["at_threshold"] = {
            "precision": float(curve.precision[at]),
            "recall": float(curve.recall[at]),
            "f1": float(curve.f1[at]),
        }
    return result


def parent_of(
    run: Path | None, config: Mapping[str, Any], shipped: Path, work: Path, name: str
) -> Path:
    """Return the artefacts with the parent adapter: that of a run, or the shipped one."""
    if run is None:
        return shipped
    facts = read_json(run / RUN_FILE)
    target = work / "artefacts"
    shutil.rmtree(target, ignore_errors=True)
    for base in shipped.glob("base-*"):
        shutil.copytree(base, target / base.name)
    recipe = facts["config"] | {"data": config["data"] | facts["config"]["data"]}
    export(name, trained_state(run), facts["labels"], recipe, {}, "0.0.1", target)
    return target


def measure(
    categories: Sequence[str],
    sizes: Sequence[int],
    learned: Sequence[Mapping[str, Any]],
    scored: Sequence[Mapping[str, Any]],
    artefacts: Path,
    work: Path,
    parent: str,
) -> list[dict[str, Any]]:
    """Teach every category with every number of examples, and score all of them."""
    adapters = work / "adapters"
    shutil.rmtree(adapters, ignore_errors=True)
    lines: list[dict[str, Any]] = []
    names = []
    for category in categories:
        every = examples_of(learned, category)
        for size in sizes:
            examples, name = every[:size], f"{category.lower().replace(' ', '-')}-{size}"
            report = teach(name, examples, artefacts, adapters, arithmetic="int8", parent=parent)
            say(f"{name}: taught in {report['timings']['total'] / 60:.1f} minutes")
            words, truth = labelled(examples, category)
            keywords = Keywords(words, truth)
            line: dict[str, Any] = {"category": category, "size": size, "report": report}
            line["phrases"] = keywords.names()
            for kind, model in (("keywords", keywords), ("linear", Linear(words, truth))):
                result = [proposed(record["text"], category, model) for record in scored]
                line[kind] = figures(category, result, scored)
            lines.append(line)
            names.append(name)
    joined = JoinedSpecialists(Specialists(artefacts, 2, "int8", adapters), adapters, names)
    joined.require_same(scored[0]["text"])
    found_by: list[list[Found]] = []
    for number, record in enumerate(scored, 1):
        found_by.append(joined.found(record["text"]))
        say(f"{number} of {len(scored)} contracts read")
    for i, line in enumerate(lines):
        threshold = line["report"]["threshold"]
        result = [lists[i] for lists in found_by]
        line["taught"] = figures(line["category"], result, scored, threshold)
    return lines


def shown(lines: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Return a table: area and best F1 of taught specialists and baselines."""
    yield (
        "| clause type | examples (with) | area: taught | linear | keywords | best F1: taught "
        "| linear | keywords | F1 at its threshold | predicted | minutes |"
    )
    yield f"|{' --- |' * 11}"
    for line in lines:
        report, taught = line["report"], line["taught"]
        count = report["examples"]
        cells = [line["category"], f"{count['count']} ({count['count'] - count['empty']})"]
        for key in ("aupr", "best_f1"):
            low, high = taught[f"{key}_interval"]
            cells.append(f"{taught[key]:.2f} [{low:.2f}, {high:.2f}]")
            cells += [f"{line[kind][key]:.2f}" for kind in ("linear", "keywords")]
        cells += [f"{taught['at_threshold']['f1']:.2f}", f"{report['f1']['value']:.2f}"]
        cells.append(f"{report['timings']['total'] / 60:.1f}")
        yield f"| {' | '.join(cells)} |"


def main() -> None:
    """Read the command line and measure."""
    parser = command(__doc__, "specialist", "--data", "--artefacts")
    parser.add_argument("--run", type=Path, help="folder of a training without the five")
    parser.add_argument("--work", type=Path, default=Path("var/taught"))
    parser.add_argument("--categories", nargs="+", default=list(CATEGORIES))
    parser.add_argument("--sizes", nargs="+", type=int, default=list(SIZES))
    parser.add_argument("--contracts", type=int, help="of fold 0 that are scored on; all of them")
    arguments = parser.parse_args()
    work, name = arguments.work, arguments.specialist.name
    work.mkdir(parents=True, exist_ok=True)
    config = read_config(arguments.specialist)
    corpus = {key: value for key, value in config["data"].items() if key != "leave_out"}
    learned = list(read_records(arguments.data, corpus, [f for f in FOLDS if f != FOLD]))
    scored = list(read_records(arguments.data, corpus, [FOLD]))[: arguments.contracts]
    artefacts = parent_of(arguments.run, config, arguments.artefacts, work, name)
    knows = Specialists(artefacts, 1, "int4").get(name).labels
    seen = [category for category in arguments.categories if category in knows]
    if seen:
        say(f"the encoder knows {', '.join(seen)}: this only shows that the program works")
    chosen = arguments.categories, arguments.sizes
    lines = measure(*chosen, learned, scored, artefacts, work, name)
    result = {
        "seen": seen,
        "contracts": len(scored),
        "why": {category: CATEGORIES.get(category, "") for category in arguments.categories},
        "taught": lines,
    }
    write_json(work / "taught.json", result)
    print("\n".join(shown(lines)))


if __name__ == "__main__":
    main()
