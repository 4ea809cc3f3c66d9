// Whether accept() on a listener waits when nobody is in its queue (O_NONBLOCK). The flag belongs to the socket, hence
// to all at once who hold it: the workers and programs of all generations. A program that was given a blocking socket
// and made it non-blocking must find it so as long as it runs, or it may sleep in accept() for a connection that
// another copy took, with clients of its own waiting. So no worker sets the flag for itself; the master does, when
// somebody comes to a listener who expects something else than those before.
//
// What this cannot mend: while a reload hands a listener over from prongd's own accept() to a program that wants it
// blocking, both have it, and the program's word holds.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "master/generation.hpp"
#include "net/listener_set.hpp"

namespace prong::master {

class AcceptModes {
 public:
  explicit AcceptModes(net::ListenerSet& listeners) : listeners_(&listeners) {}

  // Before the first worker of a generation is forked: what its programs of style "listener" expect. Where the serving
  // generation (nullptr: none) runs the same program the flag stays as that has made it.
  void prepare(const Generation& raising, const Generation* serving);
  // Before its workers may accept: those that are prongd's own must never wait in accept().
  void commit(const Generation& serving);
  // The generation that was prepared will not serve: as it was before.
  void roll_back();

 private:
  struct Change {
    std::string address;
    std::size_t number = 0;  // of the listener's descriptors
    bool was_nonblocking = false;
  };
  void set(const std::string& address, bool nonblocking);

  net::ListenerSet* listeners_;
  std::vector<Change> changes_;  // by prepare(), in order
};

}  // namespace prong::master
