"""Turn the inline comments on parameters (docments) of generated modules into numpy-style docstrings, so that `help(f)` shows them.

The notebooks keep their comments. In the package, the signature of each public function, class and method is written without them, in as few lines
of 120 columns as it takes, and the docstring has sections Parameters, Returns and Raises. Nothing else may change: the syntax trees before and after
are compared without docstrings. Used by .ci/export.py.
"""
import ast
import io
import re
import textwrap
import tokenize

WIDTH = 120
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class Source:
    "A module's text, its lines, and the comment of each line"

    def __init__(self, text: str):
        self.text, self.lines, self.tree = text, text.splitlines(), ast.parse(text)
        self.tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
        self.places = {token.start: number for number, token in enumerate(self.tokens)}
        self.comments = {t.start[0]: t.string.lstrip("# ") for t in self.tokens if t.type == tokenize.COMMENT
                         and not t.string.startswith("#|")}

    def alone(self, line: int) -> bool:
        "Whether a line holds a comment and nothing else"
        return line in self.comments and self.lines[line - 1].lstrip().startswith("#")

    def code(self, node: ast.AST | None) -> str:
        "Source of a node on one line"
        if node is None: return ""
        part = [line.encode() for line in self.lines[node.lineno - 1:node.end_lineno]]
        part[-1] = part[-1][:node.end_col_offset]
        part[0] = part[0][node.col_offset:]
        return " ".join(b" ".join(part).decode().split())

    def header(self, node: ast.AST) -> list:
        "Tokens from `def` to the colon that ends the signature, without comments and line ends"
        found, depth = [], 0
        for token in self.tokens[self.places[node.lineno, node.col_offset]:]:
            if token.type not in (tokenize.COMMENT, tokenize.NL): found.append(token)
            if token.type == tokenize.OP:
                depth += (token.string in "([{") - (token.string in ")]}")
                if token.string == ":" and depth == 0: return found
        raise ValueError(f"the signature in line {node.lineno} has no end")


def signature(tokens: list, indent: int) -> list[str]:
    "The lines of a signature, broken at its own commas where one line is too narrow"
    pieces, text, depth, last = [], "", 0, None
    for number, token in enumerate(tokens):
        after = tokens[number + 1] if number + 1 < len(tokens) else None
        if last is not None:
            same_line = last.end[0] == token.start[0]
            if same_line: text += " " * min(1, token.start[1] - last.end[1])
            elif last.string not in "([{" and token.string not in ")]}": text += " "
        depth += token.type == tokenize.OP and token.string in "([{"
        # the comma after the last parameter
        end = depth == 1 and token.string == "," and after is not None and after.string == ")"
        text += "" if end else token.string
        depth -= token.type == tokenize.OP and token.string in ")]}"
        if depth == 1 and token.string == "," and not end: pieces, text, token = [*pieces, text], "", None
        last = token
    pieces.append(text)
    lines, margin = [" " * indent + pieces[0]], " " * (indent + pieces[0].index("(") + 1)
    for piece in pieces[1:]:
        if len(lines[-1]) + 1 + len(piece) <= WIDTH: lines[-1] += " " + piece
        else: lines.append(margin + piece)
    return lines


def comments_of(source: Source, places: dict[str, range], until: int) -> dict[str, str]:
    "Comment of each named place: the one on its lines and those alone on the lines that follow; one before all belongs to the first"
    found, used = {}, set()
    for name, place in places.items():
        lines = [line for line in place if line in source.comments]
        start = place.start - 1
        above = []
        while source.alone(start) and start not in used: above, start = [start, *above], start - 1
        after = place.stop
        while lines and after <= until and source.alone(after): lines, after = [*lines, after], after + 1
        lines = lines or above
        used |= set(lines)
        text = " ".join(source.comments[line].strip() for line in lines)
        if text: found[name] = text
    return found


def section(title: str, entries: list[tuple[str, str]]) -> list[str]:
    "Lines of a section of a numpy-style docstring"
    if not entries: return []
    return ["", title, "-" * len(title), *(line for head, text in entries
                                           for line in (head, *([f"    {text}"] if text else [])))]


def literal(lines: list[str], indent: int) -> list[str]:
    "A docstring of these lines, as source"
    wrapped = []
    for number, line in enumerate(lines):
        inner = len(line) - len(line.lstrip())
        width = WIDTH - indent - 4 * (number == 0)
        wrapped += textwrap.wrap(line, width, subsequent_indent=" " * inner, break_long_words=False,
                                 break_on_hyphens=False) or [""]
    text = "\n".join(wrapped)
    if '"""' in text: raise ValueError(f"a docstring holds three quotes: {text[:80]}")
    prefix = "r" if "\\" in text else ""
    if len(wrapped) == 1 and not text.endswith('"'): wrapped = [f'{prefix}"""{text}"""']
    else: wrapped = [f'{prefix}"""{wrapped[0]}', *wrapped[1:], '"""']
    return [" " * indent + line if line else "" for line in wrapped]


def summary(node: ast.AST) -> list[str]:
    "The lines of the present docstring"
    return (ast.get_docstring(node) or "").splitlines()


