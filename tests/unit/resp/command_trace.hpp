// Drives a CommandReader over pieces of input as a session does, and writes down what it says.
#pragma once

#include "resp/command_reader.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace spillway::resp::test {

struct SeenArgument {
    std::string text;  // as far as it lay in the window at the head
    std::uint64_t length = 0;
};

struct SeenCommand {
    std::uint32_t count = 0;
    std::vector<SeenArgument> arguments;  // those whose text and length were kept
    std::uint32_t announced = 0;
    std::uint64_t argument_bytes = 0;  // announced in head and body
    std::uint64_t largest_bytes = 0;   // announced in the head
    std::size_t begin = 0;             // in the input
    std::size_t head_size = 0;
    std::size_t size = 0;
};

enum class InputEnd : std::uint8_t { boundary, head, body, malformed };

class CommandTrace {
  public:
    void feed(std::string_view piece) {
        window_.insert(window_.end(), piece.begin(), piece.end());
        while (!malformed_ && !window_.empty() && step()) {
        }
    }

    // Commands that have ended.
    [[nodiscard]] const std::vector<SeenCommand>& commands() const { return commands_; }
    // The command whose head was given and whose body has not ended.
    [[nodiscard]] const std::optional<SeenCommand>& open() const { return open_; }
    [[nodiscard]] std::size_t blanks() const { return blanks_; }
    // Bytes that belong to ended commands and to blanks.
    [[nodiscard]] std::size_t settled() const { return settled_; }
    // The first thing that broke a promise of the reader's header; empty when none did.
    [[nodiscard]] const std::string& broken_promise() const { return broken_promise_; }

    [[nodiscard]] InputEnd end() const {
        if (malformed_) {
            return InputEnd::malformed;
        }
        if (open_) {
            return InputEnd::body;
        }
        return window_.empty() ? InputEnd::boundary : InputEnd::head;
    }

  private:
    // False when the reader wants more.
    bool step() {
        // In a place of its own and of its exact size, so that the address sanitizer sees a step
        // too far.
        const std::vector<char> place(window_);
        const std::string_view window(place.data(), place.size());
        return reader_.in_body() ? step_in_body(window) : step_in_head(window);
    }

    bool step_in_head(std::string_view window) {
        switch (reader_.read_head(window)) {
            case HeadResult::need_more:
                expect(window.size() <= window_bytes_max, "no more is kept than the bound");
                return false;
            case HeadResult::malformed:
                malformed_ = true;
                return false;
            case HeadResult::blank:
                expect(!reader_.in_body(), "a blank has no body");
                ++blanks_;
                take(reader_.consumed());
                settled_ = taken_;
                return true;
            case HeadResult::head:
                break;
        }
        open_ = note_head();
        take(open_->head_size);
        if (!reader_.in_body()) {
            end_command();
        }
        return true;
    }

    bool step_in_body(std::string_view bytes) {
        const std::size_t read = reader_.read_body(bytes);
        take(read);
        open_->argument_bytes += reader_.take_late_bytes();
        if (reader_.body_malformed()) {
            expect(!reader_.in_body(), "a malformed body is left");
            malformed_ = true;
            return false;
        }
        if (reader_.in_body()) {
            expect(read == bytes.size(), "a body that goes on takes all bytes");
            return false;
        }
        end_command();
        return true;
    }

    SeenCommand note_head() {
        SeenCommand command;
        command.count = reader_.argument_count();
        command.announced = reader_.arguments_announced();
        command.argument_bytes = reader_.argument_bytes();
        command.largest_bytes = reader_.largest_argument_bytes();
        command.begin = taken_;
        command.head_size = reader_.consumed();
        expect(command.count >= 1, "a command has a name");
        expect(command.announced >= 1, "the name's length is announced");
        expect(command.announced <= command.count, "no more is announced than there is");
        for (std::uint32_t i = 0; i < command.announced && i < arguments_kept_max; ++i) {
            const std::string_view text = reader_.argument(i);
            expect(text.data() != nullptr, "an announced argument has a place");
            expect(text.size() <= reader_.argument_length(i), "no text is longer than its length");
            command.arguments.push_back({std::string(text), reader_.argument_length(i)});
        }
        for (const std::size_t beyond : {std::size_t{command.announced}, arguments_kept_max}) {
            const auto i = static_cast<std::uint32_t>(beyond);
            if (beyond >= command.announced || beyond >= arguments_kept_max) {
                expect(reader_.argument(i).data() == nullptr, "what is not kept has no place");
                expect(reader_.argument_length(i) == 0, "what is not kept has no length");
            }
        }
        return command;
    }

    void end_command() {
        open_->size = taken_ - open_->begin;
        settled_ = taken_;
        commands_.push_back(*std::exchange(open_, std::nullopt));
    }

    void take(std::size_t size) {
        expect(size > 0, "every step takes something");
        expect(size <= window_.size(), "no more is consumed than there is");
        size = std::min(size, window_.size());
        window_.erase(window_.begin(), window_.begin() + static_cast<std::ptrdiff_t>(size));
        taken_ += size;
    }

    void expect(bool kept, std::string_view promise) {
        if (!kept && broken_promise_.empty()) {
            broken_promise_ = promise;
        }
    }

    CommandReader reader_;
    std::vector<char> window_;  // begins at a command, or in its body
    std::vector<SeenCommand> commands_;
    std::optional<SeenCommand> open_;
    std::size_t blanks_ = 0;
    std::size_t taken_ = 0;
    std::size_t settled_ = 0;
    std::string broken_promise_;
    bool malformed_ = false;
};

// What two heads of one command must agree on, however much of it had arrived: empty when they do.
// A head may know more of its last argument, or of more arguments, than another; what both know is
// the same.
inline std::string disagreement(const SeenCommand& a, const SeenCommand& b) {
    if (a.count != b.count) {
        return "argument count";
    }
    const std::size_t both = std::min(a.arguments.size(), b.arguments.size());
    for (std::size_t i = 0; i < both; ++i) {
        const std::string& x = a.arguments[i].text;
        const std::string& y = b.arguments[i].text;
        const std::size_t shared = std::min(x.size(), y.size());
        if (a.arguments[i].length != b.arguments[i].length) {
            return "length of an argument";
        }
        if (x.compare(0, shared, y, 0, shared) != 0) {
            return "text of an argument";
        }
    }
    return {};
}

// The same for two traces of one input.
inline std::string disagreement(const CommandTrace& a, const CommandTrace& b) {
    // Whether an unfinished command has given its head depends on how much of it came at once.
    const auto ending = [](InputEnd end) { return end == InputEnd::body ? InputEnd::head : end; };
    if (ending(a.end()) != ending(b.end())) {
        return "how the input ends";
    }
    if (a.commands().size() != b.commands().size() || a.blanks() != b.blanks()) {
        return "number of commands";
    }
    if (a.settled() != b.settled()) {
        return "where the last command ends";
    }
    for (std::size_t i = 0; i < a.commands().size(); ++i) {
        const SeenCommand& x = a.commands()[i];
        const SeenCommand& y = b.commands()[i];
        if (x.begin != y.begin || x.size != y.size) {
            return "where a command stands";
        }
        if (x.argument_bytes != y.argument_bytes) {
            return "sum of the argument bytes";
        }
        if (const std::string what = disagreement(x, y); !what.empty()) {
            return what;
        }
    }
    return {};
}

}  // namespace spillway::resp::test
