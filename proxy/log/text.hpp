// Records as a person reads them: one aligned line each, and a block for an OOM and for the end of
// an incident.
#pragma once

#include "policy/incident.hpp"
#include "proxy/log/records.hpp"

#include <cstdint>
#include <string>

namespace spillway::log {

// {"ts", "level", "event", "msg", …} without the line's end.
[[nodiscard]] std::string json_line(const Line& line, std::int64_t unix_ms);

// "TIME LEVEL event message", for notes with their fields behind, without the line's end. Colours
// are those of terminals.
[[nodiscard]] std::string text_line(const Line& line, std::int64_t unix_ms, bool coloured);

// What belongs under the line of a record: each line indented and begun with a line feed; empty
// where the line says it all.
[[nodiscard]] std::string text_block(const policy::Record& record, bool coloured);

}  // namespace spillway::log
