"""Tests the tree test: each rule is shown a tiny tree that breaks it, and one that keeps all of them."""

import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

import check_tree  # noqa: E402
import cpp_text  # noqa: E402

CMAKE = """# Builds the tiny house.
spillway_room(resp DIRECTORY resp)
spillway_room(policy DIRECTORY policy USES resp)
spillway_room(conf DIRECTORY conf USES policy LINKS tomlplusplus::tomlplusplus)
spillway_room(core DIRECTORY proxy/core USES resp)
spillway_room(net DIRECTORY proxy/net USES resp policy
    LINKS spillway_asio)
spillway_room(proxy DIRECTORY proxy SOURCES ${sources} USES resp policy net)
"""

GOOD = {
    "CMakeLists.txt": CMAKE,
    "README.md": "# Tiny house\n\nSee [the reader](resp/reader.hpp) and [below](#the-rules).\n\n## The rules\n",
    "resp/reader.hpp": "// Says where a reply ends.\n#pragma once\nnamespace spillway::resp { int end(); }\n",
    "resp/reader.cpp": '// Finds the end of a reply.\n#include "resp/reader.hpp"\n'
                       "namespace spillway::resp { int end() { return 1'000; } }\n",
    "policy/guard.cpp": '// Judges a command by its head.\n#include "resp/reader.hpp"\n#include <chrono>\n'
                        "namespace spillway::policy { namespace { int judge() { return 1; } } }\n",
    "proxy/net/shard.cpp": "// Runs sessions on one thread.\n#include <boost/asio.hpp>\n"
                           "namespace spillway::net { std::thread thread; auto t = clock::now(); }\n",
    "proxy/main.cpp": "// Starts and stops the proxy.\nint main() { return 0; }\n",
    "scripts/go": "#!/bin/bash\n# Starts what needs starting.\nset -eu\n",
    "tests/integration/test_go.py": '"""Goes through the whole way."""\nimport time\n'
                                    "while not ready():\n    time.sleep(0.01)\n",
}


def cpp(body, room="resp"):
    return f"// Says something of the room.\nnamespace spillway::{room} {{\n{body}\n}}\n"


