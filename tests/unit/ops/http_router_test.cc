#include <gtest/gtest.h>

#include <stdexcept>

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

}  // namespace
}  // namespace contimg::ops
