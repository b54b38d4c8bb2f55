#!/usr/bin/env python3
"""Checks the house rules that a compiler cannot: includes, purposes, sizes, banned calls and words, links.

usage: check_tree.py [ROOT]

Prints one finding a line as `file:line: rule: what is wrong` and exits 1 if there is any.
A line is excused by a comment on it that says why: tree-allow(<rule>): <reason>
"""

import ast
import os
import re
import sys
from collections import namedtuple
from pathlib import Path

from cpp_text import functions, namespaces, without_comments, without_strings

FILE_LINES_MAX = 600
FUNCTION_LINES_MAX = 70

Finding = namedtuple("Finding", "path line rule message")
Room = namedtuple("Room", "name folder uses")

SKIPPED_FOLDERS = {".git", ".cache", "build", "node_modules", "__pycache__", "corpus"}
CPP = {".cpp", ".hpp", ".h", ".c"}
PURE_ROOMS = {"resp", "policy", "metrics", "core"}
IO_ROOMS = {"net", "admin", "doctor", "proxy"}

# Headers from outside the repository, and the rooms that may include them; the first match counts.
FOREIGN_HEADERS = [
    (r"boost/asio", IO_ROOMS, "sockets and timers belong to proxy/net and proxy/admin"),
    (r"boost/json", {"log", "admin", "proxy"}, "JSON is written by proxy/log and proxy/admin"),
    (r"boost/", IO_ROOMS | {"conf", "log"}, "a pure room needs the standard library only"),
    (r"(spdlog|fmt)/", {"log"}, "only proxy/log writes the log"),
    (r"toml\+\+/", {"conf"}, "only conf reads TOML"),
    (r"llhttp", {"admin"}, "only proxy/admin speaks HTTP"),
    (r"openssl/", {"net"}, "TLS belongs to proxy/net"),
    (r"(sys|netinet|arpa)/|(netdb|unistd|poll|fcntl|signal)\.h$", IO_ROOMS | {"conf", "log"},
     "a pure room reaches no system call"),
    (r"(thread|mutex|shared_mutex|condition_variable|future)$", IO_ROOMS | {"log"},
     "a pure room knows no threads"),
    (r"(iostream|fstream)$", IO_ROOMS | {"conf", "log"}, "a pure room neither reads nor prints"),
]

PROGRAM_FILES = r"proxy/[^/]+$"  # main.cpp and what it is split into
CLOCK_FILES = rf"proxy/(net|log|admin)/|{PROGRAM_FILES}|tests/unit/(net|log|admin|proxy)/"
THREAD_FILES = r"proxy/net/shard\w*\.|proxy/main\.cpp$|tests/"

# (rule, pattern, files where it is allowed, files where it is looked for, reason)
BANNED_CODE = [
    ("clock", r"::now\s*\(|\b(clock_gettime|gettimeofday)\s*\(|\bstd::time\s*\(", CLOCK_FILES, r"",
     "time is an argument: only the I/O shell reads a clock"),
    ("random", r"\bs?rand\s*\(", None, r"", "use <random> with a seed that the caller gives"),
    ("random", r"\brandom_device\b", rf"proxy/net/|{PROGRAM_FILES}", r"",
     "a seed is an argument: only the I/O shell draws one"),
    ("thread", r"\bstd::j?thread\b(?!::)", THREAD_FILES, r"", "threads are made by the shards and by main"),
    ("sleep", r"\b(sleep_for|sleep_until|usleep|nanosleep)\b|\bsleep\s*\(", None, r"tests/",
     "a test waits for what it needs, with a deadline"),
    ("name", r"\b(?:class|struct|enum|union|using|concept)\s+(?:class\s+)?\w*(?:Manager|Helper|Utils?|Impl)\b",
     None, r"", "the name says nothing: name what the type does"),
    ("word", r"(?i)\b\w*(?:up|down)stream\w*\b", None, r"", "say client or backend"),
    ("using", r"^\s*using\s+namespace\b", None, r"\.hpp$", "a header changes nobody's names"),
]

MACHINE_PATH = re.compile(r"(?<![\w.~/-])/(?:work|root|home|Users)/[\w.]|/tmp/(?:brief|bash_jobs)\b")


