// What a process sees to before anything else: the standard descriptors, signals, the limit of open
// files.
#pragma once

#include <cstdint>

namespace spillway {

// Whoever started us may have closed some of 0, 1 and 2: a socket there would be written to as if
// it were a terminal or the log. Output that was to go to a closed one still counts as lost.
void fill_standard_descriptors() noexcept;

// Signals that mean something to a running proxy alone, and would end a process that does not yet
// listen to them. They wait from the first call to the second.
void hold_back_signals() noexcept;
void let_signals_come() noexcept;

// Two descriptors a client: the soft limit of most systems is far below what the hard one allows.
void raise_descriptor_limit() noexcept;
[[nodiscard]] std::uint64_t descriptor_limit() noexcept;  // as it is now

}  // namespace spillway
