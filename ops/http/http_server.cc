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

// A plus is a space in queries only.
std::string Decode(const std::string& text, bool in_query) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && in_query) {
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

// What `pattern` leaves of the path; nothing when it does not fit.
std::optional<std::string> Tail(const std::string& pattern, const std::string& path) {
  if (pattern == path) return "";
  if (pattern.size() < 2 || pattern.compare(pattern.size() - 2, 2, "/*") != 0) return std::nullopt;
  const std::size_t n_prefix = pattern.size() - 1;
  if (path.size() <= n_prefix || path.compare(0, n_prefix, pattern, 0, n_prefix) != 0) return std::nullopt;
  return path.substr(n_prefix);
}

}  // namespace

HttpResponse HttpProblem(int status, const std::string& sentence) {
  HttpResponse response;
  response.status = status;
  response.body =
      nlohmann::json({{"error", sentence}}).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  return response;
}

HttpRequest ParseTarget(const std::string& method, const std::string& target) {
  HttpRequest request;
  request.method = method;
  const std::size_t mark = target.find('?');
  request.path = Decode(target.substr(0, mark), false);
  if (mark == std::string::npos) return request;
  for (std::size_t at = mark + 1; at <= target.size();) {
    const std::size_t end = std::min(target.find('&', at), target.size());
    const std::string item = target.substr(at, end - at);
    const std::size_t equals = item.find('=');
    if (!item.empty()) {
      request.query[Decode(item.substr(0, equals), true)] =
          equals == std::string::npos ? "" : Decode(item.substr(equals + 1), true);
    }
    at = end + 1;
  }
  return request;
}

const HttpRoute* HttpRouter::Find(const HttpRequest& request, std::vector<std::string>& allowed) const {
  const std::string method = request.method == "HEAD" ? "GET" : request.method;
  const HttpRoute* best = nullptr;
  const auto rank = [&](const HttpRoute& route) {
    return route.path == request.path ? std::string::npos : route.path.size();
  };
  for (const HttpRoute& route : routes_) {
    if (!Tail(route.path, request.path)) continue;
    allowed.push_back(route.method);
    if (route.method == method && (best == nullptr || rank(route) > rank(*best))) best = &route;
  }
  return best;
}

bool HttpRouter::IsSlow(const HttpRequest& request) const {
  std::vector<std::string> allowed;
  const HttpRoute* route = Find(request, allowed);
  return route != nullptr && route->slow;
}

HttpResponse HttpRouter::Handle(const HttpRequest& request) const {
  std::vector<std::string> allowed;
  if (const HttpRoute* route = Find(request, allowed)) {
    HttpRequest asked = request;
    asked.tail = *Tail(route->path, request.path);
    try {
      return route->handler(asked);
    } catch (const Error& error) {
      return HttpProblem(error.kind() == ErrorKind::kUsage ? 400 : 500, error.what());
    } catch (const std::exception& error) {
      return HttpProblem(500, error.what());
    }
  }
  if (allowed.empty()) return HttpProblem(404, fmt::format("there is nothing at {}", request.path));
  HttpResponse refused = HttpProblem(405, fmt::format("{} does not allow {}", request.path, request.method));
  if (std::find(allowed.begin(), allowed.end(), "GET") != allowed.end()) allowed.emplace_back("HEAD");
  std::sort(allowed.begin(), allowed.end());
  allowed.erase(std::unique(allowed.begin(), allowed.end()), allowed.end());
  refused.headers.emplace_back("Allow", fmt::format("{}", fmt::join(allowed, ", ")));
  return refused;
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
    HttpRequest asked = ParseTarget(std::string(request.method_string()), std::string(request.target()));
    asked.if_none_match = std::string(request[http::field::if_none_match]);
    stream_.expires_never();  // the answer takes as long as it takes
    shared_->handler(asked, [self = shared_from_this()](HttpResponse made) { self->Send(std::move(made)); });
  }
  void Send(HttpResponse made) {
    const auto& request = parser_->get();
    response_ = {static_cast<http::status>(made.status), request.version()};
    response_.set(http::field::server, "contimg");
    response_.set(http::field::content_type, made.content_type);
    response_.set(http::field::cache_control, made.cache_control);
    response_.set("X-Content-Type-Options", "nosniff");
    for (const auto& [name, value] : made.headers) response_.set(name, value);
    response_.keep_alive(request.keep_alive());
    response_.body() = std::move(made.body);
    held_ = std::move(made.held);
    response_.prepare_payload();
    if (request.method() == http::verb::head) response_.body().clear();  // the length stays that of the GET
    StartTimer();
    http::async_write(stream_, response_, [self = shared_from_this()](const beast::error_code& error, std::size_t) {
      const bool goes_on = !error && self->response_.keep_alive();
      self->response_ = {};  // its memory, too
      self->held_.reset();
      return goes_on ? self->Read() : self->Close();
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
  std::shared_ptr<void> held_;  // of the answer under way
};

void CheckListen(const std::string& listen) { ParseListen(listen); }

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