class Tree:
    """The files of the repository, each read once, and what was found in them."""

    def __init__(self, root):
        self.root = Path(root)
        self.findings = []
        self.texts = {}
        for folder, folders, names in os.walk(self.root):
            folders[:] = sorted(f for f in folders if f not in SKIPPED_FOLDERS)
            for name in sorted(names):
                path = Path(folder, name)
                try:
                    text = path.read_text(encoding="utf-8")
                except (UnicodeDecodeError, OSError):
                    continue  # not text, or a dangling link: nothing to read
                self.texts[path.relative_to(self.root).as_posix()] = text
        self.rooms = rooms_of(self.texts.get("CMakeLists.txt", ""))

    def report(self, path, line, rule, message):
        lines = self.texts[path].splitlines()
        text = lines[line - 1] if 0 < line <= len(lines) else ""
        if not re.search(rf"tree-allow\({rule}\): \S", text):
            self.findings.append(Finding(path, line, rule, message))

    def room_of(self, path):
        rooms = [room for room in self.rooms.values() if path.startswith(room.folder + "/")]
        return max(rooms, key=lambda room: len(room.folder), default=None)


def rooms_of(cmake):
    """The table of rooms, as CMakeLists.txt declares them."""
    rooms = {}
    for call in re.findall(r"^spillway_room\(([^)]*)\)", cmake, re.MULTILINE):
        words = call.split()
        room, keyword = {"DIRECTORY": [], "USES": []}, None
        for word in words[1:]:
            if word.isupper():
                keyword = word
            elif keyword in room:
                room[keyword].append(word)
        rooms[words[0]] = Room(words[0], room["DIRECTORY"][0], set(room["USES"]))
    return rooms


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def kind_of(path, text):
    """What the file is written in, by its name or its first line: cpp, python, shell, cmake, script, or None."""
    suffix = Path(path).suffix
    first = text.split("\n", 1)[0]
    if suffix in CPP:
        return "cpp"
    if suffix == ".py" or first.startswith("#!") and "python" in first:
        return "python"
    if suffix == ".sh" or first.startswith("#!") and re.search(r"\b(ba)?sh\b", first):
        return "shell"
    if suffix == ".cmake" or Path(path).name == "CMakeLists.txt":
        return "cmake"
    return "script" if suffix in {".js", ".mjs"} else None


def check_purpose(tree, path, text, kind):
    lines = text.splitlines() or [""]
    at = 1 if lines[0].startswith("#!") and len(lines) > 1 else 0
    opening = {"cpp": r"// ", "script": r"// ", "python": r'(# |r?""")', "shell": r"# ", "cmake": r"# "}[kind]
    if not re.match(opening + r"\S+( \S+){2,}", lines[at]):
        tree.report(path, at + 1, "purpose", "the first line is not a comment that says the file's purpose")


def check_sizes(tree, path, text, kind):
    count = len(text.splitlines())
    if count > FILE_LINES_MAX:
        tree.report(path, 1, "file-size", f"{count} lines, the limit is {FILE_LINES_MAX}: split it by subject")
    if kind == "cpp":
        found = functions(text)
    elif kind == "python":
        found = python_functions(tree, path, text)
    else:
        found = []
    for name, line, length in found:
        if length > FUNCTION_LINES_MAX:
            tree.report(path, line, "function-size", f"{name} has {length} lines, the limit is {FUNCTION_LINES_MAX}")


def python_functions(tree, path, text):
    try:
        nodes = list(ast.walk(ast.parse(text)))
    except SyntaxError as error:
        tree.report(path, error.lineno or 1, "syntax", str(error.msg))
        return []
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [(node.name, node.lineno, node.end_lineno - node.lineno + 1) for node in nodes if isinstance(node, kinds)]


def check_python_sleeps(tree, path, text):
    """A sleep inside a loop polls for something; anywhere else a test sleeps in the hope that it is there."""
    try:
        module = ast.parse(text)
    except SyntaxError:
        return  # reported by the size check
    polled = {id(inner) for loop in ast.walk(module) if isinstance(loop, (ast.While, ast.For))
              for inner in ast.walk(loop)}
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and id(node) not in polled and ast.unparse(node.func) == "time.sleep":
            tree.report(path, node.lineno, "sleep", "a test waits for what it needs, with a deadline")


def check_includes(tree, path, text):
    room = tree.room_of(path)
    for match in re.finditer(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">]+)[">]', text, re.MULTILINE):
        line, quoted, header = line_of(text, match.start()), match[1] == '"', match[2]
        if quoted and header not in tree.texts:
            tree.report(path, line, "include", f'"{header}" does not exist, counted from the root of the repository')
        elif quoted and room:
            other = tree.room_of(header)
            if other and other != room and other.name not in room.uses:
                tree.report(path, line, "include", f"{room.name} may not use {other.name}: CMakeLists.txt names "
                                                   "the rooms that it may")
        elif room:
            check_foreign_header(tree, path, line, room, header)


