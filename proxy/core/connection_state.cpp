// What a connection has become: database, user, name, MULTI, CLIENT REPLY; learnt by watching
// commands and their replies.
#include "proxy/core/connection_state.hpp"

#include "resp/number.hpp"
#include "resp/word.hpp"

#include <algorithm>

namespace spillway::core {
namespace {

constexpr std::size_t identity_bytes_max = 256;

std::string cut(std::string_view text) {
    return std::string(text.substr(0, identity_bytes_max));
}

}  // namespace

void ConnectionState::end_multi() noexcept {
    in_multi_ = false;
    queued_charge_ = queued_lasting_ = 0;
}

// HELLO [version [AUTH user password] [SETNAME name]]
ConnectionState::Change ConnectionState::read_hello(const resp::CommandReader& head) {
    Change change;
    change.effect = resp::Effect::hello;
    for (std::uint32_t i = 2; i < head.arguments_announced(); ++i) {
        if (resp::is_word(head.argument(i), "AUTH") && i + 2 < head.arguments_announced()) {
            change.user = cut(head.argument(i + 1));
            i += 2;
        } else if (resp::is_word(head.argument(i), "SETNAME") && i + 1 < head.arguments_announced()) {
            change.name = cut(head.argument(++i));
        }
    }
    return change;
}

bool ConnectionState::sets_limit(const resp::CommandReader& head) {
    constexpr std::string_view limits = "MAXMEMORY";  // -policy and the like too
    const std::uint32_t end = std::min(head.argument_count(), settings_looked_at_max);
    for (std::uint32_t i = 2; i < end; i += 2) {
        if (resp::is_word(head.argument(i).substr(0, limits.size()), limits)) {
            return true;
        }
    }
    return false;
}

bool ConnectionState::on_effect(resp::Effect effect, const resp::CommandReader& head) {
    Change change;
    change.effect = effect;
    switch (effect) {
        case resp::Effect::none:
        case resp::Effect::watch:
        case resp::Effect::unwatch:
        case resp::Effect::one_shot:
            return false;
        case resp::Effect::multi:
            in_multi_ = true;
            return false;
        case resp::Effect::quit:
            quitting_ = true;
            return false;
        case resp::Effect::exec:
        case resp::Effect::discard:
            // With arguments the server refuses it and stays in MULTI.
            if (head.argument_count() == 1) {
                end_multi();
            }
            return false;
        case resp::Effect::limit:
            if (!sets_limit(head)) {
                return false;
            }
            break;
        case resp::Effect::flush:
            break;
        case resp::Effect::reset:
            end_multi();
            reply_off_ = false;  // a SKIP still swallows its answer
            user_ = "default";   // it never fails, so nobody keeps a user's rights behind it
            break;
        case resp::Effect::auth:
            if (in_multi_) {
                return false;  // +QUEUED grants nothing yet
            }
            change.user = head.argument_count() > 2 ? cut(head.argument(1)) : "default";
            break;
        case resp::Effect::hello:
            change = read_hello(head);
            if (in_multi_) {
                change.user.clear();
            }
            break;
        case resp::Effect::select:
            change.db =
                static_cast<std::int32_t>(resp::parse_canonical(head.argument(1)).value_or(0));
            break;
        case resp::Effect::client_setname:
            change.name = cut(head.argument(2));
            break;
        case resp::Effect::client_setinfo:
            change.name =
                resp::is_word(head.argument(2), "LIB-NAME") ? cut(head.argument(3)) : library_;
            break;
    }
    if (!changes_) {
        changes_ = std::make_unique<std::deque<Change>>();
    }
    changes_->push_back(std::move(change));
    return true;
}

const std::string& ConnectionState::name_asked_for() const noexcept {
    if (changes_) {
        for (auto change = changes_->rbegin(); change != changes_->rend(); ++change) {
            if (change->effect == resp::Effect::client_setname ||
                (change->effect == resp::Effect::hello && !change->name.empty())) {
                return change->name;
            }
        }
    }
    return name_;
}

void ConnectionState::on_client_reply(std::string_view argument) {
    if (resp::is_word(argument, "ON")) {
        reply_off_ = false;
        skip_replies_ = 0;  // answered with +OK, even behind a SKIP
    } else if (resp::is_word(argument, "OFF")) {
        reply_off_ = true;
    } else if (resp::is_word(argument, "SKIP") && !reply_off_) {
        skip_replies_ = 2;  // itself and the next
    }
}

void ConnectionState::settle_effect(bool succeeded) {
    if (!changes_ || changes_->empty()) {
        return;
    }
    Change change = std::move(changes_->front());
    changes_->pop_front();
    if (changes_->empty()) {
        changes_.reset();
    }
    if (succeeded) {
        apply(std::move(change));
    }
}

void ConnectionState::settle_unanswered() {
    if (!changes_ || changes_->empty()) {
        return;
    }
    Change change = std::move(changes_->back());
    changes_->pop_back();
    if (changes_->empty()) {
        changes_.reset();
    }
    change.user.clear();
    if (change.effect != resp::Effect::auth) {
        apply(std::move(change));
    }
}

void ConnectionState::apply(Change&& change) {
    switch (change.effect) {
        case resp::Effect::auth:
            user_ = std::move(change.user);
            break;
        case resp::Effect::hello:
            if (!change.user.empty()) {
                user_ = std::move(change.user);
            }
            if (!change.name.empty()) {
                name_ = std::move(change.name);
            }
            break;
        case resp::Effect::select:
            db_ = change.db;
            break;
        case resp::Effect::client_setname:
            name_ = std::move(change.name);
            break;
        case resp::Effect::client_setinfo:
            library_ = std::move(change.name);
            break;
        case resp::Effect::reset:
            name_.clear();
            user_ = "default";
            db_ = 0;
            break;
        default:
            break;
    }
}

}  // namespace spillway::core
