"""What type an expression of a SELECT has, as far as its words show.

SQLite's values have types, its expressions do not, and a driver wants to be told before there is any value.  Columns
keep the type that SHOW gives them; for the rest this knows functions, literals and operators.  What it cannot tell is
text.
"""

from collections.abc import Iterator, Mapping, Sequence

from howdah.control.console.columns import BOOL, BYTEA, FLOAT8, INT4, INT8, NUMERIC, TEXT, ColumnType
from howdah.control.console.statements import Token

#: Of a column, by name in lower case.
Known = Mapping[str, ColumnType]
_FUNCTIONS = {
    **dict.fromkeys(("count", "row_number", "rank", "dense_rank", "ntile", "length", "instr", "unicode"), INT8),
    **dict.fromkeys(("avg", "total", "round", "julianday", "percent_rank", "cume_dist"), FLOAT8),
    **dict.fromkeys(("unixepoch", "sign"), INT8),
    **dict.fromkeys(("pg_backend_pid",), INT4),
    **dict.fromkeys(("pg_is_in_recovery",), BOOL),
}
#: Of the type of their first argument.
_ALIKE = frozenset("min max abs coalesce ifnull nullif lag lead first_value last_value nth_value".split())
_CASTS = {
    **dict.fromkeys(("int", "integer", "int4", "smallint", "int2"), INT4),
    **dict.fromkeys(("bigint", "int8"), INT8),
    **dict.fromkeys(("real", "float", "float8", "double"), FLOAT8),
    **dict.fromkeys(("numeric", "decimal"), NUMERIC),
    **dict.fromkeys(("blob", "bytea"), BYTEA),
    **dict.fromkeys(("bool", "boolean"), BOOL),
}
_TRUTH = frozenset(
    ("=", "<", ">", "<=", ">=", "<>", "!=", "and", "or", "not", "in", "like", "glob", "is", "between", "exists")
)
_COMPARING = frozenset(("=", "<", ">", "<=", ">=", "<>", "!=", "like", "ilike", "glob", "is"))
_IN_LISTS = frozenset(("(", ",", "in", "not", "and", "between", "like"))
_ARITHMETIC = frozenset(("+", "-", "*", "/", "%"))
_BEHIND_ITEMS = frozenset(
    ("from", "where", "group", "having", "order", "limit", "window", "union", "except", "intersect")
)
_RANKS = (INT4, INT8, NUMERIC, FLOAT8)

Tokens = Sequence[Token]


def items(statement: Tokens) -> list[Tokens]:
    """What stands between SELECT and FROM, without aliases; of several SELECTs the first that is in no brackets."""
    found: list[list[Token]] = []
    for depth, token in _with_depth(statement):
        word = token.text.lower() if token.kind == "word" else ""
        if not found:
            if depth == 0 and word == "select":
                found.append([])
        elif depth == 0 and word in _BEHIND_ITEMS:
            break
        elif depth == 0 and token[:2] == ("symbol", ","):
            found.append([])
        else:
            found[-1].append(token)
    return [_without_alias(item) for item in found]


def _without_alias(item: list[Token]) -> list[Token]:
    if item and item[0].kind == "word" and item[0].text.lower() in ("distinct", "all"):
        item = item[1:]
    for at, (depth, token) in enumerate(_with_depth(item)):
        if depth == 0 and token.kind == "word" and token.text.lower() == "as":
            return item[:at]
    return item[:-1] if len(item) > 1 and _is_end(item[-2]) and item[-1].kind in ("word", "name") else item


def _is_end(token: Token) -> bool:
    """May an expression end here, so that a name behind it is an alias?"""
    if token.kind == "symbol":
        return token.text == ")"
    return token.text.lower() not in _TRUTH and token.text.lower() not in ("case", "when", "then", "else", "end")


def _with_depth(tokens: Tokens) -> Iterator[tuple[int, Token]]:
    depth = 0
    for token in tokens:
        if token.kind == "symbol" and token.text == ")":
            depth -= 1
        yield depth, token
        if token.kind == "symbol" and token.text == "(":
            depth += 1


def type_of(item: Tokens, known: Known) -> ColumnType:
    """The type of an expression."""
    while len(item) > 2 and item[0].text == "(" and _closes(item) == len(item) - 1:
        item = item[1:-1]
    if len(item) == 1:
        return _of_word(item[0], known)
    top = {token.text.lower() for depth, token in _with_depth(item) if depth == 0 and token.kind in ("word", "symbol")}
    if "case" in top:
        return _of_case(item, known)
    if top & _TRUTH:
        return BOOL
    if "||" in top:
        return TEXT
    if top & _ARITHMETIC:
        return _of_arithmetic(item, known)
    return _of_call(item, known)


