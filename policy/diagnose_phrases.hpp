// Phrases that several sentences of the diagnosis share, and advice that several causes give.
#pragma once

#include "policy/diagnose_rules.hpp"

#include <string>
#include <string_view>

namespace spillway::policy::words {

// Printable ASCII, cut at `bytes_max`: names in sentences come from clients.
[[nodiscard]] std::string plain(std::string_view text, std::size_t bytes_max);

[[nodiscard]] std::string size(double bytes);

// As CONFIG SET takes it, rounded up.
[[nodiscard]] std::string setting(double bytes);

// "98 % of the 64 MiB ceiling"
[[nodiscard]] std::string of_ceiling(const Figures& f, double bytes);

// "this SET of 20 MiB"; only with an event.
[[nodiscard]] std::string the_write(const Figures& f);

[[nodiscard]] std::string ago(const Figures& f, Nanos at);

// The pattern as it may be shown.
[[nodiscard]] std::string pattern_name(const Figures& f, const GrowthRow& row);

// "client checkout, SET, none with a TTL"
[[nodiscard]] std::string writer(const GrowthRow& row);

// The first row, when it matters beside the ceiling: else it is not worth a person's time.
[[nodiscard]] const GrowthRow* top_row(const Figures& f);

void tell_data(const Figures& f, Story& story);
void tell_exceeded(const Figures& f, Story& story);
void tell_overshoot(const Figures& f, Story& story);  // in diagnose_writes.cpp

// What a sample of the keys adds; nothing where there is none. In diagnose_keys.cpp.
void tell_keys(const Figures& f, Story& story);
void tell_long_ttl(const Figures& f, Story& story);      // that outlives the time to fill memory
void tell_one_eviction(const Figures& f, Story& story);  // of a key that is most of a cache
void tell_fresh(const Figures& f, Story& story);
void advise_sampled_growth(const Figures& f, Story& story);
void tell_holders(const Figures& f, Story& story);
void tell_clients(const Figures& f, Story& story);
// Bytes of the heaviest client's buffers, or of many clients that are alike; 0 = not known.
[[nodiscard]] double held_by_one(const Figures& f) noexcept;

void advise_growth(const Figures& f, Story& story);

// A quarter more, where the host can bear it: copies made by fork and fragmentation need room
// beside maxmemory.
void advise_raise(const Figures& f, Story& story);

// Which eviction could help; never one that would throw away queues.
void advise_eviction(const Figures& f, Story& story);

}  // namespace spillway::policy::words
