// Talks to systemd (or whoever started the daemon) over $NOTIFY_SOCKET: the sd_notify(3) protocol in full is one
// datagram of NAME=value lines, so no library is needed.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace contimg::ops {

class ServiceManager {
 public:
  // Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID from the environment and removes them, so that workers do not
  // inherit them. Without a socket every call does nothing.
  ServiceManager();

  void Ready(std::string_view status);   // start-up has finished
  void Status(std::string_view status);  // one line for `systemctl status`; sent when it changed
  void Reloading();                      // Ready ends it
  void Stopping();
  void Alive();  // the watchdog's sign of life
  // How often Alive must be called (half the watchdog's time), if there is a watchdog.
  std::optional<double> alive_interval_s() const { return alive_interval_s_; }
  bool present() const { return !socket_.empty(); }

 private:
  void Send(const std::string& message) const;
  std::string socket_;
  std::string last_status_;
  std::optional<double> alive_interval_s_;
};

}  // namespace contimg::ops
