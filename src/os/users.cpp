#include "os/users.hpp"

#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

namespace prong::os {
namespace {

// Enough for nearly every entry; a group with very many members needs more, so the buffer grows up to kLargestEntry.
constexpr std::size_t kFirstBuffer = 4'096;
constexpr std::size_t kLargestEntry = std::size_t{16} << 20U;

// The number in a text of digits. uid_t and gid_t are 32 bits wide, and all ones means "no change" to chown(2) and
// setresuid(2), so it names nobody.
std::optional<std::uint32_t> number_in(const std::string& text) {
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  if (number == std::numeric_limits<std::uint32_t>::max()) return std::nullopt;
  return number;
}

// Calls a get..._r function with a buffer that is large enough. Nothing in it: there is no such entry. `use` reads the
// entry while the buffer is there.
template <class Entry, class Call, class Use>
auto look_up(const std::string& what, const Call& call, const Use& use)
    -> Result<std::optional<decltype(use(std::declval<Entry>()))>> {
  std::vector<char> buffer(kFirstBuffer);
  while (true) {
    Entry entry{};
    Entry* found = nullptr;
    const int error = call(&entry, buffer.data(), buffer.size(), &found);
    if (error == ERANGE && buffer.size() < kLargestEntry) {
      buffer.resize(buffer.size() * 2);
      continue;
    }
    if (error == EINTR) continue;
    if (found != nullptr) return use(*found);
    // The man page's list of errno values that also only mean "not found".
    const bool absent = error == 0 || error == ENOENT || error == ESRCH || error == EBADF || error == EPERM;
    if (absent) return std::nullopt;
    return failure(system_error("cannot look up " + what, error));
  }
}

User user_of(const passwd& entry) {
  return {
      .uid = entry.pw_uid, .gid = entry.pw_gid, .home = entry.pw_dir, .shell = entry.pw_shell, .name = entry.pw_name};
}

}  // namespace

Result<User> find_user(const std::string& name) {
  const std::string what = fmt::format("user \"{}\"", name);
  auto user = look_up<passwd>(what, [&](auto... rest) { return getpwnam_r(name.c_str(), rest...); }, user_of);
  if (!user) return failure(std::move(user.error()));
  const auto uid = number_in(name);
  if (!user->has_value() && uid)
    user = look_up<passwd>(what, [&](auto... rest) { return getpwuid_r(*uid, rest...); }, user_of);
  if (!user) return failure(std::move(user.error()));
  std::optional<User> found = *std::move(user);
  if (!found) return failure(fmt::format("there is no {}", what));
  return *std::move(found);
}

Result<gid_t> find_group(const std::string& name) {
  const std::string what = fmt::format("group \"{}\"", name);
  const auto gid = look_up<group>(
      what, [&](auto... rest) { return getgrnam_r(name.c_str(), rest...); },
      [](const group& entry) { return entry.gr_gid; });
  if (!gid) return failure(gid.error());
  const std::optional<gid_t> found = *gid;
  if (found) return *found;
  if (const auto number = number_in(name)) return *number;
  return failure(fmt::format("there is no {}", what));
}

Result<Identity> find_identity(const std::string& user, const std::string& group) {
  Identity identity;
  identity.user.uid = ::geteuid();
  identity.user.gid = ::getegid();
  if (!user.empty()) {
    auto found = find_user(user);
    if (!found) return failure(std::move(found.error()));
    identity.user = *std::move(found);
  }
  if (!group.empty()) {
    auto found = find_group(group);
    if (!found) return failure(std::move(found.error()));
    identity.user.gid = *found;
  }
  if (user.empty()) return identity;
  int count = 64;
  do {
    identity.groups.resize(static_cast<std::size_t>(count));
    // Too small: it tells the number (getgrouplist(3)), which may have grown when we ask again.
  } while (::getgrouplist(identity.user.name.c_str(), identity.user.gid, identity.groups.data(), &count) < 0);
  identity.groups.resize(static_cast<std::size_t>(count));
  return identity;
}

}  // namespace prong::os
