// The sentences of the diagnosis: what shows each cause, what would help, and why it is not
// another.
#pragma once

#include "policy/diagnose_rules.hpp"

#include <string>

namespace spillway::policy::words {

void script_refused(const Figures& f, Story& story);
void ceiling_lowered(const Figures& f, Story& story);
void replica_promoted(const Figures& f, Story& story);
void oversized_write(const Figures& f, Story& story);
void client_buffers(const Figures& f, Story& story);
void replication_buffers(const Figures& f, Story& story);
void script_memory(const Figures& f, Story& story);
void lazyfree_pending(const Figures& f, Story& story);
void non_data_overhead(const Figures& f, Story& story);
void no_evictable_keys(const Figures& f, Story& story);
void few_evictable_keys(const Figures& f, Story& story);
void big_key(const Figures& f, Story& story);
void noeviction_at_ceiling(const Figures& f, Story& story);
void eviction_too_slow(const Figures& f, Story& story);
void provider_limit(const Figures& f, Story& story);
void cluster_skew(const Figures& f, Story& story);  // in diagnose_cluster.cpp
void write_burst(const Figures& f, Story& story);
void unknown(const Figures& f, Story& story);

// Empty when the figures do not say.
[[nodiscard]] std::string against_oversized_write(const Figures& f);
[[nodiscard]] std::string against_client_buffers(const Figures& f);
[[nodiscard]] std::string against_replication_buffers(const Figures& f);
[[nodiscard]] std::string against_big_key(const Figures& f);
[[nodiscard]] std::string against_lazyfree_pending(const Figures& f);
[[nodiscard]] std::string against_provider_limit(const Figures& f);

// What a healthy server deserves to hear: how far it is from its limit, and what it lacks.
void healthy(const Figures& f, Story& story);

// Of a refusal by the guard: what the guard's own reason means, for `near_ceiling`, `write_max` and
// `evict_max`.
void refusal(const Figures& f, Story& story);

// The form of the reply says more than the cause: what of a script or transaction has run.
void form(const Figures& f, Story& story);

}  // namespace spillway::policy::words
