#include <gtest/gtest.h>

#include <stdexcept>

#include "config/error.h"
#include "ops/http/http_server.h"

namespace contimg::ops {
namespace {

HttpRouter MakeRouter() {
  HttpRouter router;
  router.Add({"GET", "/a", "", [](const HttpRequest& r) { return HttpResponse{200, "text/plain", r.query.at("x")}; }});
  router.Add(
      {"GET", "/broken", "", [](const HttpRequest&) -> HttpResponse { throw std::runtime_error("why \"so\""); }});
  return router;
}

TEST(ParseTarget, DecodesPathAndQuery) {
  const HttpRequest request = ParseTarget("GET", "/a%20b?x=1%2B2&y=a+b&z&=&w=%zz");
  EXPECT_EQ(request.path, "/a b");
  EXPECT_EQ(request.query.at("x"), "1+2");
  EXPECT_EQ(request.query.at("y"), "a b");
  EXPECT_EQ(request.query.at("z"), "");
  EXPECT_EQ(request.query.at("w"), "%zz");
}

TEST(ParseTarget, APlusInThePathIsAPlus) { EXPECT_EQ(ParseTarget("GET", "/a+b%2Bc?x=a+b").path, "/a+b+c"); }

TEST(HttpRouter, APatternTakesWhatIsBelowIt) {
  HttpRouter router;
  const auto name = [](const char* word) {
    return [word](const HttpRequest& r) { return HttpResponse{200, "text/plain", std::string(word) + ":" + r.tail}; };
  };
  router.Add({"GET", "/g/*", "", name("below")});
  router.Add({"GET", "/g", "", name("list"), true});
  router.Add({"GET", "/g/special", "", name("exact")});
  router.Add({"GET", "/g/deep/*", "", name("deep")});
  const auto body = [&](const char* target) { return router.Handle(ParseTarget("GET", target)).body; };
  EXPECT_EQ(body("/g/a%2Fb/c"), "below:a/b/c");
  EXPECT_EQ(body("/g"), "list:");
  EXPECT_EQ(body("/g/special"), "exact:");
  EXPECT_EQ(body("/g/deep/x"), "deep:x");
  EXPECT_EQ(body("/g/"), "list:");
  EXPECT_EQ(body("/g/special/"), "below:special/");
  EXPECT_EQ(router.Handle(ParseTarget("GET", "/none/")).status, 404);
  EXPECT_TRUE(router.IsSlow(ParseTarget("HEAD", "/g")));
  EXPECT_FALSE(router.IsSlow(ParseTarget("GET", "/g/a")));
  EXPECT_FALSE(router.IsSlow(ParseTarget("GET", "/none")));
  // Figures are kept for each route, never for each address.
  EXPECT_EQ(router.RouteOf(ParseTarget("GET", "/g/a%2Fb/c")), "/g/*");
  EXPECT_EQ(router.RouteOf(ParseTarget("HEAD", "/g/")), "/g");
  EXPECT_EQ(router.RouteOf(ParseTarget("GET", "/none")), "");
}

TEST(HttpRouter, AStarWithinAPatternIsOnePart) {
  HttpRouter router;
  const auto name = [](const char* word) {
    return [word](const HttpRequest& r) { return HttpResponse{200, "text/plain", std::string(word) + ":" + r.tail}; };
  };
  router.Add({"GET", "/g/*", "", name("below")});
  router.Add({"GET", "/g/*/map", "", name("map"), true});
  router.Add({"GET", "/g/*/map.png", "", name("picture")});
  const auto body = [&](const char* target) { return router.Handle(ParseTarget("GET", target)).body; };
  EXPECT_EQ(body("/g/a+b/map?x=1"), "map:a+b");
  EXPECT_EQ(body("/g/a/map.png"), "picture:a");
  EXPECT_EQ(body("/g/a/b/map"), "below:a/b/map");
  EXPECT_EQ(body("/g//map"), "below:/map");
  EXPECT_EQ(body("/g/map"), "below:map");
  EXPECT_EQ(body("/g/amap"), "below:amap");
  EXPECT_EQ(body("/g/a/map.gif"), "below:a/map.gif");
  EXPECT_EQ(router.RouteOf(ParseTarget("GET", "/g/a/map")), "/g/*/map");
}

TEST(HttpRouter, SaysWhichMethodsAreAllowed) {
  const HttpResponse refused = MakeRouter().Handle(ParseTarget("PUT", "/a"));
  ASSERT_EQ(refused.headers.size(), 1u);
  EXPECT_EQ(refused.headers[0].second, "GET, HEAD");
}

TEST(HttpRouter, WrongUseIsNoFailureOfTheServer) {
  HttpRouter router;
  router.Add({"GET", "/", "", [](const HttpRequest&) -> HttpResponse {
                throw Error(ErrorKind::kUsage, "http", "span", "expected 24h");
              }});
  EXPECT_EQ(router.Handle(ParseTarget("GET", "/")).status, 400);
}

TEST(HttpRouter, AMistypedParameterIsRefusedAndTheOneMeantIsNamed) {
  HttpRouter router;
  router.Add({"GET", "/g", "", [](const HttpRequest&) { return HttpResponse{}; }, false,
              std::vector<std::string>{"state", "limit"}});
  router.Add(
      {"GET", "/page", "", [](const HttpRequest&) { return HttpResponse{}; }, false, std::vector<std::string>{}, true});
  router.DrawProblems([](int status, const std::string& sentence) {
    return HttpResponse{status, "text/html", "<p>" + sentence};
  });
  EXPECT_EQ(router.Handle(ParseTarget("GET", "/g?state=dead")).status, 200);
  const HttpResponse refused = router.Handle(ParseTarget("GET", "/g?sate=dead"));
  EXPECT_EQ(refused.status, 400);
  EXPECT_EQ(refused.body, "{\"error\":\"sate: /g has no such parameter, did you mean 'state'?\"}\n");
  // For people it is a page.
  const HttpResponse page = router.Handle(ParseTarget("GET", "/page?x=1"));
  EXPECT_EQ(page.status, 400);
  EXPECT_EQ(page.body, "<p>x: /page has no such parameter");
}

TEST(HttpRouter, FindsTheHandler) {
  EXPECT_EQ(MakeRouter().Handle(ParseTarget("GET", "/a?x=7")).body, "7");
  EXPECT_EQ(MakeRouter().Handle(ParseTarget("HEAD", "/a?x=7")).status, 200);
}

TEST(HttpRouter, AnswersUnknownPathsMethodsAndFailures) {
  EXPECT_EQ(MakeRouter().Handle(ParseTarget("GET", "/b")).status, 404);
  EXPECT_EQ(MakeRouter().Handle(ParseTarget("POST", "/a")).status, 405);
  const HttpResponse failed = MakeRouter().Handle(ParseTarget("GET", "/broken"));
  EXPECT_EQ(failed.status, 500);
  EXPECT_EQ(failed.body, "{\"error\":\"why \\\"so\\\"\"}\n");
}

TEST(HttpRouter, WhatMayPassIsNoFaultOfTheAskersNorOfTheProgram) {
  for (const auto& [kind, status] :
       {std::pair(ErrorKind::kUsage, 400), std::pair(ErrorKind::kBusy, 503), std::pair(ErrorKind::kIo, 503),
        std::pair(ErrorKind::kResource, 503), std::pair(ErrorKind::kBadInput, 500), std::pair(ErrorKind::kBug, 500)}) {
    HttpRouter router;
    router.Add(
        {"GET", "/a", "", [kind = kind](const HttpRequest&) -> HttpResponse { throw Error(kind, "", "x", "y"); }});
    EXPECT_EQ(router.Handle(ParseTarget("GET", "/a")).status, status) << ToString(kind);
  }
}

}  // namespace
}  // namespace contimg::ops
