// System calls that leave no trace in memory: the result, or -errno.
//
// Spares share the launcher's memory, errno included, so the C library's wrappers are not for them. On a machine whose
// system calls are not written down here spares have memory of their own, which costs a connection about 60 us more.
#pragma once

#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <type_traits>

namespace prong::launch {

#if defined(__x86_64__)

inline constexpr bool kSharesMemory = true;

// syscall(2), "Architecture calling conventions".
inline long raw_call(long number, long a, long b, long c, long d, long e, long f) {
  long result = number;  // NOLINT(misc-const-correctness): the assembler writes it
  const register long r10 __asm__("r10") = d;
  const register long r8 __asm__("r8") = e;
  const register long r9 __asm__("r9") = f;
  __asm__ volatile("syscall"
                   : "+a"(result)
                   : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
}

#elif defined(__aarch64__)

inline constexpr bool kSharesMemory = true;

inline long raw_call(long number, long a, long b, long c, long d, long e, long f) {
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  register long x4 __asm__("x4") = e;
  register long x5 __asm__("x5") = f;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
  return x0;
}

#else

inline constexpr bool kSharesMemory = false;

inline long raw_call(long number, long a, long b, long c, long d, long e, long f) {
  const long result = ::syscall(number, a, b, c, d, e, f);
  return result < 0 ? -errno : result;
}

#endif

template <class Number>
  requires std::is_integral_v<Number> || std::is_enum_v<Number>
long as_number(Number value) {
  return static_cast<long>(value);
}
template <class Type>
long as_number(Type* pointer) {
  return reinterpret_cast<long>(pointer);
}
inline long as_number(std::nullptr_t /*pointer*/) {
  return 0;
}

template <class... Arguments>
long call(long number, Arguments... arguments) {
  const std::array<long, 6> values{as_number(arguments)...};
  return raw_call(number, values[0], values[1], values[2], values[3], values[4], values[5]);
}

}  // namespace prong::launch
