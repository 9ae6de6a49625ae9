#include "ops/daemon/http_service.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <cctype>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "ops/base/host_name.h"
#include "ops/base/log.h"
#include "ops/daemon/settings_check.h"

namespace contimg::ops {
namespace {

using nlohmann::ordered_json;

// Sentences hold names and messages of files; not all of those are UTF-8.
std::string Dump(const ordered_json& json) { return json.dump(-1, ' ', false, ordered_json::error_handler_t::replace); }

// The names by which this machine may be asked besides its addresses.
std::vector<std::string> AllowedHosts(const HttpSettings& settings) {
  std::string own = HostName();
  std::transform(own.begin(), own.end(), own.begin(), [](unsigned char c) { return std::tolower(c); });
  std::vector<std::string> names = ParseHosts(settings.allowed_hosts);
  names.insert(names.end(), {"localhost", own});
  return names;
}

}  // namespace

HttpService::HttpService(const Sources& sources) : at_(sources), web_(sources.paths) { AddRoutes(); }

void HttpService::AddRoutes() {
  router_.Add({"GET", "/metrics", "Figures for Prometheus.", [this](const HttpRequest&) {
                 at_.status.UpdateGauges();
                 return HttpResponse{200, std::string(Metrics::kContentType), at_.metrics.Serialize()};
               }});
  router_.Add({"GET", "/healthz", "200 while the service's loop turns.", [this](const HttpRequest&) {
                 const HealthVerdict verdict = at_.health.Judge().verdict;
                 const ordered_json body{{"alive", true}, {"ready", verdict.ready}, {"verdict", verdict.words}};
                 return HttpResponse{200, "application/json", body.dump() + "\n"};
               }});
  router_.Add({"GET", "/readyz", "200 unless something is red or it has not caught up yet, else 503 with the findings.",
               [this](const HttpRequest&) {
                 const auto [verdict, findings] = at_.health.Judge();
                 const ordered_json body{{"ready", verdict.ready},
                                         {"not_ready_because", verdict.why_not},
                                         {"verdict", verdict.words},
                                         {"health", ToJson(findings)}};
                 return HttpResponse{verdict.ready ? 200 : 503, "application/json", Dump(body) + "\n"};
               }});
  router_.Add({"GET", "/api/v1/status", "Everything on one screen, as JSON.", [this](const HttpRequest&) {
                 return HttpResponse{200, "application/json", Dump(at_.status.Document()) + "\n"};
               }});
  web_.AddRoutes(router_);
}

void HttpService::Answer(const HttpRequest& request, HttpServer::Reply reply) {
  auto answer = [this, route = router_.RouteOf(request), begun = at_.clock.Steady(),
                 reply = std::move(reply)](HttpResponse response) {
    at_.metrics.HttpAnswered(response.status);
    if (!route.empty()) at_.metrics.HttpTook(route, at_.clock.Steady() - begun);
    reply(std::move(response));
  };
  if (!router_.IsSlow(request)) return answer(router_.Handle(request));
  // Pages wait for one thread; what is asked beyond these would only hold places that health and metrics need.
  constexpr std::size_t kSlowAtOnce = 24;
  if (n_slow_answers_ >= kSlowAtOnce) {
    at_.metrics.HttpRejected("busy");
    return answer(HttpProblem(503, "too many pages are being made at this moment; try again"));
  }
  ++n_slow_answers_;
  web_.view().SetStatus(at_.status.Document(), at_.clock.Unix());
  web_thread_.Post([this, request, answer = std::move(answer)]() mutable {
    auto response = std::make_shared<HttpResponse>(router_.Handle(request));
    // The answer goes along: the connection that it holds must not end on this thread.
    boost::asio::post(at_.io, [this, answer = std::move(answer), response] {
      --n_slow_answers_;
      answer(std::move(*response));
    });
  });
}

std::string HttpService::Listen(const HttpSettings& settings) {
  HttpServerOptions options;
  options.listen = settings.listen;
  options.allowed_hosts = AllowedHosts(settings);
  options.on_rejected = [this](const char* reason) { at_.metrics.HttpRejected(reason); };
  for (const HttpRoute& route : router_.routes()) at_.metrics.ExpectRoute(route.path);
  server_ = std::make_unique<HttpServer>(at_.io, options, [this](const HttpRequest& request, HttpServer::Reply reply) {
    Answer(request, std::move(reply));
  });
  if (ListensOpenly(settings.listen)) {
    Log(LogLevel::kWarning, "",
        fmt::format("HTTP LISTENS ON EVERY ADDRESS OF THIS MACHINE ({}), without authentication; set http.listen to "
                    "127.0.0.1:9110 unless the whole network may read it",
                    settings.listen));
  }
  return fmt::format("{}:{}", settings.listen.substr(0, settings.listen.rfind(':')), server_->port());
}

}  // namespace contimg::ops
