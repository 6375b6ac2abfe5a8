/**
 * An addon of a few lines, compiled beside TensorFlow's: `hold()` keeps back what this process writes to stderr from then on, and
 * `release()` gives it back as text. While TensorFlow's libraries are loaded they write lines that no setting turns off, since
 * they do so before they read any. Should loading them crash, what was kept back is written out.
 */
export const holdStderrSource = `#include <fcntl.h>
#include <node_api.h>
#include <signal.h>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

static int held = -1, original = -1;
static const int fatal[] = {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV};
static struct sigaction before[sizeof fatal / sizeof *fatal];

static void restore() {
  dup2(original, 2);
  close(original);
  original = -1;
  for (size_t at = 0; at < sizeof fatal / sizeof *fatal; at++) sigaction(fatal[at], &before[at], nullptr);
}

static void crash(int signal) {
  char bytes[4096];
  ssize_t count;
  lseek(held, 0, SEEK_SET);
  while ((count = read(held, bytes, sizeof bytes)) > 0 && write(original, bytes, count) == count) {}
  restore();
  raise(signal);
}

static napi_value hold(napi_env env, napi_callback_info) {
  if (original >= 0) return nullptr;
  held = memfd_create("stderr", MFD_CLOEXEC);
  original = held < 0 ? -1 : fcntl(2, F_DUPFD_CLOEXEC, 3);
  if (original < 0) {
    if (held >= 0) close(held);
    return nullptr;
  }
  struct sigaction action = {};
  action.sa_handler = crash;
  for (size_t at = 0; at < sizeof fatal / sizeof *fatal; at++) sigaction(fatal[at], &action, &before[at]);
  dup2(held, 2);
  return nullptr;
}

static napi_value release(napi_env env, napi_callback_info) {
  std::string text;
  if (original >= 0) {
    restore();
    char bytes[4096];
    ssize_t count;
    lseek(held, 0, SEEK_SET);
    while ((count = read(held, bytes, sizeof bytes)) > 0) text.append(bytes, count);
    close(held);
  }
  napi_value result;
  napi_create_string_utf8(env, text.data(), text.size(), &result);
  return result;
}

NAPI_MODULE_INIT() {
  napi_value function;
  napi_create_function(env, "hold", NAPI_AUTO_LENGTH, hold, nullptr, &function);
  napi_set_named_property(env, exports, "hold", function);
  napi_create_function(env, "release", NAPI_AUTO_LENGTH, release, nullptr, &function);
  napi_set_named_property(env, exports, "release", function);
  return exports;
}
`;
