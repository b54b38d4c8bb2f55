// What one session's two lanes share: the ledger, the connection's state, and what each has found
// out for the other.
#include "proxy/core/session_shared.hpp"

#include <utility>

namespace spillway::core {

void SessionShared::settle_growth(
    const policy::GrowthSample& sample, const policy::GrowthReply& reply
) {
    const resp::CommandTable& table = context.commands.table();
    const std::string_view command =
        sample.command < table.count() ? table.at(sample.command).name() : "UNKNOWN";
    context.growth.settle(sample, reply, state.name(), command, context.now);
}

void SessionShared::become_opaque(metrics::OpaqueReason reason, std::string_view server_said) {
    uncertain = true;
    if (std::exchange(opaque, true)) {
        return;
    }
    context.metrics.sessions_opaque[reason].add();
    if (context.opaque_notes.size() < ShardContext::opaque_notes_max) {
        context.opaque_notes.push_back({reason, address, state.name(), std::string(server_said)});
    }
}

// Cold: not one connection in a thousand.
bool SessionShared::still_uncertain() noexcept {
    if (uncertain_until_answered && !opaque && ledger.empty()) {
        uncertain = uncertain_until_answered = false;
    }
    return uncertain;
}

bool SessionShared::forget_replies() {
    bool owed = false;
    while (!ledger.empty()) {
        const LedgerRun& run = ledger.front();
        owed = owed || run.text != nullptr;
        context.guard.settle(run.charged, run.lasting);
        ledger.pop(run.count);
    }
    return owed;
}

}  // namespace spillway::core
