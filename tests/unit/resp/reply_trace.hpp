// Drives a ReplyReader over pieces of input and writes down, one line an event, what it says and
// where.
#pragma once

#include "resp/reply_reader.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace spillway::resp::test {

// Lines, with the number of bytes taken so far behind the event's name:
//   reply 5 +                        type byte
//   reply 40 * subscribe 1           of '*' and '>': first string and last integer
//   push 40 > message 0
//   reply 20 - "ERR no"              of errors: the line
//   reply 20 * queued 0 last "ERR"   ended_with_nested_error()
//   line_ending 17 "ERR no"
//   nested_error 17 "ERR no"
//   unfollowable 3
class ReplyTrace {
  public:
    void feed(std::string_view piece) {
        // In a place of its own, so that the address sanitizer sees a step too far.
        const std::vector<char> place(piece.begin(), piece.end());
        std::string_view rest(place.data(), place.size());
        int idle_steps = 0;
        while (!rest.empty() && !lost_ && idle_steps < 2) {
            foretell(rest);
            const ReplyReader::Step step = reader_.read(rest);
            expect(step.consumed <= rest.size(), "no more is consumed than there is");
            idle_steps = step.consumed == 0 ? idle_steps + 1 : 0;
            taken_ += step.consumed;
            rest.remove_prefix(std::min(step.consumed, rest.size()));
            note(step.event);
            check_foretold(step.event);
            if (step.event == ReplyEvent::need_more) {
                expect(rest.empty(), "need_more takes all bytes");
                break;
            }
        }
        expect(idle_steps < 2, "only one event in a row takes nothing");
        expect(reader_.error_line().size() <= error_line_bytes_max, "a bounded error line");
        expect(reader_.frame_kind().size() <= frame_kind_bytes_max, "a bounded frame kind");
    }

    [[nodiscard]] const std::vector<std::string>& lines() const { return lines_; }
    [[nodiscard]] bool at_boundary() const { return reader_.at_boundary(); }
    [[nodiscard]] bool lost() const { return lost_; }
    // Bytes of ended replies and pushes.
    [[nodiscard]] std::size_t settled() const { return settled_; }
    // The first thing that broke a promise of the reader's header; empty when none did.
    [[nodiscard]] const std::string& broken_promise() const { return broken_promise_; }

  private:
    // skip_plain() must say what read() then finds, reply by reply.
    void foretell(std::string_view rest) {
        if (plain_left_ > 0 || !reader_.at_boundary()) {
            return;
        }
        aggregates_ = !aggregates_;
        const auto [count, size] = reader_.skip_plain(rest, 1000, aggregates_);
        expect(
            size <= rest.size() && (count == 0) == (size == 0), "skip_plain takes what it counts"
        );
        plain_left_ = count;
        plain_end_ = taken_ + size;
    }
    void check_foretold(ReplyEvent event) {
        if (plain_left_ == 0) {
            return;
        }
        --plain_left_;
        expect(
            event == ReplyEvent::reply && !reader_.is_error() && !reader_.ended_with_nested_error(),
            "what is skipped is a reply without an error"
        );
        const std::string_view left_alone = aggregates_ ? ">|" : "*%~>|";
        expect(
            left_alone.find(reader_.type()) == std::string_view::npos,
            "aggregates are skipped where that is asked for"
        );
        expect(plain_left_ > 0 || taken_ == plain_end_, "skip_plain ends where the replies end");
    }

    void note(ReplyEvent event) {
        switch (event) {
            case ReplyEvent::need_more:
                return;
            case ReplyEvent::line_ending:
                expect(!reader_.at_boundary(), "an error line ends before its reply");
                add("line_ending", quoted_error());
                return;
            case ReplyEvent::nested_error:
                expect(!reader_.at_boundary(), "a nested error ends before its reply");
                add("nested_error", quoted_error());
                return;
            case ReplyEvent::reply:
            case ReplyEvent::push:
                expect(reader_.at_boundary(), "a reply ends at a boundary");
                expect(
                    (event == ReplyEvent::push) == (reader_.type() == '>'), "a push has its type"
                );
                settled_ = taken_;
                add(event == ReplyEvent::push ? "push" : "reply", ended_value());
                return;
            case ReplyEvent::unfollowable:
                lost_ = true;
                add("unfollowable", "");
                return;
        }
    }

    [[nodiscard]] std::string ended_value() {
        std::string text(1, reader_.type());
        expect(
            reader_.is_error() == (text == "-" || text == "!"),
            "errors are those with an error's type"
        );
        expect(
            reader_.type() != ':' || reader_.last_integer() == 0, "an integer is none inside itself"
        );
        if (reader_.is_error()) {
            text += " " + quoted_error();
        }
        if (reader_.type() == '*' || reader_.type() == '>') {
            text += " " + std::string(reader_.frame_kind()) + " " +
                    std::to_string(reader_.last_integer());
        }
        if (reader_.ended_with_nested_error()) {
            text += " last " + quoted_error();
        }
        return text;
    }

    [[nodiscard]] std::string quoted_error() const {
        return '"' + std::string(reader_.error_line()) + '"';
    }

    void add(std::string_view event, const std::string& what) {
        lines_.push_back(
            std::string(event) + " " + std::to_string(taken_) + (what.empty() ? "" : " ") + what
        );
    }

    void expect(bool kept, std::string_view promise) {
        if (!kept && broken_promise_.empty()) {
            broken_promise_ = promise;
        }
    }

    ReplyReader reader_;
    std::vector<std::string> lines_;
    std::size_t taken_ = 0;
    std::size_t settled_ = 0;
    std::uint64_t plain_left_ = 0;  // replies that skip_plain() foretold …
    std::size_t plain_end_ = 0;     // … and where they end
    bool aggregates_ = false;       // every other time
    std::string broken_promise_;
    bool lost_ = false;
};

}  // namespace spillway::resp::test
