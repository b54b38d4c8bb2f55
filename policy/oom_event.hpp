// One OOM answer as a shard saw it: a reply of the backend, or a refusal by the guard.
#pragma once

#include "policy/cause.hpp"
#include "policy/memory_sample.hpp"
#include "policy/modes.hpp"

#include <cstdint>
#include <string>

namespace spillway::policy {

enum class OomOrigin : std::uint8_t { backend, guard };

// Where the OOM stood: what an expert would ask first.
enum class OomForm : std::uint8_t {
    top_level,      // the command itself was refused; it did not run
    in_exec,        // an element of an EXEC reply: a script or module inside the transaction
    exec_abort,     // EXECABORT … because of: OOM …
    in_script,      // decorated by the script that ran into it; the script may have run in part
    in_array,       // an element of another reply
    script_denied,  // the `allow-oom flag is not set` refusal
    provider,       // a managed service's own wording
};

struct ClientFacts {
    std::string address;  // "10.0.0.1:52110" or "unix:"
    std::string name;     // CLIENT SETNAME
    std::string user;     // ACL user; "default" until AUTH
    std::string library;  // CLIENT SETINFO LIB-NAME
};

struct OomEvent {
    OomOrigin origin = OomOrigin::backend;
    OomForm form = OomForm::top_level;
    Nanos at = 0;
    std::uint64_t count = 1;  // like events that this one stands for

    std::string command;      // upper case, with its subcommand: "SET", "XGROUP CREATE"
    std::uint64_t bytes = 0;  // request bytes on the wire
    std::uint64_t largest_argument_bytes = 0;
    std::string key;  // first key, raw, at most 256 bytes; masked before it is shown
    std::int32_t db = 0;
    bool in_multi = false;
    bool script_declared =
        false;  // the script or function has a flags line without allow-oom, as far as passed by
    ClientFacts client;
    std::string reply;  // the backend's line, at most 512 bytes

    // Of refusals by the guard.
    Cause guard_cause = Cause::near_ceiling;
    Priority priority = Priority::normal;
    std::string rule;           // name of the rule that set the priority; empty = none
    bool would_refuse = false;  // observe: the command passed
};

}  // namespace spillway::policy
