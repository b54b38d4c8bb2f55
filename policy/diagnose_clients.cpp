// The sentences of the diagnosis about clients' buffers: how much they hold, whose they are, and
// what bounds them.
#include "policy/client_list.hpp"
#include "policy/diagnose_phrases.hpp"
#include "policy/diagnose_words.hpp"
#include "policy/wording.hpp"

#include <algorithm>

namespace spillway::policy::words {
namespace {

// What a client that does not read its replies had asked for.
enum class Reads : std::uint8_t { replies, messages, monitor };

[[nodiscard]] Reads reads_of(const Figures& f) noexcept {
    if (f.in.clients.empty()) {
        return Reads::replies;
    }
    const std::string_view last = f.in.clients.front().command;
    if (last == "monitor") {
        return Reads::monitor;
    }
    return last.ends_with("subscribe") ? Reads::messages : Reads::replies;
}

void advise_readers(const Figures& f, Story& story) {
    switch (reads_of(f)) {
        case Reads::monitor:
            story.advice.emplace_back(
                "stop that MONITOR: it is sent every command of every client, faster than it reads"
            );
            return;
        case Reads::messages:
            story.advice.push_back(
                "make that subscriber read faster, or let Redis cut it in time: CONFIG SET "
                "client-output-buffer-limit \"pubsub " +
                setting(.05 * f.ceiling) + " " + setting(.02 * f.ceiling) + " 60\""
            );
            return;
        case Reads::replies:
            break;
    }
    story.advice.emplace_back("find who does not read its replies: CLIENT LIST, largest omem");
    story.advice.emplace_back(
        "ask for large results in parts (SCAN, LRANGE, GETRANGE) and pipeline fewer of them"
    );
}

// Many connections with little each, as a program leaves behind that opens one for each request.
constexpr std::int64_t crowd_min = 100;
constexpr double crowd_bytes_max = 1 << 20;  // of the largest

[[nodiscard]] bool is_crowd(const Figures& f) noexcept {
    if (!f.in.clients.empty()) {
        const HeavyClient& client = f.in.clients.front();
        return client.count >= crowd_min && !client.alone() &&
               static_cast<double>(client.bytes_of_largest) < crowd_bytes_max;
    }
    const MemorySample& s = f.sample();  // too many to be listed
    return s.connected_clients > client_list_max &&
           static_cast<double>(std::max(s.max_input_buffer_bytes, s.max_output_buffer_bytes)) <
               crowd_bytes_max;
}

void advise_crowd(const Figures& f, Story& story) {
    story.advice.emplace_back(
        "keep fewer connections: a pool of some in each program, none opened for each request"
    );
    story.advice.emplace_back(
        "let Redis close those that nobody uses: CONFIG SET timeout 300; bound their number with "
        "maxclients"
    );
    advise_raise(f, story);
}

[[nodiscard]] bool queues_in_multi(const HeavyClient& client) noexcept {
    return client.multi_bytes > client.bytes_of_largest / 2;
}

// "of queries (last command set)"
[[nodiscard]] std::string held_as(const HeavyClient& client, bool output) {
    const std::string last = " (last command " + plain(client.command, 32) + ")";
    if (!output && queues_in_multi(client)) {
        return " of commands that it has queued in MULTI" + last;
    }
    const char* const have = client.alone() ? "it has" : "they have";
    return (output ? std::string(" of replies that ") + have + " not read" : " of queries") + last;
}

}  // namespace

void client_buffers(const Figures& f, Story& story) {
    const MemorySample& s = f.sample();
    // CLIENT LIST and INFO were asked for at different times: the larger figure is the one to act
    // on.
    const double seen = held_by_one(f);
    if (seen <= f.clients) {
        story.evidence.push_back(
            "buffers of " + count_text(std::max<std::int64_t>(s.connected_clients, 0)) +
            " clients hold " + size(f.clients) + ", " + of_ceiling(f, f.clients)
        );
    }
    tell_clients(f, story);
    const bool input = s.max_input_buffer_bytes > s.max_output_buffer_bytes;
    const double largest =
        static_cast<double>(std::max(s.max_input_buffer_bytes, s.max_output_buffer_bytes));
    if (f.share(largest) >= .02) {
        story.evidence.push_back(
            std::string("the largest recent ") + (input ? "query" : "output") +
            " buffer of one client was " + size(largest)
        );
    }
    if (f.peaked_over > 0 && f.room > 0) {
        story.evidence.push_back(
            "memory rose to " + size(f.ceiling + f.peaked_over) +
            " between two samples and fell again"
        );
    }
    story.evidence.push_back("data takes only " + size(f.data) + ", " + of_ceiling(f, f.data));
    if (is_crowd(f)) {
        return advise_crowd(f, story);
    }
    if (!f.in.clients.empty() && queues_in_multi(f.in.clients.front())) {
        story.advice.emplace_back(
            "make transactions smaller: Redis keeps every command after MULTI until EXEC or DISCARD"
        );
    } else if (input) {
        story.advice.emplace_back(
            "send fewer large values at once: Redis takes the announced size when it sees the "
            "header"
        );
    } else {
        advise_readers(f, story);
    }
    const ServerVersion version = server_version(s.server);
    if (version.valkey || (version.redis && version.at_least(7, 0))) {
        story.advice.emplace_back(
            "bound all clients together: CONFIG SET maxmemory-clients 20% (it disconnects the "
            "largest)"
        );
    } else if (!input && reads_of(f) == Reads::replies) {
        story.advice.push_back(
            "bound each client: CONFIG SET client-output-buffer-limit \"normal " +
            setting(.1 * f.ceiling) + " 0 0\" (it disconnects those beyond)"
        );
    }
}

std::string against_client_buffers(const Figures& f) {
    if (!f.clients_known) {
        return {};
    }
    return f.clients_shared ? std::string{}
                            : "not client buffers: they hold " + size(f.clients) + ", " +
                                  percent_text(f.share(f.clients));
}

// Of the heaviest client, or of many that are alike.
double held_by_one(const Figures& f) noexcept {
    if (f.in.clients.empty()) {
        return 0;
    }
    const HeavyClient& client = f.in.clients.front();
    return static_cast<double>(
        client.count > 1 && client.alone() ? client.bytes_of_largest
                                           : std::max(client.output_bytes, client.query_bytes)
    );
}

void tell_clients(const Figures& f, Story& story) {
    if (f.in.clients.empty()) {
        return;
    }
    const HeavyClient& client = f.in.clients.front();
    const bool output = client.output_bytes >= client.query_bytes;
    const double held = held_by_one(f);
    if (f.share(held) < .02) {
        return;
    }
    const std::string name = plain(client.name, 32);
    const std::string address = plain(client.address, 48);
    if (client.alone()) {
        story.evidence.push_back(
            "client " + (name.empty() ? name : name + " ") + "at " + address + " holds " +
            size(held) + held_as(client, output)
        );
        story.advice.push_back(
            "free it now: CLIENT KILL ID " + std::to_string(client.id) + "; then see why " +
            (output                    ? "it asks for more than it reads"
             : queues_in_multi(client) ? "it queues so much before EXEC"
                                       : "it sends so much at once")
        );
        return;
    }
    const std::string host = address.substr(0, address.rfind(':'));
    story.evidence.push_back(
        count_text(client.count) + " clients " + (name.empty() ? "at " + host : "named " + name) +
        " together hold " + size(held) +
        (is_crowd(f) ? ", at most " + size(static_cast<double>(client.bytes_of_largest)) + " each"
                     : held_as(client, output))
    );
    if (is_crowd(f)) {
        return;
    }
    story.advice.push_back(
        "see why these " + count_text(client.count) + " clients " +
        (output ? "ask for more than they read" : "send so much at once") +
        "; CLIENT KILL ID frees what one holds, the largest is ID " + std::to_string(client.id) +
        " with " + size(static_cast<double>(client.bytes_of_largest))
    );
}

}  // namespace spillway::policy::words
