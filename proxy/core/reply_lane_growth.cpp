// What the replies say to commands that the growth ledger looks at.
#include "proxy/core/reply_lane.hpp"
#include "resp/number.hpp"

#include <algorithm>

namespace spillway::core {
namespace {

// Of a reply that begins here, as far as its first line has come.
policy::GrowthReply first_line_of(std::string_view bytes) noexcept {
    using Kind = policy::GrowthReply::Kind;
    constexpr std::size_t line_bytes_max = 24;
    const std::size_t end = bytes.substr(1, line_bytes_max).find('\r');
    switch (bytes.front()) {
        case '-':
        case '!':
            return {Kind::failed};
        case '_':
            return {Kind::null};
        case ':':
        case '$':
        case '*':
        case '~': {
            const auto number = resp::parse_canonical(bytes.substr(1, end));
            if (!number || end == std::string_view::npos) {  // more of it may be to come
                return {};
            }
            if (bytes.front() == ':') {
                return {Kind::integer, *number};
            }
            if (*number < 0) {
                return {Kind::null};
            }
            return {bytes.front() == '$' ? Kind::bulk : Kind::array, *number};
        }
        default:
            return {Kind::other};
    }
}

}  // namespace

// At the boundary before a reply. Where it cannot be told whose it is, the commands count as if
// they had done what they were sent for.
void ReplyLane::settle_samples(std::string_view bytes) {
    ReplyLedger& ledger = shared_.ledger;
    if (bytes.front() == '>' || bytes.front() == '|' || ledger.front().expect == Expect::local) {
        return;
    }
    const bool certain =
        ledger.front().expect == Expect::reply && !subscriptions_.any() && !shared_.unasked_frames;
    const policy::GrowthReply reply = certain ? first_line_of(bytes) : policy::GrowthReply{};
    while (ledger.awaits_samples() && ledger.before_sample(ended_) == 0) {
        shared_.settle_growth(ledger.front_sample(), reply);
        ledger.pop_sample();
    }
}

}  // namespace spillway::core
