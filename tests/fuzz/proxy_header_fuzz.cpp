// Whatever a client sends first: a fault or a header stays what it is when more comes behind it.
#include "proxy/net/proxy_header.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace {

using namespace spillway;
using State = net::ProxyHeader::State;

void require(bool holds) {
    if (!holds) {
        std::abort();
    }
}

void check(std::string_view input, conf::ProxyProtocol accepted) {
    State before = State::need_more;
    const net::ProxyHeader whole = net::read_proxy_header(input, accepted);
    for (std::size_t size = 0; size <= input.size(); ++size) {
        const net::ProxyHeader part = net::read_proxy_header(input.substr(0, size), accepted);
        require(before == State::need_more || part.state == before);
        require(part.state != State::need_more || size < net::proxy_v2_bytes_max);
        require(part.state != State::failed || !part.problem.empty());
        if (part.state == State::complete) {
            require(part.bytes <= size && part.bytes > 0);
            require(part.bytes == whole.bytes && part.client == whole.client);
        }
        before = part.state;
    }
    require(before == whole.state);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    for (const auto accepted :
         {conf::ProxyProtocol::v1, conf::ProxyProtocol::v2, conf::ProxyProtocol::any}) {
        check(input.substr(0, 2 * net::proxy_v2_bytes_max), accepted);
    }
    return 0;
}
