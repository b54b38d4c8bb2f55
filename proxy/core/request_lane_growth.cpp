// What the growth ledger is told of a command that it looks at: its key, what it may add or remove,
// and by which reply that will be known.
#include "policy/growth_model.hpp"
#include "policy/key_pattern.hpp"
#include "proxy/core/judged.hpp"
#include "proxy/core/request_lane.hpp"
#include "resp/word.hpp"

#include <algorithm>
#include <cstring>

namespace spillway::core {
namespace {

class HeadArguments final : public policy::GrowthArguments {
  public:
    explicit HeadArguments(const resp::CommandReader& head) noexcept : head_(head) {}
    [[nodiscard]] std::uint32_t count() const override { return head_.argument_count(); }
    [[nodiscard]] std::uint64_t length(std::uint32_t i) const override {
        return head_.argument_length(i);
    }
    [[nodiscard]] std::string_view text(std::uint32_t i) const override {
        const std::string_view text = head_.argument(i);
        return text.size() == head_.argument_length(i) ? text : std::string_view();
    }
    [[nodiscard]] std::uint64_t bytes() const override { return head_.argument_bytes(); }

  private:
    const resp::CommandReader& head_;
};

// Whether the arguments give the key a TTL. EXPIRE in a second command is not seen here.
bool sets_ttl(const resp::CommandInfo& command, const resp::CommandReader& head) noexcept {
    const std::string_view name = command.name();
    if (name == "SETEX" || name == "PSETEX") {
        return true;
    }
    if (name != "SET" && name != "GETEX" && name != "HSETEX" && name != "MSETEX") {
        return false;
    }
    const std::uint32_t end = std::min<std::uint32_t>(head.arguments_announced(), 10);
    for (std::uint32_t i = 2; i < end; ++i) {
        const std::string_view option = head.argument(i);
        if (resp::is_word(option, "EX") || resp::is_word(option, "PX") ||
            resp::is_word(option, "EXAT") || resp::is_word(option, "PXAT")) {
            return true;
        }
    }
    return false;
}

}  // namespace

void RequestLane::look_at_growth(
    const resp::CommandInfo& command, std::int64_t counted, std::int64_t bound
) {
    ShardContext& context = shared_.context;
    policy::GrowthSample sample;
    sample.stands_for = static_cast<float>(context.growth.draw(counted));
    sample.model = policy::growth_model(command.name(), HeadArguments(reader_), bound);
    if (sample.model.shape == policy::GrowthShape::nothing) {
        return;
    }
    sample.lasting = !sets_ttl(command, reader_);
    sample.command = command.id;
    const bool runs_text = command.growth == resp::Growth::script;
    const auto argument = [this](std::size_t i) {
        return reader_.argument(static_cast<std::uint32_t>(i));
    };
    const auto keys = resp::keys_of(command, reader_.argument_count(), argument);
    const std::size_t first = keys.empty() ? 0 : keys[0];
    name_growth(sample, first, runs_text ? 1 : first);
    settle_or_await(sample);
    if (sample.model.may_move && keys.size() > 1) {
        sample.model.shape = policy::GrowthShape::moves;
        name_growth(sample, keys[1], keys[1]);
        settle_or_await(sample);
    }
}

// The pattern is that of one argument, and another one tells it apart: of a script that is its
// text. 0 = there is none.
void RequestLane::name_growth(policy::GrowthSample& sample, std::size_t shown, std::size_t apart)
    const {
    const std::string_view name =
        shown > 0 ? reader_.argument(static_cast<std::uint32_t>(shown)) : std::string_view();
    const std::string_view pattern =
        policy::key_pattern(name.substr(0, policy::pattern_key_bytes_max), sample.pattern);
    sample.pattern_size = static_cast<std::uint8_t>(pattern.size());
    sample.key = 0;
    const std::string_view key =
        apart > 0 ? reader_.argument(static_cast<std::uint32_t>(apart)) : std::string_view();
    if (key.data() != nullptr &&
        key.size() == reader_.argument_length(static_cast<std::uint32_t>(apart))) {
        sample.key = policy::StringLengths::key_of(key, shared_.state.db());
    }
}

void RequestLane::settle_or_await(const policy::GrowthSample& sample) {
    const bool answered =
        shared_.state.plain() && !shared_.is_uncertain() && !shared_.replies_piped;
    if (!answered || !shared_.ledger.push_sample(sample)) {
        shared_.settle_growth(sample, {});
    }
}

}  // namespace spillway::core
