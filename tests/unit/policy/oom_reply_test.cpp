// Holds the classifier to every text by which known servers say that they are out of memory, and to
// texts that only look so.
#include "policy/oom_reply.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace spillway::policy {
namespace {

constexpr std::string_view plain = "OOM command not allowed when used memory > 'maxmemory'.";

std::optional<OomForm> top(std::string_view line) {
    return classify_error(line, ErrorPlace::top_level);
}

TEST(OomReply, ThePlainTextTakesTheFormOfItsPlace) {
    EXPECT_EQ(classify_error(plain, ErrorPlace::top_level), OomForm::top_level);
    EXPECT_EQ(classify_error(plain, ErrorPlace::in_exec), OomForm::in_exec);
    EXPECT_EQ(classify_error(plain, ErrorPlace::in_array), OomForm::in_array);
}

TEST(OomReply, AnnotatedByAnotherSpillwayItIsStillPlain) {
    EXPECT_EQ(
        top(std::string(plain) + " [spillway cause=noeviction-at-ceiling policy=noeviction]"),
        OomForm::top_level
    );
}

TEST(OomReply, ScriptsDecorateIt) {
    const std::string sha = "d0d2a5c4e7f0b8a1c3d4e5f60718293a4b5c6d7e";
    const std::vector<std::string> decorated = {
        std::string(plain) + " script: " + sha + ", on @user_script:1.",     // 7.0 and later
        std::string(plain) + " script: my_function, on @user_function:12.",  // FCALL
        std::string(plain) + " script: on @user_script:1.",                  // Valkey 9.1
        "ERR Error running script (call to f_" + sha + "): @user_script:1: @user_script: 1: -" +
            std::string(plain),
        "@user_script: 1: -" + std::string(plain),  // 6.2, a pcall's error returned
    };
    for (const auto& line : decorated) {
        EXPECT_EQ(top(line), OomForm::in_script) << line;
        EXPECT_EQ(classify_error(line, ErrorPlace::in_array), OomForm::in_script) << line;
        EXPECT_EQ(classify_error(line, ErrorPlace::in_exec), OomForm::in_exec) << line;
    }
}

TEST(OomReply, AScriptWithoutItsFlagIsTold) {
    const std::string_view line =
        "OOM allow-oom flag is not set on the script, can not run it when used memory > "
        "'maxmemory'";
    EXPECT_EQ(top(line), OomForm::script_denied);
    EXPECT_EQ(classify_error(line, ErrorPlace::in_exec), OomForm::script_denied);
}

TEST(OomReply, ATransactionIsDiscardedForMemoryOrForOtherReasons) {
    EXPECT_EQ(
        top("EXECABORT Transaction discarded because of: " + std::string(plain)),
        OomForm::exec_abort
    );
    EXPECT_EQ(top("EXECABORT Transaction discarded because of previous errors."), std::nullopt);
    EXPECT_EQ(
        top("EXECABORT Transaction discarded because of: NOREPLICAS Not enough good replicas to "
            "write."),
        std::nullopt
    );
}

TEST(OomReply, ServicesHaveWordsOfTheirOwn) {
    EXPECT_EQ(top("OOM command not allowed under OOM prevention."), OomForm::provider);
    EXPECT_EQ(top("Out of memory"), OomForm::provider);
    EXPECT_EQ(top("ERR Out of memory"), OomForm::provider);
    EXPECT_EQ(
        top("OOM write refused, used memory is above the limit of the plan"), OomForm::provider
    );
}

TEST(OomReply, WhatAScriptMakesUpIsNoOom) {
    EXPECT_EQ(top("OOM x"), std::nullopt);
    EXPECT_EQ(top("OOM out of my mind script: d0d2, on @user_script:1."), std::nullopt);
    EXPECT_EQ(top("OOM"), std::nullopt);
    EXPECT_EQ(top("OOMPH command not allowed"), std::nullopt);
    EXPECT_EQ(top("ERR Error running script (call to f_0): @user_script:1: OOM x"), std::nullopt);
    EXPECT_EQ(top("@user_script: 1: -OOM x"), std::nullopt);
}

// The memory is that of the target, not of the server that answers: no incident of this backend.
TEST(OomReply, AFullTargetOfMigrateIsAnotherServersMatter) {
    EXPECT_EQ(top("ERR Target instance replied with error: " + std::string(plain)), std::nullopt);
}

TEST(OomReply, ARefusalByAnotherSpillwayIsNotTheServers) {
    EXPECT_EQ(
        top("OOM spillway refused this write: near-ceiling (policy noeviction, priority normal)"),
        std::nullopt
    );
}

TEST(OomReply, OrdinaryErrorsFailTheFirstLook) {
    for (const std::string_view line :
         {"",
          "E",
          "ERR",
          "ERR syntax error",
          "ERR unknown command 'OOM '",
          "WRONGTYPE Operation against a key",
          "MOVED 3999 127.0.0.1:6381",
          "NOSCRIPT No matching script.",
          "READONLY You can't write",
          "LOADING Redis is loading",
          "NOAUTH Authentication required.",
          "-OOM command not allowed",
          "ASK 1 h:1",
          "BUSY x",
          "oom command not allowed"}) {
        EXPECT_FALSE(may_be_oom(line)) << line;
        EXPECT_EQ(top(line), std::nullopt) << line;
    }
}

// Whatever is an OOM passes the first look, at every length: a line may be cut.
TEST(OomReply, CutsNeitherFailNorInvent) {
    const std::string full = "EXECABORT Transaction discarded because of: " + std::string(plain);
    for (std::size_t size = 0; size <= full.size(); ++size) {
        const auto form = top(std::string_view(full).substr(0, size));
        EXPECT_TRUE(!form || *form == OomForm::exec_abort);
        EXPECT_EQ(
            form.has_value(),
            size >= std::string_view("EXECABORT Transaction discarded because of: OOM ").size()
        );
    }
}

}  // namespace
}  // namespace spillway::policy
