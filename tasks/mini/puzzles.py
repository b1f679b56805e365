"""Four-option logic puzzles from reasoning-gym: exactly one option is right, and that is checked.

reasoning-gym makes the puzzle; this module writes it briefly from the puzzle's metadata, adds three wrong
options, and decides every option by enumerating all models: truth tables for propositional logic, all
assignments of roles for knights and knaves, all ways to fill the seven regions of a three-set Venn diagram
for syllogisms.
"""

import itertools
import random
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from functools import wraps
from typing import Any

from warmup_bench.tasks.mini.kept import kept

LETTERS = ("A", "B", "C", "D")
MAX_CHARS = 400


@dataclass(frozen=True, slots=True)
class Puzzle:
    """A puzzle before its options are put in order.

    Attributes:
        kind: Name of the reasoning-gym data set.
        key: The puzzle without its wording and options; puzzles with one key go to one split.
        text: Premises and question.
        answer: The only right option.
        distractors: Three wrong options.
    """

    kind: str
    key: tuple[str, ...]
    text: str
    answer: str
    distractors: tuple[str, str, str]

    def source(self, position: int) -> str:
        """Text and lettered options, one a line, with the answer at ``position`` (0 to 3)."""
        options = [*self.distractors[:position], self.answer, *self.distractors[position:]]
        lines = [f"{letter}) {option}" for letter, option in zip(LETTERS, options, strict=True)]
        return "\n".join((self.text, *lines))


def _kept(make: Callable[[int, int], Iterator[Puzzle]]) -> Callable[[int, int], Iterator[Puzzle]]:
    """The same puzzles, made once on a machine."""

    @wraps(make)
    def puzzles(size: int, seed: int) -> Iterator[Puzzle]:
        name, package = make.__name__, "reasoning_gym"
        for row in kept(name, [package], lambda: [*map(astuple, make(size, seed))], size, seed):
            kind, key, text, answer, (a, b, c) = row
            yield Puzzle(kind, tuple(key), text, answer, (a, b, c))

    return puzzles


