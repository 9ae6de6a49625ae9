// The server with real sockets: who is silent, slow or asks by another name does not keep others out.
#include "ops/http/http_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/connect.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "ops/http/work_thread.h"

namespace contimg::ops {
namespace {

using boost::asio::ip::tcp;
using testing::HasSubstr;
using testing::StartsWith;

class HttpServerTest : public testing::Test {
 protected:
  void Start(HttpServerOptions options, HttpServer::Handler handler) {
    options.listen = "127.0.0.1:0";
    server_ = std::make_unique<HttpServer>(io_, options, std::move(handler));
    port_ = server_->port();
    loop_ = std::thread([this] { io_.run(); });
  }
  void TearDown() override {
    boost::asio::post(io_, [this] { io_.stop(); });
    if (loop_.joinable()) loop_.join();
  }
  static void AnswerAll(const HttpRequest& request, const HttpServer::Reply& reply) {
    reply({200, "text/plain", "answer to " + request.path});
  }
  std::unique_ptr<tcp::socket> Connect() {
    auto socket = std::make_unique<tcp::socket>(client_io_);
    socket->connect({boost::asio::ip::make_address("127.0.0.1"), port_});
    return socket;
  }
  static void Say(tcp::socket& socket, const std::string& text) {
    boost::asio::write(socket, boost::asio::buffer(text));
  }
  // Everything until the server closes.
  static std::string ReadAll(tcp::socket& socket) {
    std::string text;
    boost::system::error_code error;
    boost::asio::read(socket, boost::asio::dynamic_buffer(text), error);
    return text;
  }
  std::string Get(const std::string& path, const std::string& host = "localhost") {
    const auto socket = Connect();
    Say(*socket, "GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n");
    return ReadAll(*socket);
  }

