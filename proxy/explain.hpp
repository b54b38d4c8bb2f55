// Tells what would become of one command under a configuration: the rule it meets, its class, its
// charge, the guard's verdict.
#pragma once

#include "conf/flags.hpp"
#include "conf/load.hpp"

#include <string>

namespace spillway {

struct Explanation {
    std::string text;     // lines for a person
    std::string problem;  // instead of it: what about the question makes no sense
};

// Judges with the proxy's own rules and guard, and with the built-in table of commands: no server
// is asked.
[[nodiscard]] Explanation explain(
    const conf::Loaded& loaded, const conf::Explain& asked, bool colours
);

}  // namespace spillway
