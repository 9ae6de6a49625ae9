#include "ops/daemon/service_manager.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>

#include <fmt/format.h>

namespace contimg::ops {

ServiceManager::ServiceManager() {
  if (const char* socket = std::getenv("NOTIFY_SOCKET")) socket_ = socket;
  const char* microseconds = std::getenv("WATCHDOG_USEC");
  const char* pid = std::getenv("WATCHDOG_PID");
  if (microseconds != nullptr && (pid == nullptr || std::atol(pid) == ::getpid())) {
    const double interval = std::atof(microseconds) * 1e-6 / 2;
    if (interval > 0) alive_interval_s_ = interval;
  }
  ::unsetenv("NOTIFY_SOCKET");
  ::unsetenv("WATCHDOG_USEC");
  ::unsetenv("WATCHDOG_PID");
}

void ServiceManager::Send(const std::string& message) const {
  if (socket_.empty()) return;
  sockaddr_un address{};
  if (socket_.size() >= sizeof(address.sun_path)) return;
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, socket_.data(), socket_.size());
  if (address.sun_path[0] == '@') address.sun_path[0] = '\0';  // the abstract name space
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return;
  // A service manager that does not listen must not stop the service: the result is not looked at.
  (void)!::sendto(fd, message.data(), message.size(), MSG_NOSIGNAL | MSG_DONTWAIT,
                  reinterpret_cast<const sockaddr*>(&address),
                  static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket_.size()));
  ::close(fd);
}

void ServiceManager::Ready(std::string_view status) {
  last_status_ = status;
  Send(fmt::format("READY=1\nSTATUS={}\nMAINPID={}\n", status, ::getpid()));
}

void ServiceManager::Status(std::string_view status) {
  if (last_status_ == status) return;
  last_status_ = status;
  Send(fmt::format("STATUS={}\n", status));
}

void ServiceManager::Reloading() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  Send(fmt::format("RELOADING=1\nMONOTONIC_USEC={}\n", now.tv_sec * 1'000'000LL + now.tv_nsec / 1000));
}

void ServiceManager::Stopping() { Send("STOPPING=1\nSTATUS=stopping: work is handed back\n"); }

void ServiceManager::Alive() { Send("WATCHDOG=1\n"); }

}  // namespace contimg::ops