def _gym() -> Any:
    """The module reasoning_gym, without what Python says when it first compiles cellpylib, which it needs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        import reasoning_gym
    return reasoning_gym


def _items(name: str, size: int, seed: int, **config: Any) -> Iterator[dict[str, Any]]:
    data = _gym().create_dataset(name, size=size, seed=seed, **config)
    for i in range(size):
        yield data[i]


# Propositional logic ----------------------------------------------------------------------------------

_WORDS = {"∧": "and", "∨": "or", "→": "implies", "↔": "if and only if"}


def _spoken(expression: Any) -> str:
    """Write a reasoning-gym ``Expression`` in words: ``(¬P ∨ Q)`` is "not P or Q"."""

    def write(e: Any, outer: bool) -> str:
        if e.operator is None:
            return str(e.left)
        if e.operator.value == "¬":
            return f"not {write(e.left, False)}"
        text = f"{write(e.left, False)} {_WORDS[e.operator.value]} {write(e.right, False)}"
        return text if outer else f"({text})"

    return write(expression, True)


def _truths(expression: Any, names: Sequence[str]) -> tuple[bool, ...]:
    """Truth-table column of an expression over all assignments of ``names``."""
    return tuple(
        bool(expression.evaluate(dict(zip(names, row, strict=True))))
        for row in itertools.product((True, False), repeat=len(names))
    )


def _turned(expression: Any, negated: Mapping[str, bool]) -> Any:
    """The expression with the variables marked in ``negated`` replaced by their negations."""
    from reasoning_gym.logic.propositional_logic import Expression, Operator

    if expression.operator is None:
        return Expression(Operator.NOT, expression) if negated[expression.left] else expression
    left = _turned(expression.left, negated)
    if expression.operator is Operator.NOT:
        return left.left if left.operator is Operator.NOT else Expression(Operator.NOT, left)
    return Expression(expression.operator, left, _turned(expression.right, negated))


def _option_sets(names: Sequence[str]) -> Iterator[list[Any]]:
    """Sets of four options that are closed under negating a variable.

    For two variables: both and their negations, the four conjunctions, and the four disjunctions of them.
    """
    from reasoning_gym.logic.propositional_logic import Expression, Operator

    for x, y in itertools.combinations(names, 2):
        signed = []
        for name in (x, y):
            variable = Expression(None, name)
            signed.append((variable, Expression(Operator.NOT, variable)))
        yield [*signed[0], *signed[1]]
        for operator in (Operator.AND, Operator.OR):
            yield [Expression(operator, a, b) for a, b in itertools.product(*signed)]


@_kept
def propositional(size: int, seed: int) -> Iterator[Puzzle]:
    """Puzzles "what follows from these premises?": one of four options holds in every model of them.

    The premises are reasoning-gym's, with some variables negated throughout by a coin each, and the four
    options are one another's images under such negations: so the options alone say nothing about the
    answer. (Its own conclusions with made-up wrong ones could be told apart unread in 3 of 4 puzzles.)
    """
    _gym()
    from reasoning_gym.logic.propositional_logic import Expression

    sets: dict[tuple[str, ...], list[list[tuple[str, tuple[bool, ...]]]]] = {}
    settings = {"min_vars": 2, "max_vars": 4, "min_statements": 2, "max_statements": 4}
    for item in _items("propositional_logic", size, seed, **settings):
        meta = item["metadata"]
        names = tuple(meta["variables"])
        rng = random.Random(f"{seed}-{meta['source_index']}")
        negated = {name: rng.random() < 0.5 for name in names}
        premises = [_turned(Expression.from_string(p), negated) for p in meta["premises"]]
        stated = list(dict.fromkeys(_spoken(p) for p in premises))
        worlds = [all(row) for row in zip(*(_truths(p, names) for p in premises), strict=True)]
        if names not in sets:
            sets[names] = [[(_spoken(e), _truths(e, names)) for e in four] for four in _option_sets(names)]
        candidates = []
        for four in sets[names]:
            right = [text for text, column in four if _entailed(worlds, column)]
            if len(right) == 1 and right[0] not in stated:  # a premise said again is not inference
                candidates.append((right[0], [text for text, _ in four if text != right[0]]))
        if not candidates:  # nothing follows, or everything: the premises contradict one another
            continue
        answer, wrong = rng.choice(candidates)
        a, b, c = rng.sample(wrong, 3)
        yield Puzzle(
            "propositional_logic",
            tuple(sorted(stated)),
            f"{'. '.join(stated)}. What follows?",
            answer,
            (a, b, c),
        )


def _entailed(worlds: Sequence[bool], column: Sequence[bool]) -> bool:
    """Whether a statement holds wherever the premises hold."""
    return all(true for possible, true in zip(worlds, column, strict=True) if possible)


# Knights and knaves -----------------------------------------------------------------------------------


@_kept
def knights_knaves(size: int, seed: int) -> Iterator[Puzzle]:
    """Puzzles of two people, "who tells the truth?": the options are all four assignments.

    reasoning-gym keeps only puzzles with one solution; the other three are therefore wrong, and it is
    checked again here. The key is what is said, whoever says it and whatever the roles are called.
    """
    _gym()
    from reasoning_gym.logic.knights_knaves import KKProblemFormatter, KnightsKnavesDataset

    settings = {"n_people": 2, "depth_constraint": 3, "width_constraint": 2}
    for item in _items("knights_knaves", size, seed, **settings):
        meta = item["metadata"]
        statements, terms = meta["statements"], meta["knight_knave_terms"]
        names = [str(name) for name in meta["names"]]
        if len(KnightsKnavesDataset.find_solution(statements)) != 1:
            continue
        # seed and problem matter only for the formatter's own random wording, which is not asked for
        write = KKProblemFormatter(0, {"statements": statements})._format_statement
        said = [f"{name}: {write(names, terms, s)}." for name, s in zip(names, statements, strict=True)]
        roles = {"a_knight": "knight", "a_knave": "knave"}
        key = min(
            tuple(sorted(f"{n}: {write(list(xy), roles, s)}" for n, s in zip(xy, statements, strict=True)))
            for xy in ("XY", "YX")
        )
        options = {
            (True, True): "both",
            (True, False): names[0],
            (False, True): names[1],
            (False, False): "neither",
        }
        answer = options.pop((bool(meta["solution"][0]), bool(meta["solution"][1])))
        a_knight, a_knave = str(terms["a_knight"]), str(terms["a_knave"])
        rule = f"{a_knight[0].upper()}{a_knight[1:]} tells the truth, {a_knave} lies."
        order = random.Random(f"{seed}-{meta['source_index']}").sample(list(options.values()), 3)
        yield Puzzle(
            "knights_knaves",
            key,
            " ".join((rule, *said, f"Who is {a_knight}?")),
            answer,
            (order[0], order[1], order[2]),
        )


# Syllogisms -------------------------------------------------------------------------------------------

Statement = tuple[str, str, str]  # quantifier, subject, predicate

_STATEMENT = re.compile(r"(All|No|Some) (\w+) are (not )?(\w+)")
_QUANTIFIERS: Mapping[str, Callable[[list[bool], list[bool]], bool]] = {
    # subject and predicate as membership in each inhabited region of the diagram
    "All": lambda s, p: all(b for a, b in zip(s, p, strict=True) if a),
    "No": lambda s, p: not any(a and b for a, b in zip(s, p, strict=True)),
    "Some": lambda s, p: any(a and b for a, b in zip(s, p, strict=True)),
    "Some not": lambda s, p: any(a and not b for a, b in zip(s, p, strict=True)),
}


def _parse(text: str) -> Statement:
    match = _STATEMENT.fullmatch(text)
    if match is None:
        raise ValueError(f"reasoning-gym wrote a statement in a new form: {text!r}")
    quantifier, subject, negated, predicate = match.groups()
    return ("Some not" if negated else quantifier), subject, predicate


def _write(statement: Statement) -> str:
    quantifier, subject, predicate = statement
    if quantifier == "Some not":
        return f"Some {subject} are not {predicate}"
    return f"{quantifier} {subject} are {predicate}"


def _holds(statement: Statement, model: Sequence[frozenset[str]]) -> bool:
    quantifier, subject, predicate = statement
    return _QUANTIFIERS[quantifier]([subject in r for r in model], [predicate in r for r in model])


def _models(terms: Sequence[str], import_existence: bool) -> Iterator[tuple[frozenset[str], ...]]:
    """Every way to inhabit the regions of the diagram; with ``import_existence`` no term is empty."""
    regions = [frozenset(c) for n in (1, 2, 3) for c in itertools.combinations(terms, n)]
    for inhabited in itertools.product((False, True), repeat=len(regions)):
        model = tuple(r for r, there in zip(regions, inhabited, strict=True) if there)
        if import_existence and not all(any(t in r for r in model) for t in terms):
            continue
        yield model


def follows(premises: Sequence[Statement], conclusion: Statement, import_existence: bool) -> bool:
    """Whether every model of the premises is a model of the conclusion, over three terms.

    With ``import_existence`` each term has members (Aristotle's reading, which reasoning-gym takes);
    without it "All X are Y" may hold of nothing (the modern reading).
    """
    terms = sorted({t for s in (*premises, conclusion) for t in s[1:]})
    return all(
        _holds(conclusion, model)
        for model in _models(terms, import_existence)
        if all(_holds(p, model) for p in premises)
    )


# Chosen so that each quantifier is as frequent among wrong options as among answers: a classifier that sees
# only the options is then right in a quarter of the puzzles.
_WEIGHTS = {"All": 0.5, "No": 1.5, "Some": 3.0, "Some not": 0.7}


def _draw(rng: random.Random, statements: Sequence[Statement], count: int) -> list[Statement]:
    """Up to ``count`` statements without replacement, weighted by their quantifier (Efraimidis-Spirakis)."""
    return sorted(statements, key=lambda s: rng.random() ** (1 / _WEIGHTS[s[0]]), reverse=True)[:count]


@_kept
def syllogisms(size: int, seed: int) -> Iterator[Puzzle]:
    """Puzzles "which conclusion follows?" over reasoning-gym's pairs of premises.

    The answer follows under the modern reading, the wrong options not even under Aristotle's, so the
    puzzle has one answer whichever the reader takes. It concerns the outer terms where something follows
    of them, else it converts a premise; at least two wrong options concern the same two terms.
    """
    verdicts: dict[tuple[str, str], tuple[list[Statement], list[Statement]]] = {}
    slots = ("x", "y", "z")
    possible = [(q, a, b) for q in _QUANTIFIERS for a, b in itertools.permutations(slots, 2)]
    for item in _items("syllogism", size, seed):
        meta = item["metadata"]
        rng = random.Random(f"{seed}-{meta['source_index']}")
        first, second = _parse(meta["premise1"]), _parse(meta["premise2"])
        form = (first[0], second[0])
        if form not in verdicts:  # 16 forms: decide each once, over placeholder terms
            premises = [(form[0], "x", "y"), (form[1], "y", "z")]
            fresh = [s for s in possible if s not in premises]
            verdicts[form] = (
                [s for s in fresh if follows(premises, s, import_existence=False)],
                [s for s in fresh if not follows(premises, s, import_existence=True)],
            )
        right, wrong = verdicts[form]
        outer = [s for s in right if "y" not in s[1:]]
        if not right:
            continue
        answer = rng.choice(outer or right)
        near = [s for s in wrong if set(s[1:]) == set(answer[1:])]
        chosen = _draw(rng, near, 2)
        chosen += _draw(rng, [s for s in wrong if s not in chosen], 3 - len(chosen))
        names = dict(zip(slots, (first[1], first[2], second[2]), strict=True))
        a, b, c = (_write((q, names[s], names[p])) for q, s, p in rng.sample(chosen, 3))
        yield Puzzle(
            "syllogism",
            (meta["premise1"], meta["premise2"]),
            f"{meta['premise1']}. {meta['premise2']}. What follows?",
            _write((answer[0], names[answer[1]], names[answer[2]])),
            (a, b, c),
        )