def check_foreign_header(tree, path, line, room, header):
    for pattern, allowed, reason in FOREIGN_HEADERS:
        if re.match(pattern, header):
            if room.name not in allowed:
                tree.report(path, line, "include", f"<{header}> in {room.name}: {reason}")
            return


def check_code(tree, path, text):
    code = without_strings(without_comments(text))
    for rule, pattern, allowed, scope, reason in BANNED_CODE:
        if not re.search(scope, path) or allowed and re.match(allowed, path):
            continue
        for match in re.finditer(pattern, code, re.MULTILINE):
            tree.report(path, line_of(code, match.start()), rule, f"`{match[0].strip()}`: {reason}")
    if path.endswith(".hpp") and not re.search(r"^#pragma once$", text, re.MULTILINE):
        tree.report(path, 1, "pragma-once", "a header without #pragma once")
    if re.search(r"_(manager|helper|utils?|impl)\.\w+$", path):
        tree.report(path, 1, "name", "the name says nothing: name what the file is for")


def check_namespaces(tree, path, text):
    room = tree.room_of(path)
    if not room:
        return
    own = "spillway" if room.name == "proxy" else f"spillway::{room.name}"
    found = namespaces(text)
    for name, line in found:
        if name and name != own and not name.startswith((own + "::", "std")):
            tree.report(path, line, "namespace", f"`{name}` in a file of {room.name}: it should be `{own}`")
    if room.name != "proxy" and not any(name.startswith(own) for name, _ in found):
        tree.report(path, 1, "namespace", f"nothing in the file is in namespace `{own}`")


def heading_anchors(text):
    """The anchors that a Markdown viewer makes of the headings."""
    headings = re.findall(r"^#{1,6}\s+(.+?)\s*#*$", text, re.MULTILINE)
    plain = (re.sub(r"\[([^\]]*)\]\([^)]*\)|`", r"\1", heading) for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in plain}


def check_links(tree, path, text):
    prose = re.sub(r"^(```|~~~).*?^\1", lambda m: "\n" * m[0].count("\n"), text, flags=re.MULTILINE | re.DOTALL)
    prose = re.sub(r"`[^`\n]*`", lambda m: " " * len(m[0]), prose)
    targets = re.compile(r"\]\(<?([^)\s>]+)|^\[[^\]]+\]:\s+(\S+)|(?:src|href)=\"([^\"]+)\"", re.MULTILINE)
    for match in targets.finditer(prose):
        target, line = next(filter(None, match.groups())), line_of(prose, match.start())
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        where = (tree.root / path).parent / file if file else tree.root / path
        if not where.exists():
            tree.report(path, line, "link", f"{target} does not exist")
        elif anchor and where.suffix == ".md" and anchor not in heading_anchors(where.read_text(encoding="utf-8")):
            tree.report(path, line, "link", f"{target}: no such heading")


def check_machine_paths(tree, path, text):
    for match in MACHINE_PATH.finditer(text):
        tree.report(path, line_of(text, match.start()), "machine-path", "a path of one machine")


def check_dead_headers(tree):
    included = set()
    for text in tree.texts.values():
        included.update(re.findall(r'^[ \t]*#[ \t]*include[ \t]*"([^"]+)"', text, re.MULTILINE))
    for path in tree.texts:
        if path.endswith(".hpp") and path not in included:
            tree.report(path, 1, "dead-file", "no file includes this header")


def check(root):
    """All findings in the tree under root, in the order of the files."""
    tree = Tree(root)
    for path, text in tree.texts.items():
        kind = kind_of(path, text)
        check_machine_paths(tree, path, text)
        if kind:
            check_purpose(tree, path, text, kind)
            check_sizes(tree, path, text, kind)
        if kind == "cpp":
            check_includes(tree, path, text)
            check_code(tree, path, text)
            check_namespaces(tree, path, text)
        elif kind == "python" and path.startswith("tests/"):
            check_python_sleeps(tree, path, text)
        elif path.endswith(".md"):
            check_links(tree, path, text)
    check_dead_headers(tree)
    return tree


def main(arguments):
    if len(arguments) > 2 or arguments[1:] in (["-h"], ["--help"]):
        print(__doc__.strip())
        return 0 if len(arguments) == 2 else 2
    root = arguments[1] if len(arguments) == 2 else Path(__file__).resolve().parent.parent
    tree = check(root)
    if not tree.rooms:
        print(f"{root}: CMakeLists.txt declares no rooms, so there is nothing to check against", file=sys.stderr)
        return 2
    for finding in tree.findings:
        print(f"{finding.path}:{finding.line}: {finding.rule}: {finding.message}")
    print(f"{len(tree.texts)} files, {len(tree.findings)} findings")
    return 1 if tree.findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
