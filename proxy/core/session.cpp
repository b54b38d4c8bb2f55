// One client and its backend connection, without the sockets: bytes in, bytes out, and what to wait
// for.
#include "proxy/core/session.hpp"

namespace spillway::core {

Session::~Session() {
    requests_.end_hold();
    (void)shared_.forget_replies();
}

}  // namespace spillway::core
