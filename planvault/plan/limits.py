"""The bounds of a plan, and the checks that run before anything recurses.

Python's own parser recurses over brackets, unary operators and `else` branches, and reads hexadecimal integers of any
length. So a source is measured on its tokens first, then `ast.parse` may see it, then the tree is measured again.
"""

import ast
import io
import token as tokens
import tokenize

from models.plans import Loc
from planvault.plan.problems import Problems

MAX_SOURCE_BYTES = 64 * 1024  # of the program itself
MAX_REPLY_BYTES = 1024 * 1024  # of the planner's whole answer, prose included
MAX_JSON_BYTES = 256 * 1024
MAX_TOKENS = 16_000
MAX_BRACKETS = 32
MAX_PREFIX_RUN = 16  # `not not - - x`
MAX_AST_NODES = 8_000
MAX_AST_DEPTH = 80
MAX_PLAN_NODES = 500
MAX_BLOCK_DEPTH = 16
MAX_CHAINED_IFS = 64  # `elif` after `elif`, which nest for whoever recurses though not in the text
MAX_LOOP_DEPTH = 3
MAX_EXPR_DEPTH = 80
MAX_SLOTS = 50
MAX_NUMBER_LENGTH = 40
INT_MIN, INT_MAX = -(2**63), 2**63 - 1

_OPENING, _CLOSING = frozenset("([{"), frozenset(")]}")
_PREFIXES = frozenset({"-", "+", "~", "not", "await", "lambda", "*", "**", "yield"})
_WORDS = frozenset({tokens.OP, tokens.NAME})
_BLANK = frozenset({tokenize.NL, tokenize.NEWLINE, tokenize.COMMENT})
_UNREADABLE = (tokenize.TokenError, SyntaxError, ValueError)


def within_text_limits(text: str, limit: int, problems: Problems) -> bool:
    """Whether `text` is small enough and is Unicode that can be stored."""
    if len(text) > limit or len(text.encode("utf-8", "replace")) > limit:
        problems.add("TOO_LARGE", f"The plan is larger than {limit} bytes.", None, "Write a shorter plan.")
        return False
    if has_surrogate(text):
        problems.add("NOT_UNICODE", "The plan holds half of a surrogate pair.", None, "Write valid Unicode text.")
        return False
    if "\0" in text:
        problems.add("NOT_UNICODE", "The plan holds a NUL character.", None, "Remove it.")
        return False
    return True


def has_surrogate(text: str) -> bool:
    """Whether `text` has a lone surrogate, which UTF-8 cannot hold."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False


def parseable(program: str) -> str | None:
    """Why `program` is too deep or too long for Python's parser, or None. Never recurses.

    Text that cannot be split into tokens passes as far as it goes: the parser reports it with a better message.
    """
    depth = run = count = indents = 0
    try:
        for item in tokenize.generate_tokens(io.StringIO(program).readline):
            count += 1
            if count > MAX_TOKENS:
                return f"The plan has more than {MAX_TOKENS} words and signs."
            if item.type == tokens.INDENT:
                indents += 1
            elif item.type == tokens.DEDENT:
                indents -= 1
            if indents > MAX_BLOCK_DEPTH:
                return f"Blocks are nested more than {MAX_BLOCK_DEPTH} deep."
            if item.type == tokens.OP:
                depth += (item.string in _OPENING) - (item.string in _CLOSING)
            if depth > MAX_BRACKETS:
                return f"Brackets are nested more than {MAX_BRACKETS} deep."
            if item.type in _WORDS and item.string in _PREFIXES:
                run += 1
                if run > MAX_PREFIX_RUN:
                    return f"More than {MAX_PREFIX_RUN} operators stand in a row."
            elif item.type not in _BLANK and item.string not in _OPENING:
                run = 0
            problem = _token_problem(item)
            if problem:
                return problem
    except _UNREADABLE:
        return None
    return None


def _token_problem(item: tokenize.TokenInfo) -> str | None:
    if item.type == tokens.NUMBER and len(item.string) > MAX_NUMBER_LENGTH:
        return f"A number has more than {MAX_NUMBER_LENGTH} digits."
    if item.type == tokens.STRING and "f" in item.string[:2].lower() and "{" in item.string:
        return _f_string_problem(item.string)
    return None


def _f_string_problem(text: str) -> str | None:
    """Python 3.11 hands an f-string over as one token and parses its expressions later: measured roughly here."""
    depth = run = 0
    for char in text:
        depth += (char in _OPENING) - (char in _CLOSING)
        if depth > 2 * MAX_BRACKETS:
            return f"Brackets in an f-string are nested more than {2 * MAX_BRACKETS} deep."
        run = run + 1 if char in "-+~ (" else 0
        if run > 200:
            return "An f-string has more than 200 operators or blanks in a row: use a plain string."
    return None


def tree_problem(tree: ast.AST) -> tuple[str, Loc | None] | None:
    """Why a parsed tree is too large or too deep, and where. Iterative: a deep tree is what it looks for."""
    waiting: list[tuple[ast.AST, int, ast.AST | None]] = [(tree, 0, None)]
    count = 0
    while waiting:
        node, depth, place = waiting.pop()
        place = node if hasattr(node, "lineno") else place
        count += 1
        if count > MAX_AST_NODES:
            return f"The plan has more than {MAX_AST_NODES} parts.", None
        if depth > MAX_AST_DEPTH:
            where = Loc(getattr(place, "lineno", 1), getattr(place, "col_offset", 0) + 1)
            return f"The plan is nested more than {MAX_AST_DEPTH} deep.", where
        waiting.extend((child, depth + 1, place) for child in ast.iter_child_nodes(node))
    return None
