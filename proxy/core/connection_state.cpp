// What a connection has become: database, user, name, MULTI, CLIENT REPLY; learnt by watching
// commands and their replies.
#include "proxy/core/connection_state.hpp"

#include "resp/number.hpp"
#include "resp/word.hpp"

#include <algorithm>
#include <utility>

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
    queued_removal_ = queued_auth_ = false;
    queued_.clear();
    queued_.shrink_to_fit();
}

bool ConnectionState::await(Change&& change) {
    if (!changes_) {
        changes_ = std::make_unique<std::deque<Change>>();
    }
    changes_->push_back(std::move(change));
    return true;
}

// +QUEUED changes nothing yet. Of more changes than anybody makes in one transaction the first
// count.
void ConnectionState::queue_change(Change&& change) {
    if (queued_.size() < queued_changes_max) {
        queued_.push_back(std::move(change));
    }
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

void ConnectionState::begin_reset() noexcept {
    end_multi();
    reply_off_ = false;  // a SKIP still swallows its answer
    user_ = "default";   // it never fails, so nobody keeps a user's rights behind it
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
            in_multi_ = in_multi_ || head.argument_count() == 1;
            return false;
        case resp::Effect::quit:
            quitting_ = true;
            return false;
        case resp::Effect::exec:
            if (head.argument_count() != 1) {
                return false;  // the server refuses it and stays in MULTI
            }
            change.queued = std::exchange(queued_, {});
            end_multi();
            return !change.queued.empty() && await(std::move(change));
        case resp::Effect::discard:
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
            if (head.argument_count() != 1) {
                return false;
            }
            begin_reset();
            break;
        case resp::Effect::auth:
            change.user = head.argument_count() > 2 ? cut(head.argument(1)) : "default";
            break;
        case resp::Effect::hello:
            change = read_hello(head);
            if (in_multi_) {
                queue_change(std::move(change));
                return await({.effect = effect, .user = {}, .name = {}, .db = 0, .queued = {}});
            }
            break;
        case resp::Effect::select:
            selected_in_multi_ = in_multi_;
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
    if (in_multi_) {
        queue_change(std::move(change));
        return false;
    }
    return await(std::move(change));
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

ConnectionState::ServerChange ConnectionState::settle_effect(bool succeeded) {
    ServerChange of_server;
    if (!changes_ || changes_->empty()) {
        return of_server;
    }
    Change change = std::move(changes_->front());
    changes_->pop_front();
    if (changes_->empty()) {
        changes_.reset();
    }
    if (succeeded) {
        apply(std::move(change), of_server);
    }
    return of_server;
}

ConnectionState::ServerChange ConnectionState::settle_unanswered() {
    ServerChange of_server;
    if (!changes_ || changes_->empty()) {
        return of_server;
    }
    Change change = std::move(changes_->back());
    changes_->pop_back();
    if (changes_->empty()) {
        changes_.reset();
    }
    std::erase_if(change.queued, [](const Change& queued) {
        return queued.effect == resp::Effect::auth;
    });
    for (Change& queued : change.queued) {
        queued.user.clear();
    }
    change.user.clear();
    if (change.effect != resp::Effect::auth) {
        apply(std::move(change), of_server);
    }
    return of_server;
}

void ConnectionState::apply(Change&& change, ServerChange& of_server) {
    switch (change.effect) {
        case resp::Effect::exec:
            for (Change& queued : change.queued) {
                apply(std::move(queued), of_server);  // none of them is an EXEC
            }
            break;
        case resp::Effect::limit:
            of_server.limit = true;
            break;
        case resp::Effect::flush:
            of_server.flushed = true;
            break;
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
