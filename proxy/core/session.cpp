// One client and its backend connection, without the sockets: bytes in, bytes out, and what to wait
// for.
#include "proxy/core/session.hpp"

namespace spillway::core {

Session::~Session() {
    requests_.end_hold();
    while (!shared_.ledger.empty()) {
        LedgerRun& run = shared_.ledger.front();
        shared_.context.guard.settle(run.charged, run.lasting);
        shared_.ledger.pop(run.count);
    }
}

}  // namespace spillway::core