def raised(text: str) -> list[tuple[str, str]]:
    "Errors that a docstring's own sentence names, with what it says of them"
    found = re.search(r"`?\b([A-Z]\w*Error)\b`?[ ,;:]*(.*)", text)
    return [(found[1], found[2])] if found else []


def of_function(source: Source, node: ast.FunctionDef) -> tuple[list[str], list[str]] | None:
    "New lines of a function's signature and docstring; None where nothing is to be said"
    header = source.header(node)
    end = header[-1].end[0]
    arguments = node.args
    named = [(argument.arg, argument) for argument in (*arguments.posonlyargs, *arguments.args)]
    if arguments.vararg: named.append((f"*{arguments.vararg.arg}", arguments.vararg))
    named += [(argument.arg, argument) for argument in arguments.kwonlyargs]
    if arguments.kwarg: named.append((f"**{arguments.kwarg.arg}", arguments.kwarg))
    of_return = next(token.start[0] for token in reversed(header) if token.string == ")" or token.string == "->")
    places = {}
    for name, argument in named:
        later = [other.lineno for _, other in named if other.lineno > argument.lineno] + [of_return]
        if argument.lineno != of_return: places[name] = range(argument.lineno, max(argument.lineno + 1, min(later)))
    shared = [name for name in places if sum(places[name] == other for other in places.values()) > 1]
    for name in shared[:-1]: places.pop(name)
    told = comments_of(source, places, of_return - 1)
    answer = " ".join(source.comments[line] for line in range(of_return,
                                                              max(end, node.body[0].lineno * (node.body[0].lineno == end)) + 1) if line in source.comments)
    lines = summary(node)
    errors = raised(" ".join(lines))
    if not told and not answer and not errors: return None
    parameters = [(f"{name} : {source.code(a.annotation)}" if a.annotation else name, told.get(name, ""))
                  for name, a in named if name not in ("self", "cls") or name in told]
    parameters = parameters if told else []
    kind = source.code(node.returns)
    if kind == "None" and answer: lines, answer = [*lines, *[""] * bool(lines), answer], ""
    lines += section("Parameters", parameters)
    lines += section("Returns", [(kind, answer) if kind else (answer, "")] if answer else [])
    lines += section("Raises", errors)
    return signature(header, node.col_offset), literal(lines[not lines[0]:], body_indent(node))


def body_indent(node: ast.AST) -> int:
    "Where the body of a function or class begins"
    return node.col_offset + 4


def of_class(source: Source, node: ast.ClassDef) -> list[str] | None:
    "New docstring of a dataclass whose fields are commented"
    if not any("dataclass" in source.code(decorator) for decorator in node.decorator_list): return None
    fields = [part for part in node.body if isinstance(part, ast.AnnAssign)
              and not source.code(part.annotation).startswith("ClassVar")]
    told = comments_of(source, {part.target.id: range(part.lineno, part.end_lineno + 1) for part in fields},
                       node.end_lineno)
    if not told: return None
    entries = {title: [(f"{part.target.id} : {source.code(part.annotation)}", told.get(part.target.id, ""))
                       for part in fields
                       if part.target.id[0] != "_" and ("init=False" in source.code(part.value)) == later]
               for title, later in (("Parameters", False), ("Attributes", True))}
    lines = summary(node) + [line for title, rows in entries.items() for line in section(title, rows)]
    return literal(lines[not lines[0]:], body_indent(node))


def public(node: ast.AST) -> bool:
    "Whether a function or class is for others"
    return not node.name.startswith("_") or node.name.startswith("__")


def edits(source: Source, nodes: list) -> list[tuple[int, int, list[str]]]:
    "(first line, last line, new lines) of what changes in these statements"
    found = []
    for node in nodes:
        if not isinstance(node, (*FUNCTIONS, ast.ClassDef)) or not public(node): continue
        first = node.body[0]
        had = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
        if isinstance(node, ast.ClassDef):
            found += edits(source, node.body)
            if doc := of_class(source, node):
                found.append((first.lineno, first.end_lineno if had else first.lineno - 1, doc))
            continue
        new = of_function(source, node)
        if new is None: continue
        head, doc = new
        end = source.header(node)[-1].end
        if end[0] == first.lineno:  # a body on the line of the signature
            body = " " * body_indent(node) + source.lines[first.lineno - 1][first.col_offset:]
            if first.end_lineno == first.lineno:
                body = body[:len(body) - len(source.lines[first.lineno - 1]) + first.end_col_offset]
            found.append((node.lineno, first.lineno, head + doc + [body] * (not had)))
        else: found.append((node.lineno, first.end_lineno if had else end[0], head + doc))
    return found


def without_docstrings(text: str) -> str:
    "The syntax tree of a module, docstrings left out"
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    return ast.dump(tree)


def rewrite(text: str, name: str) -> str:
    "A module's text with numpy-style docstrings; its code stays what it was"
    source = Source(text)
    lines = source.lines
    for first, last, new in sorted(edits(source, source.tree.body), reverse=True): lines[first - 1:last] = new
    new = "\n".join(lines) + "\n" if text else text
    if without_docstrings(new) != without_docstrings(text):
        raise ValueError(f"{name}: writing docstrings changed the code")
    return new