  boost::asio::io_context io_{1}, client_io_;
  std::unique_ptr<HttpServer> server_;
  std::uint16_t port_ = 0;
  std::thread loop_;
};

TEST_F(HttpServerTest, SilentConnectionsShutNobodyOut) {
  HttpServerOptions options;
  options.max_connections = 8;
  options.request_timeout_s = 600;  // their deadline is not what makes room
  Start(options, AnswerAll);
  std::vector<std::unique_ptr<tcp::socket>> silent;
  for (int i = 0; i < 50; ++i) silent.push_back(Connect());
  for (int i = 0; i < 20; ++i) EXPECT_THAT(Get("/healthz"), HasSubstr("answer to /healthz")) << i;
  // The oldest ones had to go.
  EXPECT_EQ(ReadAll(*silent.front()), "");
}

TEST_F(HttpServerTest, HeadersThatNeverEndAreCutOffAndShutNobodyOut) {
  HttpServerOptions options;
  options.max_connections = 8;
  options.request_timeout_s = 0.3;
  Start(options, AnswerAll);
  const auto slow = Connect();
  Say(*slow, "GET / HTTP/1.1\r\nHost: localhost\r\n");
  // A header now and then does not put the deadline off.
  boost::system::error_code error;
  for (int i = 0; i < 600 && !error; ++i) {
    boost::asio::write(*slow, boost::asio::buffer(std::string("X-A: b\r\n")), error);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  EXPECT_TRUE(error) << "still connected after thirty seconds";
  EXPECT_THAT(Get("/healthz"), HasSubstr("200 OK"));
}

TEST_F(HttpServerTest, ReadersThatTakeNothingShutNobodyOut) {
  HttpServerOptions options;
  options.max_connections = 4;
  options.answer_timeout_s = 600;
  Start(options, [](const HttpRequest& request, const HttpServer::Reply& reply) {
    reply({200, "text/plain", request.path == "/big" ? std::string(50'000'000, 'x') : "small"});
  });
  std::vector<std::unique_ptr<tcp::socket>> greedy;
  for (int i = 0; i < 6; ++i) {
    greedy.push_back(Connect());
    Say(*greedy.back(), "GET /big HTTP/1.1\r\nHost: localhost\r\n\r\n");
  }
  for (int i = 0; i < 6; ++i) EXPECT_THAT(Get("/healthz"), HasSubstr("small")) << i;
}

TEST_F(HttpServerTest, OnlyItsOwnNamesAreAnswered) {
  HttpServerOptions options;
  options.allowed_hosts = {"localhost", "pipeline.example.org"};
  Start(options, AnswerAll);
  for (const char* host : {"localhost", "LOCALHOST:9110", "127.0.0.1", "10.1.2.3:80", "[::1]:9110",
                           "pipeline.example.org", "pipeline.example.org.:9110"}) {
    EXPECT_THAT(Get("/", host), StartsWith("HTTP/1.1 200")) << host;
  }
  for (const char* host :
       {"evil.example.org", "localhost.evil.example.org", "", "127.0.0.1.evil.example.org", "[::1"}) {
    const std::string answer = Get("/", host);
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 421")) << host;
    EXPECT_THAT(answer, testing::Not(HasSubstr("answer to"))) << host;
  }
  const auto old = Connect();
  Say(*old, "GET / HTTP/1.0\r\n\r\n");
  EXPECT_THAT(ReadAll(*old), HasSubstr("answer to /"));
}

// A request that cannot be answered is told why; the connection is not closed without a word.
TEST_F(HttpServerTest, WhatIsNoGoodRequestIsToldSo) {
  HttpServerOptions options;
  options.max_request_bytes = 8192;
  Start(options, AnswerAll);
  const auto ask = [&](const std::string& text) {
    const auto socket = Connect();
    boost::system::error_code error;  // the server may have stopped reading
    boost::asio::write(*socket, boost::asio::buffer(text), error);
    return ReadAll(*socket);
  };
  const std::string end = "\r\nConnection: close\r\n\r\n", host = " HTTP/1.1\r\nHost: localhost";
  EXPECT_THAT(ask("GET /" + std::string(100'000, 'a') + host + end), StartsWith("HTTP/1.1 414"));
  EXPECT_THAT(ask("GET /" + host + "\r\nX-A: " + std::string(100'000, 'a') + end), StartsWith("HTTP/1.1 431"));
  EXPECT_THAT(ask("POST /" + host + "\r\nContent-Length: 100000\r\n\r\n" + std::string(100'000, 'a')),
              StartsWith("HTTP/1.1 413"));
  EXPECT_THAT(ask("no request at all\r\n\r\n"), StartsWith("HTTP/1.1 400"));
  for (const char* second : {"localhost", "evil.example.org"}) {
    const std::string answer = ask("GET /" + host + "\r\nHost: " + second + end);
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 400"));
    EXPECT_THAT(answer, HasSubstr("names several"));
  }
  EXPECT_THAT(Get("/healthz"), HasSubstr("answer to /healthz"));
}

TEST_F(HttpServerTest, WhatIsTurnedAwayIsToldByReason) {
  HttpServerOptions options;
  options.max_connections = 4;
  std::vector<std::string> reasons;  // of the loop's thread, which TearDown joins
  options.on_rejected = [&](const char* reason) { reasons.emplace_back(reason); };
  Start(options, AnswerAll);
  Get("/", "elsewhere.example");
  const auto ask = [&](const std::string& text) {
    const auto socket = Connect();
    Say(*socket, text);
    return ReadAll(*socket);
  };
  ask("NONSENSE\r\n\r\n");
  ask("GET /" + std::string(100'000, 'x') + " HTTP/1.1\r\n\r\n");
  EXPECT_THAT(Get("/"), HasSubstr("200 OK"));
  std::vector<std::unique_ptr<tcp::socket>> silent;
  for (int i = 0; i < 5; ++i) silent.push_back(Connect());
  EXPECT_THAT(Get("/"), HasSubstr("200 OK"));  // in the place of one of them
  TearDown();
  ASSERT_GE(reasons.size(), 4U);
  EXPECT_THAT(std::vector(reasons.begin(), reasons.begin() + 3), testing::ElementsAre("host", "malformed", "too_long"));
  EXPECT_THAT(std::vector(reasons.begin() + 3, reasons.end()), testing::Each("crowded"));
}

TEST_F(HttpServerTest, AnAnswerMayBeMadeAndDroppedOnAnotherThread) {
  WorkThread thread;
  Start({}, [&](const HttpRequest& request, HttpServer::Reply reply) {
    if (request.path == "/dropped") {
      thread.Post([reply = std::move(reply)] {});  // dies there, unanswered
      return;
    }
    thread.Post([this, reply = std::move(reply)] {
      boost::asio::post(io_, [reply] { reply({200, "text/plain", "made elsewhere"}); });
    });
  });
  for (int i = 0; i < 200; ++i) ASSERT_THAT(Get("/slow"), HasSubstr("made elsewhere"));
  EXPECT_EQ(Get("/dropped"), "");
  TearDown();
}

TEST(ListensOpenly, KnowsTheAddressesOfAll) {
  EXPECT_TRUE(ListensOpenly("0.0.0.0:9110"));
  EXPECT_TRUE(ListensOpenly("[::]:9110"));
  EXPECT_FALSE(ListensOpenly("127.0.0.1:9110"));
  EXPECT_FALSE(ListensOpenly("[::1]:9110"));
  EXPECT_FALSE(ListensOpenly("192.168.1.2:9110"));
}

}  // namespace
}  // namespace contimg::ops
