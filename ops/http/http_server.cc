#include "ops/http/http_server.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <cctype>
#include <chrono>
#include <cstdlib>
#include <iterator>
#include <list>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "config/error.h"
#include "config/settings.h"

namespace contimg::ops {
namespace {

namespace beast = boost::beast;
namespace http = beast::http;
using tcp = boost::asio::ip::tcp;

tcp::endpoint ParseListen(const std::string& listen) {
  const std::size_t colon = listen.rfind(':');
  boost::system::error_code error;
  const auto address = boost::asio::ip::make_address(colon == std::string::npos ? "" : ListenAddress(listen), error);
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
  const std::size_t star = pattern.find("/*");
  if (star == std::string::npos) return std::nullopt;
  const std::string before = pattern.substr(0, star + 1), after = pattern.substr(star + 2);
  if (path.size() <= before.size() + after.size() || path.compare(0, before.size(), before) != 0 ||
      path.compare(path.size() - after.size(), after.size(), after) != 0) {
    return std::nullopt;
  }
  std::string tail = path.substr(before.size(), path.size() - before.size() - after.size());
  if (!after.empty() && tail.find('/') != std::string::npos) return std::nullopt;  // one part of the path
  return tail;
}

std::string WithoutSlash(std::string path) {
  if (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

void CheckParameters(const HttpRoute& route, const HttpRequest& request) {
  if (!route.parameters) return;
  for (const auto& [name, value] : request.query) {
    if (std::find(route.parameters->begin(), route.parameters->end(), name) != route.parameters->end()) continue;
    const std::string near = NearestWord(name, *route.parameters);
    throw Error(ErrorKind::kUsage, "http", name,
                fmt::format("{} has no such parameter{}", request.path,
                            near.empty() ? "" : fmt::format(", did you mean '{}'?", near)));
  }
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
  if (allowed.empty() && WithoutSlash(request.path) != request.path) {
    HttpRequest plain = request;
    plain.path = WithoutSlash(request.path);
    return Find(plain, allowed);
  }
  return best;
}

bool HttpRouter::IsSlow(const HttpRequest& request) const {
  std::vector<std::string> allowed;
  const HttpRoute* route = Find(request, allowed);
  return route != nullptr && route->slow;
}

std::string HttpRouter::RouteOf(const HttpRequest& request) const {
  std::vector<std::string> allowed;
  const HttpRoute* route = Find(request, allowed);
  return route == nullptr ? "" : route->path;
}

HttpResponse HttpRouter::Handle(const HttpRequest& request) const {
  std::vector<std::string> allowed;
  if (const HttpRoute* route = Find(request, allowed)) {
    HttpRequest asked = request;
    asked.tail = Tail(route->path, request.path).value_or("");
    const auto problem = [&](int status, const std::string& sentence) {
      return route->page && draw_problem_ ? draw_problem_(status, sentence) : HttpProblem(status, sentence);
    };
    try {
      CheckParameters(*route, request);
      return route->handler(asked);
    } catch (const Error& error) {
      return problem(error.kind() == ErrorKind::kUsage ? 400 : MayPass(error.kind()) ? 503 : 500, error.what());
    } catch (const std::exception& error) {
      return problem(500, error.what());
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

std::string ListenAddress(const std::string& listen) {
  std::string host = listen.substr(0, listen.rfind(':'));
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  return host;
}

bool ListensOpenly(const std::string& listen) {
  boost::system::error_code error;
  const auto address = boost::asio::ip::make_address(ListenAddress(listen), error);
  return !error && address.is_unspecified();
}

bool IsAllowedHost(const std::string& host, const std::vector<std::string>& names) {
  std::string name = host;
  if (!name.empty() && name.front() == '[') {  // [::1]:9110
    const std::size_t end = name.find(']');
    if (end == std::string::npos) return false;
    name = name.substr(1, end - 1);
  } else if (const std::size_t colon = name.find(':'); colon != std::string::npos) {
    name.erase(colon);
  }
  if (!name.empty() && name.back() == '.') name.pop_back();
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
  if (name.empty()) return false;
  boost::system::error_code error;
  boost::asio::ip::make_address(name, error);
  if (!error) return true;
  return std::any_of(names.begin(), names.end(),
                     [&](const std::string& allowed) { return allowed == "*" || allowed == name; });
}

struct HttpServer::Shared {
  HttpServerOptions options;
  Handler handler;
  std::list<Connection*> connections;  // oldest first

  void Rejected(const char* reason) const {
    if (options.on_rejected) options.on_rejected(reason);
  }
};

// One client; keeps itself alive until the last answer. Lives and dies on the io context's thread.
class HttpServer::Connection : public std::enable_shared_from_this<Connection> {
 public:
  enum class Doing { kReading, kAnswering, kWriting, kClosed };

  Connection(tcp::socket socket, std::shared_ptr<Shared> shared)
      : stream_(std::move(socket)), shared_(std::move(shared)) {
    shared_->connections.push_back(this);
    here_ = std::prev(shared_->connections.end());
  }
  ~Connection() { shared_->connections.erase(here_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void Read() {
    parser_.emplace();
    parser_->body_limit(shared_->options.max_request_bytes);
    parser_->header_limit(static_cast<std::uint32_t>(shared_->options.max_request_bytes));
    Begin(Doing::kReading, shared_->options.request_timeout_s);
    http::async_read(stream_, buffer_, *parser_,
                     [self = shared_from_this()](const beast::error_code& error, std::size_t) {
                       if (error) return self->Refuse(error);
                       self->Answer();
                     });
  }
  Doing doing() const { return doing_; }
  std::chrono::steady_clock::time_point since() const { return since_; }
  void Close() {
    doing_ = Doing::kClosed;
    beast::error_code ignored;
    stream_.socket().shutdown(tcp::socket::shutdown_both, ignored);
    stream_.close();
  }

 private:
  // What a handler holds until it answers: whoever drops it, wherever, the connection ends on its own thread.
  struct Ticket {
    explicit Ticket(std::shared_ptr<Connection> of) : connection(std::move(of)) {}
    ~Ticket() {
      auto executor = connection->stream_.get_executor();
      boost::asio::post(executor, [last = std::move(connection), dropped = !answered] {
        if (dropped) last->Close();
      });
    }
    Ticket(const Ticket&) = delete;
    Ticket& operator=(const Ticket&) = delete;
    std::shared_ptr<Connection> connection;
    bool answered = false;
  };

  // The deadline is that of the whole step: a byte now and then does not put it off.
  void Begin(Doing what, double limit_s) {
    doing_ = what;
    since_ = std::chrono::steady_clock::now();
    stream_.expires_after(
        std::chrono::duration_cast<std::chrono::steady_clock::duration>(std::chrono::duration<double>(limit_s)));
  }
  // What is no request that can be answered is told so, where somebody still listens.
  void Refuse(const beast::error_code& error) {
    const beast::error_code limit = http::error::header_limit, body = http::error::body_limit;
    const bool misread = error.category() == limit.category() && error != http::error::end_of_stream &&
                         error != http::error::partial_message;
    if (!misread) return Close();
    doing_ = Doing::kAnswering;
    last_ = true;
    shared_->Rejected(error == body || error == limit ? "too_long" : "malformed");
    if (error == body) return Send(HttpProblem(413, "the body of the request is too long"));
    if (error != limit) return Send(HttpProblem(400, fmt::format("this is no HTTP request: {}", error.message())));
    const auto* read = static_cast<const char*>(buffer_.data().data());
    const bool in_line =
        parser_->get().target().empty() && std::string_view(read, buffer_.size()).find('\n') == std::string_view::npos;
    in_line ? Send(HttpProblem(414, "the address of the request is too long"))
            : Send(HttpProblem(431, "the headers of the request are too long"));
  }
  // Closing with something unread would take the answer away from the one who is still sending.
  void Drain() {
    boost::system::error_code ignored;
    stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
    stream_.expires_after(std::chrono::seconds(2));
    DrainOn();
  }
  void DrainOn() {
    stream_.async_read_some(boost::asio::buffer(drained_),
                            [self = shared_from_this()](const beast::error_code& error, std::size_t) {
                              return error ? self->Close() : self->DrainOn();
                            });
  }
  void Answer() {
    doing_ = Doing::kAnswering;
    stream_.expires_never();  // the answer takes as long as it takes
    const auto& request = parser_->get();
    HttpRequest asked = ParseTarget(std::string(request.method_string()), std::string(request.target()));
    asked.if_none_match = std::string(request[http::field::if_none_match]);
    asked.host = std::string(request[http::field::host]);
    if (request.count(http::field::host) > 1) {
      last_ = true;
      shared_->Rejected("malformed");
      return Send(HttpProblem(400, "a request names one host, and this one names several"));
    }
    const bool without = request.version() < 11 && asked.host.empty();  // HTTP/1.0 knows no Host
    if (!without && !IsAllowedHost(asked.host, shared_->options.allowed_hosts)) {
      shared_->Rejected("host");
      return Send(HttpProblem(
          421, fmt::format("this server does not answer as '{}': ask by address, or add the name to http.allowed_hosts",
                           asked.host)));
    }
    shared_->handler(asked, [ticket = std::make_shared<Ticket>(shared_from_this())](HttpResponse made) {
      if (std::exchange(ticket->answered, true)) return;
      ticket->connection->Send(std::move(made));
    });
  }
  void Send(HttpResponse made) {
    if (doing_ != Doing::kAnswering) return;
    const auto& request = parser_->get();
    response_ = {static_cast<http::status>(made.status), request.version()};
    response_.set(http::field::server, "contimg");
    response_.set(http::field::content_type, made.content_type);
    response_.set(http::field::cache_control, made.cache_control);
    response_.set("X-Content-Type-Options", "nosniff");
    for (const auto& [name, value] : made.headers) response_.set(name, value);
    response_.keep_alive(request.keep_alive() && !last_);
    response_.body() = std::move(made.body);
    held_ = std::move(made.held);
    response_.prepare_payload();
    constexpr double kSlowestBytesPerS = 1e5;
    Begin(Doing::kWriting,
          shared_->options.answer_timeout_s + static_cast<double>(response_.body().size()) / kSlowestBytesPerS);
    if (request.method() == http::verb::head) response_.body().clear();  // the length stays that of the GET
    http::async_write(stream_, response_, [self = shared_from_this()](const beast::error_code& error, std::size_t) {
      const bool goes_on = !error && self->response_.keep_alive();
      self->response_ = {};  // its memory, too
      self->held_.reset();
      if (self->last_ && !error) return self->Drain();
      return goes_on ? self->Read() : self->Close();
    });
  }

  beast::tcp_stream stream_;
  std::shared_ptr<Shared> shared_;
  std::list<Connection*>::iterator here_;
  Doing doing_ = Doing::kReading;
  std::chrono::steady_clock::time_point since_ = std::chrono::steady_clock::now();
  beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  http::response<http::string_body> response_;
  std::shared_ptr<void> held_;  // of the answer under way
  bool last_ = false;           // after it the connection ends, whatever is still sent
  std::array<char, 4096> drained_{};
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

// A place for one more. False: every connection waits for its answer.
bool HttpServer::MakeRoom() {
  if (shared_->connections.size() < shared_->options.max_connections) return true;
  shared_->Rejected("crowded");
  for (const auto doing : {Connection::Doing::kReading, Connection::Doing::kWriting}) {
    Connection* longest = nullptr;
    for (Connection* each : shared_->connections) {
      if (each->doing() == doing && (longest == nullptr || each->since() < longest->since())) longest = each;
    }
    if (longest == nullptr) continue;
    longest->Close();  // it leaves the list when its operation has heard of it
    return true;
  }
  return false;
}

void HttpServer::Accept() {
  acceptor_.async_accept([this](const boost::system::error_code& error, tcp::socket socket) {
    if (error == boost::asio::error::operation_aborted) return;
    if (!error && MakeRoom()) std::make_shared<Connection>(std::move(socket), shared_)->Read();
    if (!error) return Accept();
    // Out of descriptors, most likely: a pause, or the loop would spin.
    auto pause = std::make_shared<boost::asio::steady_timer>(acceptor_.get_executor(), std::chrono::seconds(1));
    pause->async_wait([this, pause](const boost::system::error_code& stopped) {
      if (!stopped && acceptor_.is_open()) Accept();
    });
  });
}

}  // namespace contimg::ops