def _closes(item: Tokens) -> int:
    """Where the bracket closes that this begins with."""
    return next(
        (at for at, (depth, token) in enumerate(_with_depth(item)) if at and depth == 0 and token.text == ")"), -1
    )


def _of_word(token: Token, known: Known) -> ColumnType:
    text = token.text.lower()
    number = token.kind == "word" and text.isascii()
    if number and text.isdigit():
        return INT4 if len(text) <= len(str(2**31)) and int(text) < 2**31 else INT8
    if number and text.replace(".", "", 1).isdigit():
        return FLOAT8
    if token.kind == "word" and text in ("true", "false"):
        return BOOL
    return known.get(text.rpartition(".")[2], TEXT) if token.kind in ("word", "name") else TEXT


def _of_case(item: Tokens, known: Known) -> ColumnType:
    words = [token.text.lower() if token.kind == "word" else "" for token in item]
    if "then" not in words:
        return TEXT
    begin = words.index("then") + 1
    ends = [at for at, word in enumerate(words) if at >= begin and word in ("when", "else", "end")]
    return type_of(item[begin : ends[0]], known) if ends and ends[0] > begin else TEXT


def _of_arithmetic(item: Tokens, known: Known) -> ColumnType:
    operands: list[list[Token]] = [[]]
    for depth, token in _with_depth(item):
        if depth == 0 and token.kind == "symbol" and token.text in _ARITHMETIC:
            operands.append([])
        else:
            operands[-1].append(token)
    types = [type_of(operand, known) for operand in operands if operand]
    ranks = [_RANKS.index(found) if found in _RANKS else len(_RANKS) - 1 for found in types]
    return _RANKS[max(1, *ranks)] if ranks else TEXT


def _of_call(item: Tokens, known: Known) -> ColumnType:
    if len(item) < 3 or item[1].text != "(":
        return TEXT
    name = item[0].text.lower().rpartition(".")[2]
    inside = item[2 : _closes(item[1:]) + 1]
    if name == "cast":
        wanted = inside[-1].text.lower() if inside else ""
        return _CASTS.get(wanted, TEXT)
    if name in _ALIKE:
        return type_of(_first_argument(inside), known)
    if name == "sum":
        argument = type_of(_first_argument(inside), known)
        return INT8 if argument in (INT4, BOOL) else argument if argument in _RANKS else FLOAT8
    return _FUNCTIONS.get(name, TEXT)


def _first_argument(inside: Tokens) -> Tokens:
    ends = [at for at, (depth, token) in enumerate(_with_depth(inside)) if depth == 0 and token.text == ","]
    return inside[: ends[0]] if ends else inside


def parameter_types(statement: Tokens, known: Known) -> dict[int, ColumnType]:
    """Of $1, $2 and so on: that of what they are compared with."""
    found: dict[int, ColumnType] = {}
    opened = _opened(statement)
    listed = -1  # the last word that is no part of a list of parameters
    for at, token in enumerate(statement):
        if token.kind == "parameter":
            number = int(token.text[1:].lstrip("0"))
            if number not in found or found[number] is TEXT:
                found[number] = _compared(statement, at, known, opened, listed)
        elif token.text.lower() not in _IN_LISTS:
            listed = at
    return found


def _opened(statement: Tokens) -> dict[int, int]:
    """Where each bracket opens, by where it closes."""
    found, open_ones = dict[int, int](), list[int]()
    for at, token in enumerate(statement):
        if token.text == "(":
            open_ones.append(at)
        elif token.text == ")" and open_ones:
            found[at] = open_ones.pop()
    return found


def _compared(statement: Tokens, at: int, known: Known, opened: Mapping[int, int], listed: int) -> ColumnType:
    before = [token.text.lower() for token in statement[max(at - 2, 0) : at]]
    if before[-1:] in (["limit"], ["offset"]):
        return INT8
    if len(before) == 2 and before[1] in _COMPARING:
        if before[0] == ")":
            # `count(*) > $1`: from in front of where the bracket opens.
            return type_of(statement[max(opened.get(at - 2, 0) - 1, 0) : at - 1], known)
        return _of_word(statement[at - 2], known)
    after = statement[at + 1 : at + 3]
    if len(after) == 2 and after[0].text.lower() in _COMPARING:
        return _of_word(after[1], known)
    # `x IN ($1, $2)` and `x BETWEEN $1 AND $2`: that of x.
    return _of_word(statement[listed], known) if listed >= 0 else TEXT