class TreeTest(unittest.TestCase):
    def findings(self, changes):
        with tempfile.TemporaryDirectory() as folder:
            for path, text in {**GOOD, **changes}.items():
                target = Path(folder, path)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text, encoding="utf-8")
            return check_tree.check(folder).findings

    def assert_finds(self, rule, path, text, line=None):
        found = self.findings({path: text})
        self.assertEqual([(f.path, f.rule) for f in found], [(path, rule)], found)
        if line:
            self.assertEqual(found[0].line, line, found)

    def assert_clean(self, path, text):
        self.assertEqual(self.findings({path: text}), [])

    def test_a_good_tree_has_no_findings(self):
        self.assertEqual(self.findings({}), [])

    def test_the_rooms_come_from_cmake(self):
        rooms = check_tree.rooms_of(CMAKE)
        self.assertEqual(rooms["net"], check_tree.Room("net", "proxy/net", {"resp", "policy"}))
        self.assertEqual(rooms["proxy"].folder, "proxy")

    def test_a_room_includes_only_what_it_uses(self):
        self.assert_finds("include", "resp/up.cpp", '// Looks at what is above it.\n#include "policy/guard.cpp"\n'
                          + cpp("int x;"), line=2)

    def test_a_quoted_include_is_written_from_the_root(self):
        self.assert_finds("include", "resp/near.cpp", '// Includes a sibling by name.\n#include "reader.hpp"\n'
                          + cpp("int x;"), line=2)

    def test_a_pure_room_includes_nothing_from_outside(self):
        for header in ("boost/asio.hpp", "boost/assert.hpp", "spdlog/spdlog.h", "toml++/toml.h", "sys/socket.h",
                       "thread", "iostream", "unistd.h"):
            with self.subTest(header):
                self.assert_finds("include", "policy/x.cpp", f"// Reaches out of the room.\n#include <{header}>\n"
                                  + cpp("int x;", "policy"), line=2)

    def test_toml_belongs_to_conf(self):
        self.assert_clean("conf/x.cpp", "// Reads the file.\n#include <toml++/toml.h>\n" + cpp("int x;", "conf"))
        self.assert_finds("include", "proxy/net/x.cpp", "// Reads the file.\n#include <toml++/toml.h>\n"
                          + cpp("int x;", "net"))

    def test_a_file_says_its_purpose_first(self):
        self.assert_finds("purpose", "resp/x.cpp", "#include <vector>\n" + cpp("int x;"), line=1)
        self.assert_finds("purpose", "scripts/x", "#!/bin/bash\nset -eu\n", line=2)
        self.assert_finds("purpose", "scripts/x.py", "import os\n", line=1)
        self.assert_finds("purpose", "resp/x.cpp", "//\n" + cpp("int x;"), line=1)

    def test_files_are_bounded(self):
        lines = check_tree.FILE_LINES_MAX
        self.assert_clean("resp/x.cpp", cpp("int x;\n" * (lines - 4) + "int y;"))
        self.assert_finds("file-size", "resp/x.cpp", cpp("int x;\n" * (lines - 3) + "int y;"))

    def test_functions_are_bounded(self):
        lines = check_tree.FUNCTION_LINES_MAX
        self.assert_clean("resp/x.cpp", cpp("int f() {\n" + "g();\n" * (lines - 2) + "}"))
        self.assert_finds("function-size", "resp/x.cpp", cpp("int f() {\n" + "g();\n" * (lines - 1) + "}"), line=3)
        self.assert_finds("function-size", "scripts/x.py",
                          '"""Goes on and on."""\ndef f():\n' + "    g()\n" * lines, line=2)

    def test_a_table_is_no_function(self):
        rows = "    {f(1), 2},\n" * 100
        self.assert_clean("resp/x.cpp", cpp("constexpr Row rows[] = {\n" + rows + "};\nstruct S { int a; };"))
        self.assert_clean("resp/x.cpp", cpp("class S {\n" + "void f(int a = 1) { g(); }\n" * 100 + "};"))

    def test_only_the_shell_reads_a_clock(self):
        for call in ("auto t = steady_clock::now();", "void f() { clock_gettime(0, nullptr); }"):
            self.assert_finds("clock", "resp/x.cpp", cpp(call), line=3)
        self.assert_clean("proxy/control.cpp", cpp("auto t = steady_clock::now();", "proxy"))
        self.assert_finds("clock", "proxy/core/x.cpp", cpp("auto t = steady_clock::now();", "core"))
        self.assert_clean("resp/x.cpp", cpp("// Never calls clock::now() here.\nint x;"))
        self.assert_clean("resp/x.cpp", cpp('const char* x = "clock::now()";'))

    def test_randomness_needs_a_seed(self):
        self.assert_finds("random", "resp/x.cpp", cpp("int x = rand();"))
        self.assert_clean("resp/x.cpp", cpp("int x = operand();"))

    def test_threads_are_made_in_one_place(self):
        self.assert_finds("thread", "proxy/net/stream.cpp", cpp("std::thread x;", "net"))
        self.assert_clean("proxy/net/stream.cpp", cpp("auto n = std::thread::hardware_concurrency();", "net"))

    def test_tests_do_not_sleep(self):
        self.assert_finds("sleep", "tests/unit/resp/x_test.cpp", cpp("void f() { std::this_thread::sleep_for(x); }"))
        self.assert_finds("sleep", "tests/integration/test_x.py",
                          '"""Hopes for the best."""\nimport time\ntime.sleep(1)\n', line=3)

    def test_a_line_can_be_excused_with_a_reason(self):
        self.assert_clean("resp/x.cpp", cpp("int x = rand();  // tree-allow(random): shows the excuse"))
        self.assert_finds("random", "resp/x.cpp", cpp("int x = rand();  // tree-allow(random):"))
        self.assert_finds("random", "resp/x.cpp", cpp("int x = rand();  // tree-allow(clock): another rule"))

    def test_empty_names_are_refused(self):
        for name in ("class BufferManager {};", "struct Impl;", "using StringUtils = int;", "enum class AHelper {};"):
            with self.subTest(name):
                self.assert_finds("name", "resp/x.cpp", cpp(name + " int x;"), line=3)
        self.assert_finds("name", "resp/reader_util.cpp", cpp("int x;"))
        self.assert_clean("resp/x.cpp", cpp("struct Implicit {}; class ManagerOfNone {};"))

    def test_the_words_are_client_and_backend(self):
        self.assert_finds("word", "resp/x.cpp", cpp("int upstream_reads;"))
        self.assert_finds("word", "resp/x.cpp", cpp("struct DownstreamReader {};"))

    def test_headers_are_guarded_and_open_no_namespace(self):
        self.assert_finds("pragma-once", "resp/reader.hpp", cpp("int x;"))
        self.assert_finds("using", "resp/reader.hpp", "// Says where a reply ends.\n#pragma once\n"
                          "namespace spillway::resp { int x; }\nusing namespace std;\n", line=4)

    def test_the_namespace_is_the_room(self):
        self.assert_finds("namespace", "resp/x.cpp", "// Lives somewhere else.\nnamespace spillway::resp { int y; }\n"
                          "namespace spillway::policy { int x; }\n", line=3)
        self.assert_finds("namespace", "resp/x.cpp", "// Lives nowhere at all.\nint x;\n")
        self.assert_clean("resp/x.cpp", "// Announces a type of another.\nnamespace other { class X; }\n"
                          + cpp("int x;"))

    def test_a_header_is_included_by_something(self):
        self.assert_finds("dead-file", "resp/x.hpp", "// Nobody wants this one.\n#pragma once\n" + cpp("int x;"))

    def test_links_resolve(self):
        self.assert_finds("link", "docs/a.md", "# A\n\n[gone](gone.md)\n", line=3)
        self.assert_finds("link", "docs/a.md", "# A\n\n[gone](../README.md#no-rules)\n")
        self.assert_clean("docs/a.md", "# A\n\n[here](../README.md#the-rules) [out](https://redis.io/x)\n"
                          "```\n[in code](gone.md)\n```\n")

    def test_paths_of_a_machine_are_refused(self):
        for path in ("/wo" + "rk/main", "/ho" + "me/me/x", "/ro" + "ot/.cache"):
            self.assert_finds("machine-path", "docs/a.md", f"# A\n\nrun {path}\n", line=3)
        self.assert_clean("docs/a.md", "# A\n\nhttps://x.example" + "/ho" + "me/x\n")


class FunctionsTest(unittest.TestCase):
    def names(self, text):
        return [name for name, _, length in cpp_text.functions(text) if length > 2]

    def test_finds_functions_wherever_they_stand(self):
        self.assertEqual(self.names("""
            template <class T, class U = std::vector<T>>
            T pick(T a) noexcept {
                return a;
            }
            Reader::Reader(int a)
                : a_{a == 1}, b_(2) {
                start({1, 2});
            }
            struct S {
              public:
                bool operator==(const S& other) const {
                    return x == other.x;
                }
            };
            TEST(Reader, Reads) {
                if (x) {
                    y();
                }
            }
        """), ["pick", "Reader::Reader", "operator==", "TEST(Reader, Reads)"])

    def test_counts_from_the_signature_to_the_last_brace(self):
        self.assertEqual(cpp_text.functions("int f(int a,\n      int b) {\n  return a;\n}\n"), [("f", 1, 4)])

    def test_braces_in_literals_and_comments_do_not_count(self):
        self.assertEqual(self.names("void f() {\n char c = '{'; // }\n auto s = \"{{\"; auto r = R\"(}})\";\n}\n"), ["f"])


if __name__ == "__main__":
    unittest.main()
