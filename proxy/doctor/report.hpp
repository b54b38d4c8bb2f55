// Writes what doctor found for a person at a terminal: what is wrong, why we think so, what to do.
#pragma once

#include "proxy/doctor/examination.hpp"

#include <string>

namespace spillway::doctor {

struct Style {
    bool colour = false;
    bool blocks = false;  // bars and bullets of Unicode rather than ASCII
    unsigned width = 100;
};

[[nodiscard]] std::string report_text(const Findings& findings, const Style& style);

}  // namespace spillway::doctor
