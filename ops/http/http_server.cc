#include "ops/http/http_server.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "config/error.h"

namespace contimg::ops {
namespace {

namespace beast = boost::beast;
namespace http = beast::http;
using tcp = boost::asio::ip::tcp;

tcp::endpoint ParseListen(const std::string& listen) {
  const std::size_t colon = listen.rfind(':');
  boost::system::error_code error;
  std::string host = colon == std::string::npos ? "" : listen.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  const auto address = boost::asio::ip::make_address(host, error);
  char* end = nullptr;
  const std::string port_text = colon == std::string::npos ? "" : listen.substr(colon + 1);
  const long port = std::strtol(port_text.c_str(), &end, 10);
  if (error || port_text.empty() || *end != '\0' || port < 0 || port > 65535) {
    throw Error(ErrorKind::kUsage, "http", "http.listen",
                fmt::format("expected an address and port like 127.0.0.1:9110 and found '{}'", listen));
  }
  return {address, static_cast<std::uint16_t>(port)};
}

std::string Decode(const std::string& text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+') {
      decoded += ' ';
    } else if (text[i] == '%' && i + 2 < text.size() && std::isxdigit(static_cast<unsigned char>(text[i + 1])) != 0 &&
               std::isxdigit(static_cast<unsigned char>(text[i + 2])) != 0) {
      decoded += static_cast<char>(std::strtol(text.substr(i + 1, 2).c_str(), nullptr, 16));
      i += 2;
    } else {
      decoded += text[i];
    }
  }
  return decoded;
}

HttpResponse Problem(int status, const std::string& sentence) {
  return {status, "application/json",
          nlohmann::json({{"error", sentence}}).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n"};
}

}  // namespace

HttpRequest ParseTarget(const std::string& method, const std::string& target) {
  HttpRequest request;
  request.method = method;
  const std::size_t mark = target.find('?');
  request.path = Decode(target.substr(0, mark));
  if (mark == std::string::npos) return request;
  for (std::size_t at = mark + 1; at <= target.size();) {
    const std::size_t end = std::min(target.find('&', at), target.size());
    const std::string item = target.substr(at, end - at);
    const std::size_t equals = item.find('=');
    if (!item.empty()) {
      request.query[Decode(item.substr(0, equals))] =
          equals == std::string::npos ? "" : Decode(item.substr(equals + 1));
    }
    at = end + 1;
  }
  return request;
}

HttpResponse HttpRouter::Handle(const HttpRequest& request) const {
  const std::string method = request.method == "HEAD" ? "GET" : request.method;
  bool known_path = false;
  for (const HttpRoute& route : routes_) {
    if (route.path != request.path) continue;
    known_path = true;
    if (route.method != method) continue;
    try {
      return route.handler(request);
    } catch (const std::exception& error) {
      return Problem(500, error.what());
    }
  }
  if (known_path) return Problem(405, fmt::format("{} does not allow {}", request.path, request.method));
  return Problem(404, fmt::format("there is nothing at {}", request.path));
}

struct HttpServer::Shared {
  HttpServerOptions options;
  Handler handler;
  std::size_t n_connections = 0;
};

// One client; keeps itself alive until the last answer.
class HttpServer::Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(tcp::socket socket, std::shared_ptr<Shared> shared)
      : stream_(std::move(socket)), shared_(std::move(shared)) {
    ++shared_->n_connections;
  }
  ~Connection() { --shared_->n_connections; }

  void Read() {
    parser_.emplace();
    parser_->body_limit(shared_->options.max_request_bytes);
    parser_->header_limit(static_cast<std::uint32_t>(shared_->options.max_request_bytes));
    StartTimer();
    http::async_read(stream_, buffer_, *parser_,
                     [self = shared_from_this()](const beast::error_code& error, std::size_t) {
                       if (error) return self->Close();
                       self->Answer();
                     });
  }

 private:
  void StartTimer() {
    stream_.expires_after(std::chrono::duration_cast<std::chrono::steady_clock::duration>(
        std::chrono::duration<double>(shared_->options.timeout_s)));
  }
  void Answer() {
    const auto& request = parser_->get();
    const std::string method(request.method_string());
    HttpResponse made = shared_->handler(ParseTarget(method, std::string(request.target())));
    response_ = {static_cast<http::status>(made.status), request.version()};
    response_.set(http::field::server, "contimg");
    response_.set(http::field::content_type, made.content_type);
    response_.set(http::field::cache_control, "no-store");
    response_.keep_alive(request.keep_alive());
    response_.body() = std::move(made.body);
    response_.prepare_payload();
    if (method == "HEAD") response_.body().clear();  // the length stays that of the GET
    StartTimer();
    http::async_write(stream_, response_, [self = shared_from_this()](const beast::error_code& error, std::size_t) {
      if (error || !self->response_.keep_alive()) return self->Close();
      self->Read();
    });
  }
  void Close() {
    beast::error_code ignored;
    stream_.socket().shutdown(tcp::socket::shutdown_both, ignored);
    stream_.close();
  }

  beast::tcp_stream stream_;
  std::shared_ptr<Shared> shared_;
  beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  http::response<http::string_body> response_;
};

HttpServer::HttpServer(boost::asio::io_context& io, const HttpServerOptions& options, Handler handler)
    : acceptor_(io), shared_(std::make_shared<Shared>()) {
  shared_->options = options;
  shared_->handler = std::move(handler);
  const tcp::endpoint endpoint = ParseListen(options.listen);
  try {
    acceptor_.open(endpoint.protocol());
    acceptor_.set_option(tcp::acceptor::reuse_address(true));
    acceptor_.bind(endpoint);
    acceptor_.listen();
  } catch (const boost::system::system_error& error) {
    throw Error(ErrorKind::kIo, "http", options.listen, "cannot listen: " + error.code().message());
  }
  Accept();
}

HttpServer::~HttpServer() { Close(); }

void HttpServer::Close() {
  boost::system::error_code ignored;
  acceptor_.close(ignored);
}

std::uint16_t HttpServer::port() const {
  boost::system::error_code ignored;
  return acceptor_.local_endpoint(ignored).port();
}

void HttpServer::Accept() {
  acceptor_.async_accept([this](const boost::system::error_code& error, tcp::socket socket) {
    if (error == boost::asio::error::operation_aborted) return;
    if (!error && shared_->n_connections < shared_->options.max_connections) {
      std::make_shared<Connection>(std::move(socket), shared_)->Read();
    }
    if (!error) return Accept();
    // Out of descriptors, most likely: a pause, or the loop would spin.
    auto pause = std::make_shared<boost::asio::steady_timer>(acceptor_.get_executor(), std::chrono::seconds(1));
    pause->async_wait([this, pause](const boost::system::error_code& stopped) {
      if (!stopped && acceptor_.is_open()) Accept();
    });
  });
}

}  // namespace contimg::ops
