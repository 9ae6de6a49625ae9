// A small HTTP/1.1 server on the daemon's own io context (Boost.Beast). Handlers are functions Request → Response, so
// they can be tested without a socket. Those that may take long (databases, files) are marked `slow`; the daemon runs
// them on a thread of its own (ops/http/work_thread.h) and its loop goes on.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace contimg::ops {

struct HttpRequest {
  std::string method;                        // "GET"…
  std::string path;                          // "/api/v1/status", decoded, without the query
  std::map<std::string, std::string> query;  // decoded
  std::string tail;                          // what stands in the place of a route's "*"
  std::string if_none_match;                 // header of this name
  std::string host;                          // header of this name, as it was sent

  // A parameter of the query; empty when it is not there.
  std::string Parameter(const std::string& name) const {
    const auto found = query.find(name);
    return found == query.end() ? "" : found->second;
  }
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::string cache_control = "no-store";
  std::vector<std::pair<std::string, std::string>> headers = {};  // further ones
  std::shared_ptr<void> held = {};                                // let go when the answer has been sent, or cannot be
};

// One line of the router: method and path, exact, with "/*" at its end for everything below it, or with "/*/"
// within it for one part of the path.
struct HttpRoute {
  std::string method, path, help;
  std::function<HttpResponse(const HttpRequest&)> handler;
  bool slow = false;  // not to be run on the daemon's loop
  // The names that its query may hold; any other is a mistyped one, and gets 400. Nothing: whatever comes.
  std::optional<std::vector<std::string>> parameters = std::nullopt;
  bool page = false;  // for people: its problems are pages, too
};

// A failure as a JSON object with one sentence.
HttpResponse HttpProblem(int status, const std::string& sentence);

class HttpRouter {
 public:
  // A problem in the form of a page.
  using ProblemPage = std::function<HttpResponse(int status, const std::string& sentence)>;
  void Add(HttpRoute route) { routes_.push_back(std::move(route)); }
  void DrawProblems(ProblemPage draw) { draw_problem_ = std::move(draw); }
  // 404 for unknown paths, 405 for wrong methods; with one sentence when a handler throws: 400 for Error{kUsage}, 503
  // for what may pass (io, busy, resource), else 500.
  // HEAD counts as GET. An exact path goes before one with "*", a longer one of these before a shorter one; "/a/"
  // is "/a" where nothing is below it.
  HttpResponse Handle(const HttpRequest& request) const;
  bool IsSlow(const HttpRequest& request) const;
  // The path of the route that answers: "/api/v1/groups/*"; empty: none does.
  std::string RouteOf(const HttpRequest& request) const;
  const std::vector<HttpRoute>& routes() const { return routes_; }

 private:
  const HttpRoute* Find(const HttpRequest& request, std::vector<std::string>& allowed) const;
  std::vector<HttpRoute> routes_;
  ProblemPage draw_problem_;
};

struct HttpServerOptions {
  std::string listen = "127.0.0.1:9110";  // address:port; port 0: any free one
  // A newcomer beyond these takes the place of the one that has kept silent for longest, else of the one that has been
  // taking its answer for longest; connections whose answer is being made are left alone.
  std::size_t max_connections = 64;
  double request_timeout_s = 5;  // for a whole request, from the connection or the last answer on
  double answer_timeout_s = 10;  // for taking an answer, and a second more for each 100 kB of it
  std::size_t max_request_bytes = std::size_t{64} * 1024;
  // Names that the header Host may hold besides addresses (which no foreign page can bind to this server); any other
  // request gets 421. Lower case, without port; "*": any name.
  std::vector<std::string> allowed_hosts = {"localhost"};
  // Told of what no handler sees: requests that are "malformed" (400), "too_long" (413, 414, 431) or for another "host"
  // (421), and connections that are closed for want of room ("crowded").
  std::function<void(const char* reason)> on_rejected = nullptr;
};

// True when `host` (a Host header, perhaps with a port) is an address or one of the names. An empty one is not.
bool IsAllowedHost(const std::string& host, const std::vector<std::string>& names);

// The address part of "address:port", without brackets.
std::string ListenAddress(const std::string& listen);
// True for 0.0.0.0 and ::, which are all addresses of the machine.
bool ListensOpenly(const std::string& listen);

class HttpServer {
 public:
  // Answers by calling the reply once, at once or later, on the io context's thread. It may be dropped on any thread;
  // the connection is closed when that happens without an answer.
  using Reply = std::function<void(HttpResponse)>;
  using Handler = std::function<void(const HttpRequest&, Reply)>;
  // Binds and listens; throws Error{kUsage} for a bad address and Error{kIo} when the port is taken.
  HttpServer(boost::asio::io_context& io, const HttpServerOptions& options, Handler handler);
  ~HttpServer();
  std::uint16_t port() const;
  void Close();

 private:
  class Connection;
  struct Shared;
  void Accept();
  bool MakeRoom();
  boost::asio::ip::tcp::acceptor acceptor_;
  std::shared_ptr<Shared> shared_;
};

// Throws Error{kUsage} for what is no address and port.
void CheckListen(const std::string& listen);

// Splits "/path?a=1&b=x%20y" into path and query.
HttpRequest ParseTarget(const std::string& method, const std::string& target);

}  // namespace contimg::ops
