"""An independent reading of the mini puzzles: from the printed text alone, by satisfiability (sympy).

It shares no code with tasks.mini.puzzles: sentences are parsed by a grammar of their own, and syllogisms
become propositions "this region of the Venn diagram is inhabited" instead of enumerated models.
"""

import itertools
import re

from sympy import And, Equivalent, Implies, Not, Or, Symbol
from sympy.logic.boolalg import Boolean
from sympy.logic.inference import satisfiable

Options = dict[str, str]


def parts(source: str) -> tuple[str, Options]:
    """The text before the options, and the options by letter."""
    text, *lines = source.split("\n")
    return text, dict(line.split(") ", 1) for line in lines)


def solve(source: str) -> set[str]:
    """Letters of the options that are right."""
    text, options = parts(source)
    if text.startswith(("A ", "An ")) and " lies. " in text:
        return _solve_roles(text, options)
    if re.match(r"(All|No|Some) \w+ are ", text):
        return _solve_syllogism(text, options)
    return _solve_propositions(text, options)


def _follows(premises: Boolean, conclusion: Boolean) -> bool:
    return not satisfiable(And(premises, Not(conclusion)))


# "not (P implies Q) or R" ------------------------------------------------------------------------------

_WORDS = {"and": And, "or": Or, "implies": Implies, "iff": Equivalent}


def _unit(tokens: list[str]) -> Boolean:
    token = tokens.pop(0)
    if token == "not":
        return Not(_unit(tokens))
    if token == "(":
        inner = _proposition(tokens)
        assert tokens.pop(0) == ")"
        return inner
    return Symbol(token)


def _proposition(tokens: list[str]) -> Boolean:
    left = _unit(tokens)
    if tokens and tokens[0] in _WORDS:
        return _WORDS[tokens.pop(0)](left, _unit(tokens))
    return left


def _read(text: str) -> Boolean:
    tokens = re.findall(r"\w+|[()]", text.replace("if and only if", "iff"))
    read = _proposition(tokens)
    assert not tokens, text
    return read


def _solve_propositions(text: str, options: Options) -> set[str]:
    *stated, question = text.split(". ")
    assert question == "What follows?"
    premises = And(*map(_read, stated))
    assert satisfiable(premises)
    return {letter for letter, option in options.items() if _follows(premises, _read(option))}


# "if Emma is a hero then (Liam is a villain)" ------------------------------------------------------------

_ATOM = re.compile(r"(\w+) is an? (\w+)")


def _role_unit(tokens: list[str], good: str) -> Boolean:
    if tokens[0] == "(":
        tokens.pop(0)
        inner = _claim(tokens, good)
        assert tokens.pop(0) == ")"
        return inner
    if tokens[0] == "it is not the case that":
        tokens.pop(0)
        return Not(_role_unit(tokens, good))
    name, role = _ATOM.fullmatch(tokens.pop(0)).groups()
    return Symbol(name) if role == good else Not(Symbol(name))


def _claim(tokens: list[str], good: str) -> Boolean:
    if tokens[0] == "if":
        tokens.pop(0)
        condition = _role_unit(tokens, good)
        assert tokens.pop(0) == "then"
        return Implies(condition, _role_unit(tokens, good))
    left = _role_unit(tokens, good)
    if tokens and tokens[0] in ("and", "or", "if and only if"):
        word = tokens.pop(0)
        operator = {"and": And, "or": Or, "if and only if": Equivalent}[word]
        return operator(left, _role_unit(tokens, good))
    return left


def _solve_roles(text: str, options: Options) -> set[str]:
    rule, rest = text.split(" lies. ", 1)
    good = re.match(r"An? (\w+) tells the truth, ", rule).group(1)
    statements, question = rest.rsplit(". ", 1)
    assert re.fullmatch(rf"Who is an? {good}\?", question)
    claims, people = [], []
    for line in statements.split(". "):
        name, claim = line.split(": ", 1)
        tokens = re.findall(
            r"it is not the case that|if and only if|\w+ is an? \w+|if|then|and|or|[()]", claim
        )
        read = _claim(tokens, good)
        assert not tokens, claim
        people.append(Symbol(name))
        claims.append(Equivalent(Symbol(name), read))
    one, two = people
    meaning = {
        "both": And(one, two),
        "neither": And(Not(one), Not(two)),
        str(one): And(one, Not(two)),
        str(two): And(two, Not(one)),
    }
    return {
        letter
        for letter, option in options.items()
        if satisfiable(And(*claims, meaning[option])) is not False
    }


# "All dogs are cats" -------------------------------------------------------------------------------------


def _solve_syllogism(text: str, options: Options) -> set[str]:
    *stated, question = text.split(". ")
    assert question == "What follows?"
    pattern = re.compile(r"(All|No|Some) (\w+) are (not )?(\w+)")
    terms = sorted({term for s in stated for term in pattern.fullmatch(s).group(2, 4)})
    assert len(terms) == 3
    regions = {
        frozenset(inside): Symbol("_".join(inside))
        for size in (1, 2, 3)
        for inside in itertools.combinations(terms, size)
    }

    def read(statement: str) -> Boolean:
        quantifier, subject, negated, predicate = pattern.fullmatch(statement).groups()
        shared = [v for r, v in regions.items() if {subject, predicate} <= r]
        apart = [v for r, v in regions.items() if subject in r and predicate not in r]
        if quantifier == "All":
            return Not(Or(*apart))
        if quantifier == "No":
            return Not(Or(*shared))
        return Or(*apart) if negated else Or(*shared)

    premises = And(*map(read, stated))
    nonempty = And(*(Or(*(v for r, v in regions.items() if term in r)) for term in terms))
    modern = {letter for letter, option in options.items() if _follows(premises, read(option))}
    aristotle = {
        letter for letter, option in options.items() if _follows(And(premises, nonempty), read(option))
    }
    assert modern == aristotle  # the right answer does not hang on whether "all" implies "some"
    return modern
