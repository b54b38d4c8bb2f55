"""Reads C++ as text: comments, strings, namespaces and the extent of functions, as far as the tree test needs it."""

import re

_TOKEN = re.compile(
    r"""(?P<comment>//(?:[^\n\\]|\\.|\\\n)*|/\*.*?\*/)
      | (?P<raw>R"(?P<mark>[^()\s\\]{0,16})\(.*?\)(?P=mark)")
      | (?P<string>"(?:[^"\\\n]|\\.)*")
      | (?P<digits>\b\d[\w.]*(?:'[\w.]+)*)      # so that a digit separator opens no character
      | (?P<char>'(?:[^'\\\n]|\\.)+')""",
    re.DOTALL | re.VERBOSE)


def _blank(text):
    """As many lines, no content."""
    return re.sub(r"[^\n]", " ", text)


def without_comments(text):
    return _TOKEN.sub(lambda m: _blank(m[0]) if m["comment"] else m[0], text)


def without_strings(text):
    """String and character literals become empty ones of the same length; the text has no comments any more."""
    def empty(match):
        literal = match[0]
        if match["raw"] or match["string"]:
            return '"' + _blank(literal[1:-1]) + '"'
        return "'" + _blank(literal[1:-1]) + "'" if match["char"] else literal

    return _TOKEN.sub(empty, text)


def _code(text):
    """Code only: comments, literals and preprocessor lines are blank."""
    code = without_strings(without_comments(text))
    return re.sub(r"^[ \t]*#(?:[^\n\\]|\\\n|\\.)*", lambda m: _blank(m[0]), code, flags=re.MULTILINE)


def namespaces(text):
    """The namespaces that the file puts something in, as (name, line): nested ones by their full name, unnamed
    ones as ''. One that only announces types of others (`class x;`) does not count."""
    code, found = _code(text), []

    def keep(name, line, body):
        if not re.fullmatch(r"\s*(?:(?:class|struct|enum)\s[^;{}()]*;\s*)+", body):
            found.append((name, line))

    _walk(code, on_namespace=keep)
    return sorted(found, key=lambda item: item[1])


def functions(text):
    """Every function body, as (name, line, number of lines); nothing where the braces do not balance."""
    found = []
    balanced = _walk(_code(text), on_function=lambda name, line, length: found.append((name, line, length)))
    return found if balanced else []


def _kind(header):
    """What a brace opens, judged by the text between it and the end of the statement before."""
    header = re.sub(r"\b(public|private|protected)\s*:", " ", header)
    while re.match(r"\s*template\s*<", header):
        header = _after_angles(header)
    header = re.sub(r"^\s*(\[\[.*?\]\]\s*)*(?:export\s+|typedef\s+)?", "", header, flags=re.DOTALL)
    if re.match(r"(?:inline\s+)?namespace\b", header):
        return "namespace"
    if re.match(r"(?:class|struct|union|enum)\b", header) or re.match(r'extern\s+"\s*"\s*$', header):
        return "container"
    outside = re.sub(r"operator\s*[^\s\w(]+", "operator", header)
    while re.search(r"\{[^{}]*\}", outside):
        outside = re.sub(r"\{[^{}]*\}", " ", outside)
    while re.search(r"\([^()]*\)", outside):
        outside = re.sub(r"\([^()]*\)", " \x01 ", outside)
    return "function" if "\x01" in outside and "=" not in outside else "value"


def _after_angles(header):
    """What follows the first <...>, which may hold others."""
    depth = 0
    for at in range(header.index("<"), len(header)):
        depth += {"<": 1, ">": -1}.get(header[at], 0)
        if depth == 0:
            return header[at + 1:]
    return ""


def _name(header):
    named = re.search(r"([\w:~]+|operator[^\s(]*)\s*\(([^)]*)", header)
    if not named:
        return "function"
    return f"{named[1]}({named[2].strip()})" if named[1].isupper() else named[1]  # a test macro, with its names


def _walk(code, on_namespace=lambda name, line, body: None, on_function=lambda name, line, length: None):
    """Calls back for each namespace and function when it closes; False where the braces do not balance."""
    open_braces = []  # (kind, name, offset of the header, offset of the brace)
    start = 0  # of the statement or header that is being read
    for match in re.finditer(r"[{};]", code):
        at, mark = match.start(), match[0]
        inside = bool(open_braces) and open_braces[-1][0] in ("function", "value")
        if mark == "{":
            header = code[start:at]
            kind = "value" if inside else _kind(header)
            name = _namespace_name(header, open_braces) if kind == "namespace" else _name(header)
            open_braces.append((kind, name, start, at))
        elif mark == "}":
            if not open_braces:
                return False
            kind, name, header_start, opened = open_braces.pop()
            blank = re.match(r"\s*", code[header_start:at]).end()
            line = code.count("\n", 0, header_start + blank) + 1
            if kind == "namespace":
                on_namespace(name, line, code[opened + 1:at])
            elif kind == "function":
                on_function(name, line, code.count("\n", 0, at) + 2 - line)
            if kind in ("function", "value") and re.match(r"\s*[,{]", code[at + 1:at + 200]):
                start = header_start  # a brace in a constructor's initialiser list: its header goes on
                continue
        if not inside or mark == "}":
            start = at + 1
    return not open_braces


def _namespace_name(header, open_braces):
    own = re.sub(r".*\bnamespace\b\s*(\[\[.*?\]\]\s*)?", "", header, flags=re.DOTALL).strip()
    parents = [brace[1] for brace in open_braces if brace[0] == "namespace" and brace[1]]
    return "::".join(parents[-1:] + [own]) if own else ""
