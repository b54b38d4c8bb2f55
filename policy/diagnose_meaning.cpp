// What each cause means, in words for a person who has not met it before.
#include "policy/diagnose_meaning.hpp"

#include <array>

namespace spillway::policy {
namespace {

constexpr std::array<CauseMeaning, cause_names.size()> meanings = {{
    {Cause::noeviction_at_ceiling,
     "policy noeviction, and the data fills the limit",
     "The data has reached maxmemory, and the policy lets Redis remove nothing to make room"},
    {Cause::no_evictable_keys,
     "policy volatile-*, and (nearly) no key has had a TTL for as long as is known",
     "Redis may only evict keys with a TTL, but the application writes its keys without one"},
    {Cause::few_evictable_keys,
     "policy volatile-*, and the keys with a TTL were too few: they are gone, or cannot make room",
     "Redis has evicted the keys with a TTL; what is left has none and may not be evicted"},
    {Cause::eviction_too_slow,
     "above the limit for long while eviction runs; a finding of doctor, never of an OOM reply",
     "Eviction runs, but does not keep up: memory stays above maxmemory"},
    {Cause::oversized_write,
     "this one write needs more than there was room for",
     "One very large write did not fit, although ordinary writes do"},
    {Cause::big_key,
     "one key or collection dominates the dataset",
     "One huge key holds most of the memory"},
    {Cause::client_buffers,
     "query or output buffers of clients, not data, fill the limit",
     "Not data but buffers of clients fill the memory: someone asks for more than it reads, or "
     "sends very much at once"},
    {Cause::replication_buffers,
     "the replication backlog or what replicas share of it fills the limit",
     "The replication backlog takes the room that data needs"},
    {Cause::lazyfree_pending,
     "memory was deleted but is not yet given back",
     "Deleted data is still being freed in the background: this passes by itself"},
    {Cause::script_memory,
     "cached scripts or functions fill the limit",
     "Redis keeps every script text it has seen, and there are too many"},
    {Cause::non_data_overhead,
     "memory is taken by neither data nor any of the buffers above",
     "Something that is no key takes the memory: subscriptions, tracking, modules, or a limit "
     "that is too small for any data"},
    {Cause::ceiling_lowered,
     "maxmemory was changed under the current use, and use has been above it since",
     "There is more data than maxmemory allows since the limit was made smaller"},
    {Cause::script_refused,
     "a script whose flags lack allow-oom was refused at the limit",
     "The script may not run while memory is full, since it is not declared as able to"},
    {Cause::provider_limit,
     "a managed service refuses although INFO shows room",
     "The service that runs this Redis has a limit of its own, which Redis does not show"},
    {Cause::replica_promoted,
     "the server became a primary while above its limit",
     "As a replica this server ignored its limit; now it is a primary and enforces it"},
    {Cause::cluster_skew,
     "this node is full while its siblings have room",
     "The keys are spread unevenly: other nodes of the cluster have room"},
    {Cause::write_burst,
     "growth jumped; names pattern, client and command (usually under `also`)",
     "Memory grows so fast that the limit will be reached soon"},
    {Cause::unknown,
     "none fits; says what was looked at",
     "The figures do not say why memory is short"},
    {Cause::near_ceiling,
     "a refusal by the guard: what is left of the room is kept for commands of higher priority",
     "Spillway keeps the last room for commands that matter more"},
    {Cause::write_max,
     "a refusal by the guard: the write is larger than `guard.write_max`",
     "The write is larger than the configuration allows"},
    {Cause::evict_max,
     "a refusal by the guard: the write would evict more of the data than `guard.evict_max`",
     "The write would have pushed out too much of the cache"},
}};

}  // namespace

const CauseMeaning& meaning_of(Cause cause) noexcept {
    return meanings[static_cast<std::size_t>(cause)];
}

}  // namespace spillway::policy
