// docs/diagnosis.md lists the causes as the program explains them.
#include "policy/diagnose_meaning.hpp"

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include <gtest/gtest.h>

namespace spillway::policy {
namespace {

std::string table() {
    std::string text = "\n| cause | when | what it means |\n|---|---|---|\n";
    for (std::size_t i = 0; i < cause_names.size(); ++i) {
        const CauseMeaning& meaning = meaning_of(static_cast<Cause>(i));
        text.append("| `").append(cause_names[i]).append("` | ").append(meaning.when);
        text.append(" | ").append(meaning.plain).append(" |\n");
    }
    return text + "\n";
}

TEST(CausesPage, ShowsEveryCause) {
    const std::string path = "docs/diagnosis.md";
    std::ifstream file(path);
    std::string page{std::istreambuf_iterator<char>(file), {}};
    const std::size_t begin = page.find("-->\n", page.find("<!-- causes")) + 4;
    const std::size_t end = page.find("<!-- end of causes -->");
    ASSERT_LE(begin, end);
    if (std::getenv("SPILLWAY_RENEW_DOCS") != nullptr) {
        page.replace(begin, end - begin, table());
        std::ofstream(path) << page;
        return;
    }
    EXPECT_EQ(page.substr(begin, end - begin), table())
        << "SPILLWAY_RENEW_DOCS=1 ctest --preset dev -R CausesPage";
}

TEST(CausesPage, EachMeaningIsOfItsCause) {
    for (std::size_t i = 0; i < cause_names.size(); ++i) {
        EXPECT_EQ(static_cast<std::size_t>(meaning_of(static_cast<Cause>(i)).cause), i);
    }
}

}  // namespace
}  // namespace spillway::policy
