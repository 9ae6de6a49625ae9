// A library to preload into the daemon (LD_PRELOAD): system calls on paths below certain folders fail at random, and
// the clocks of every program that carries it are shifted. For tests only; the product does not know it.
//
//   CONTIMG_FAULTS        a file of sizeof(Control) bytes, mapped: what fails now, written by the test as it goes
//   CONTIMG_FAULTS_BELOW  folders, separated by colons: calls on other paths never fail
//   CONTIMG_FAULTS_IN     name of the program whose calls fail (contimg-stream); its children only have the clocks
//
// Or the program dies before the n-th call of the kinds, as of a kill or as of a power cut: then files are as they were
// when they were last synced (pwrite alone is undone: what SQLite does).
//
// Calls made inside the C library (fopen's own open, opendir's) do not pass here, so fopen and opendir are counted as
// open. Memory maps cannot be made to fail.
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

extern "C" char* program_invocation_short_name;

namespace {

// The kinds of call, as bits of Control::mask. tests/e2e/faults.py knows the same numbers.
enum Kind : std::uint32_t { kStat, kOpen, kList, kRead, kCreate, kWrite, kSync, kRename, kFork, kKinds };

struct Control {
  std::atomic<std::uint32_t> mask;         // kinds that fail now
  std::atomic<std::uint32_t> per_million;  // of their calls
  std::atomic<std::int32_t> error;         // errno
  std::atomic<std::uint32_t> seed;
  std::atomic<std::int64_t> realtime_ns, monotonic_ns;  // added to the clocks
  std::atomic<std::uint64_t> n_faults[kKinds];
  // Not 0: none fails; before the one that brings it to 0 the program dies.
  std::atomic<std::int64_t> dies_after;
  std::atomic<std::uint32_t> power_cut;  // 1: and what it had written since the file was last synced is undone
};

Control* control = nullptr;
bool faulty_program = false;
const char* below = nullptr;

template <class Function>
Function Real(Function& kept, const char* name) {
  if (kept == nullptr) kept = reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
  return kept;
}
// The next library's function of the same name and type.
#define REAL(name)                               \
  Real(                                          \
      []() -> decltype(&::name)& {               \
        static decltype(&::name) kept = nullptr; \
        return kept;                             \
      }(),                                       \
      #name)

__attribute__((constructor)) void Begin() {
  const char* file = std::getenv("CONTIMG_FAULTS");
  below = std::getenv("CONTIMG_FAULTS_BELOW");
  const char* in = std::getenv("CONTIMG_FAULTS_IN");
  if (file == nullptr || below == nullptr || in == nullptr) return;
  faulty_program = std::strcmp(program_invocation_short_name, in) == 0;
  const int fd = REAL(open)(file, O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  void* map = ::mmap(nullptr, sizeof(Control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  ::close(fd);
  if (map != MAP_FAILED) control = static_cast<Control*>(map);
}

// What a write has overwritten, until the file is synced.
struct Overwritten {
  dev_t device;
  ino_t inode;
  int file;  // a descriptor of our own
  off_t at, size_before;
  ssize_t n;
  char* bytes;
  Overwritten* earlier;
};
Overwritten* overwritten = nullptr;  // the last one
pthread_mutex_t overwritten_lock = PTHREAD_MUTEX_INITIALIZER;

void Remember(int fd, off_t at, std::size_t n) {
  if (control == nullptr || control->power_cut.load() == 0 || control->dies_after.load() == 0) return;
  struct stat info;
  if (REAL(fstat)(fd, &info) != 0) return;
  char link[64];
  std::snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const int own = REAL(open)(link, O_RDWR | O_CLOEXEC);
  if (own < 0) return;
  auto* each = static_cast<Overwritten*>(std::malloc(sizeof(Overwritten)));
  *each = {info.st_dev, info.st_ino, own, at, info.st_size, 0, static_cast<char*>(std::malloc(n)), nullptr};
  each->n = REAL(pread)(own, each->bytes, n, at);
  pthread_mutex_lock(&overwritten_lock);
  each->earlier = overwritten;
  overwritten = each;
  pthread_mutex_unlock(&overwritten_lock);
}

void Forget(int fd) {
  if (control == nullptr || control->power_cut.load() == 0) return;
  struct stat info;
  if (REAL(fstat)(fd, &info) != 0) return;
  pthread_mutex_lock(&overwritten_lock);
  for (Overwritten** at = &overwritten; *at != nullptr;) {
    Overwritten* each = *at;
    if (each->device != info.st_dev || each->inode != info.st_ino) {
      at = &each->earlier;
      continue;
    }
    *at = each->earlier;
    ::close(each->file);
    std::free(each->bytes);
    std::free(each);
  }
  pthread_mutex_unlock(&overwritten_lock);
}

[[noreturn]] void Die() {
  if (control->power_cut.load() != 0) {
    pthread_mutex_lock(&overwritten_lock);  // and never again: nobody writes any more
    for (const Overwritten* each = overwritten; each != nullptr; each = each->earlier) {
      if (each->n > 0 && REAL(pwrite)(each->file, each->bytes, static_cast<std::size_t>(each->n), each->at) < 0)
        continue;
      if (REAL(ftruncate)(each->file, each->size_before) != 0) continue;
    }
  }
  ::kill(::getpid(), SIGKILL);
  for (;;) ::pause();
}

std::uint32_t Draw() {
  static thread_local std::uint64_t state = 0;
  if (state == 0) {
    state = control->seed + 0x9e3779b97f4a7c15u * static_cast<std::uint64_t>(::getpid());
    state ^= reinterpret_cast<std::uintptr_t>(&state);
  }
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return static_cast<std::uint32_t>((state >> 16) % 1000000);
}

bool IsBelow(const char* path) {
  for (const char* folder = below; *folder != '\0';) {
    const char* end = std::strchr(folder, ':');
    const std::size_t n = end != nullptr ? static_cast<std::size_t>(end - folder) : std::strlen(folder);
    if (n > 0 && std::strncmp(path, folder, n) == 0 && (path[n] == '/' || path[n] == '\0')) return true;
    folder += n + (end != nullptr ? 1 : 0);
  }
  return false;
}

bool Drawn(Kind kind) {
  return control != nullptr && faulty_program && (control->mask.load() >> kind & 1u) != 0 &&
         Draw() < control->per_million.load();
}

// True when this call is to fail; errno is set then.
bool Fails(Kind kind) {
  if (control->dies_after.load() != 0) {
    if (control->dies_after.fetch_sub(1) == 1) Die();
    return false;
  }
  control->n_faults[kind].fetch_add(1);
  errno = control->error.load();
  return true;
}
bool FailsAt(Kind kind, const char* path) { return Drawn(kind) && path != nullptr && IsBelow(path) && Fails(kind); }
bool FailsOn(Kind kind, int fd) {
  if (!Drawn(kind)) return false;
  char link[64], path[4096];
  std::snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const int kept = errno;
  const ssize_t n = ::readlink(link, path, sizeof path - 1);
  errno = kept;
  if (n <= 0) return false;
  path[n] = '\0';
  return IsBelow(path) && Fails(kind);
}
bool FailsIn(Kind kind, int directory, const char* path) {
  if (path == nullptr || path[0] == '/' || directory == AT_FDCWD) return FailsAt(kind, path);
  return FailsOn(kind, directory);
}

Kind OpenKind(int flags) { return (flags & O_CREAT) != 0 ? kCreate : kOpen; }

}  // namespace

#define EXPORT extern "C" __attribute__((visibility("default")))
#define MODE_OF(flags)                                              \
  mode_t mode = 0;                                                  \
  if (((flags)&O_CREAT) != 0 || ((flags)&O_TMPFILE) == O_TMPFILE) { \
    va_list list;                                                   \
    va_start(list, flags);                                          \
    mode = va_arg(list, mode_t);                                    \
    va_end(list);                                                   \
  }

// ---- looks ----
#define STAT(name, type)                                          \
  EXPORT int name(const char* path, struct type* info) noexcept { \
    return FailsAt(kStat, path) ? -1 : REAL(name)(path, info);    \
  }
STAT(stat, stat)
STAT(stat64, stat64)
STAT(lstat, stat)
STAT(lstat64, stat64)
#undef STAT
EXPORT int fstat(int fd, struct stat* info) noexcept { return FailsOn(kStat, fd) ? -1 : REAL(fstat)(fd, info); }
EXPORT int fstat64(int fd, struct stat64* info) noexcept { return FailsOn(kStat, fd) ? -1 : REAL(fstat64)(fd, info); }
EXPORT int fstatat(int at, const char* path, struct stat* info, int flags) noexcept {
  return FailsIn(kStat, at, path) ? -1 : REAL(fstatat)(at, path, info, flags);
}
EXPORT int fstatat64(int at, const char* path, struct stat64* info, int flags) noexcept {
  return FailsIn(kStat, at, path) ? -1 : REAL(fstatat64)(at, path, info, flags);
}
EXPORT int access(const char* path, int how) noexcept { return FailsAt(kStat, path) ? -1 : REAL(access)(path, how); }
EXPORT int statvfs(const char* path, struct statvfs* info) noexcept {
  return FailsAt(kStat, path) ? -1 : REAL(statvfs)(path, info);
}
EXPORT int statvfs64(const char* path, struct statvfs64* info) noexcept {
  return FailsAt(kStat, path) ? -1 : REAL(statvfs64)(path, info);
}

// ---- opens ----
EXPORT int open(const char* path, int flags, ...) {
  MODE_OF(flags)
  return FailsAt(OpenKind(flags), path) ? -1 : REAL(open)(path, flags, mode);
}
EXPORT int open64(const char* path, int flags, ...) {
  MODE_OF(flags)
  return FailsAt(OpenKind(flags), path) ? -1 : REAL(open64)(path, flags, mode);
}
EXPORT int openat(int at, const char* path, int flags, ...) {
  MODE_OF(flags)
  return FailsIn(OpenKind(flags), at, path) ? -1 : REAL(openat)(at, path, flags, mode);
}
EXPORT int openat64(int at, const char* path, int flags, ...) {
  MODE_OF(flags)
  return FailsIn(OpenKind(flags), at, path) ? -1 : REAL(openat64)(at, path, flags, mode);
}
// What open becomes with _FORTIFY_SOURCE.
EXPORT int __open_2(const char* path, int flags) { return open(path, flags); }
EXPORT int __open64_2(const char* path, int flags) { return open64(path, flags); }
EXPORT int __openat_2(int at, const char* path, int flags) { return openat(at, path, flags); }
EXPORT int __openat64_2(int at, const char* path, int flags) { return openat64(at, path, flags); }
EXPORT FILE* fopen(const char* path, const char* how) {
  return FailsAt(how[0] == 'r' ? kOpen : kCreate, path) ? nullptr : REAL(fopen)(path, how);
}
EXPORT FILE* fopen64(const char* path, const char* how) {
  return FailsAt(how[0] == 'r' ? kOpen : kCreate, path) ? nullptr : REAL(fopen64)(path, how);
}
EXPORT DIR* opendir(const char* path) { return FailsAt(kOpen, path) ? nullptr : REAL(opendir)(path); }
EXPORT struct dirent* readdir(DIR* directory) {
  return FailsOn(kList, ::dirfd(directory)) ? nullptr : REAL(readdir)(directory);
}
EXPORT struct dirent64* readdir64(DIR* directory) {
  return FailsOn(kList, ::dirfd(directory)) ? nullptr : REAL(readdir64)(directory);
}

// ---- reads and writes ----
EXPORT ssize_t read(int fd, void* to, size_t n) { return FailsOn(kRead, fd) ? -1 : REAL(read)(fd, to, n); }
EXPORT ssize_t pread(int fd, void* to, size_t n, off_t at) {
  return FailsOn(kRead, fd) ? -1 : REAL(pread)(fd, to, n, at);
}
EXPORT ssize_t pread64(int fd, void* to, size_t n, off64_t at) {
  return FailsOn(kRead, fd) ? -1 : REAL(pread64)(fd, to, n, at);
}
EXPORT ssize_t __read_chk(int fd, void* to, size_t n, size_t) { return read(fd, to, n); }
EXPORT ssize_t __pread_chk(int fd, void* to, size_t n, off_t at, size_t) { return pread(fd, to, n, at); }
EXPORT ssize_t __pread64_chk(int fd, void* to, size_t n, off64_t at, size_t) { return pread64(fd, to, n, at); }
EXPORT ssize_t readv(int fd, const struct iovec* to, int n) { return FailsOn(kRead, fd) ? -1 : REAL(readv)(fd, to, n); }
EXPORT ssize_t write(int fd, const void* from, size_t n) { return FailsOn(kWrite, fd) ? -1 : REAL(write)(fd, from, n); }
EXPORT ssize_t pwrite(int fd, const void* from, size_t n, off_t at) {
  if (FailsOn(kWrite, fd)) return -1;
  Remember(fd, at, n);
  return REAL(pwrite)(fd, from, n, at);
}
EXPORT ssize_t pwrite64(int fd, const void* from, size_t n, off64_t at) {
  if (FailsOn(kWrite, fd)) return -1;
  Remember(fd, at, n);
  return REAL(pwrite64)(fd, from, n, at);
}
EXPORT ssize_t writev(int fd, const struct iovec* from, int n) {
  return FailsOn(kWrite, fd) ? -1 : REAL(writev)(fd, from, n);
}
EXPORT int ftruncate(int fd, off_t n) noexcept { return FailsOn(kWrite, fd) ? -1 : REAL(ftruncate)(fd, n); }
EXPORT int ftruncate64(int fd, off64_t n) noexcept { return FailsOn(kWrite, fd) ? -1 : REAL(ftruncate64)(fd, n); }
EXPORT int fsync(int fd) {
  if (FailsOn(kSync, fd)) return -1;
  Forget(fd);
  return REAL(fsync)(fd);
}
EXPORT int fdatasync(int fd) {
  if (FailsOn(kSync, fd)) return -1;
  Forget(fd);
  return REAL(fdatasync)(fd);
}

// ---- names ----
EXPORT int rename(const char* from, const char* to) noexcept {
  return FailsAt(kRename, to) ? -1 : REAL(rename)(from, to);
}
EXPORT int link(const char* from, const char* to) noexcept { return FailsAt(kRename, to) ? -1 : REAL(link)(from, to); }
EXPORT int unlink(const char* path) noexcept { return FailsAt(kRename, path) ? -1 : REAL(unlink)(path); }
EXPORT int unlinkat(int at, const char* path, int flags) noexcept {
  return FailsIn(kRename, at, path) ? -1 : REAL(unlinkat)(at, path, flags);
}
EXPORT int remove(const char* path) noexcept { return FailsAt(kRename, path) ? -1 : REAL(remove)(path); }
EXPORT int rmdir(const char* path) noexcept { return FailsAt(kRename, path) ? -1 : REAL(rmdir)(path); }
EXPORT int mkdir(const char* path, mode_t mode) noexcept {
  return FailsAt(kCreate, path) ? -1 : REAL(mkdir)(path, mode);
}
EXPORT long syscall(long number, ...) noexcept {
  va_list list;
  va_start(list, number);
  long a[6];
  for (long& each : a) each = va_arg(list, long);
  va_end(list);
  if (number == SYS_renameat2 && FailsAt(kRename, reinterpret_cast<const char*>(a[3]))) return -1;
  return REAL(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

// ---- processes ----
EXPORT pid_t fork() noexcept { return Drawn(kFork) && Fails(kFork) ? -1 : REAL(fork)(); }

// ---- clocks ----
EXPORT int clock_gettime(clockid_t clock, struct timespec* time) noexcept {
  const int status = REAL(clock_gettime)(clock, time);
  if (status != 0 || control == nullptr) return status;
  std::int64_t shift = 0;
  if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) shift = control->realtime_ns.load();
  if (clock == CLOCK_MONOTONIC || clock == CLOCK_MONOTONIC_COARSE) shift = control->monotonic_ns.load();
  const std::int64_t ns = std::int64_t{time->tv_sec} * 1'000'000'000 + time->tv_nsec + shift;
  time->tv_sec = ns / 1'000'000'000;
  time->tv_nsec = ns % 1'000'000'000;
  return 0;
}
EXPORT int gettimeofday(struct timeval* time, void*) noexcept {
  struct timespec now {};
  const int status = clock_gettime(CLOCK_REALTIME, &now);
  *time = {now.tv_sec, static_cast<suseconds_t>(now.tv_nsec / 1000)};
  return status;
}
EXPORT time_t time(time_t* out) noexcept {
  struct timespec now {};
  clock_gettime(CLOCK_REALTIME, &now);
  if (out != nullptr) *out = now.tv_sec;
  return now.tv_sec;
}
