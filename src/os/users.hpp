// Users and groups of the system by name or number: getpwnam_r(3), getgrnam_r(3). They may ask the network (NSS), so
// only the master calls this, while it checks a configuration and before it forks.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/error.hpp"

namespace prong::os {

struct User {
  uid_t uid = 0;
  gid_t gid = 0;  // the primary group
  std::string home;
  std::string shell;
  std::string name;
};

// The user of that name; a text of digits that is no name is taken as the number of a known user. Blocks.
[[nodiscard]] Result<User> find_user(const std::string& name);

// Whom a worker becomes, with everything that must be looked up for that.
struct Identity {
  User user;                  // gid: the group that is wanted; name and home: empty when only the group changes
  std::vector<gid_t> groups;  // supplementary, for setgroups(2)
};
// Of a pool's `user` and `group`, of which one may be empty: we ourselves, or the user's primary group. Blocks.
[[nodiscard]] Result<Identity> find_identity(const std::string& user, const std::string& group);

// The group of that name; a text of digits that is no name is taken as the number itself. Blocks.
[[nodiscard]] Result<gid_t> find_group(const std::string& name);

}  // namespace prong::os
