// The extension module prong_worker: what the worker's Python side (prong_host.py) calls. What it does beside running
// the application is given to it by whoever links it, since an application knows no worker.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "http/handler.hpp"

namespace prong::app::wsgi {

// What the Python side has to do, said by the pool's configuration.
struct Assignment {
  std::string application;        // "module:name"
  std::vector<std::string> path;  // for the front of sys.path
  bool gc_freeze = true;
  bool reload = false;   // the code changes while the worker lives
  bool watches = false;  // this worker watches the files of the application, and asks for a reload when they change
  bool debug_errors = false;  // clients on this machine see tracebacks
  int stack_fd = -1;          // to which faulthandler writes
  bool multithread = false;
  bool multiprocess = false;
};

// Defined by src/main/python/worker_module.cpp. Both run on the interpreter's main thread.
//
// Becomes the worker whose record is behind that descriptor.
[[nodiscard]] Result<Assignment> begin_worker(int record_fd);
// Serves until it has drained, without the interpreter lock; gives the exit status.
[[nodiscard]] int serve_worker();
// The worker cannot start; tells the master.
void refuse_to_start(const std::string& reason);
// The code has changed on disk; tells the master. On any thread, while the worker serves. The error: the master is gone
// or busy.
[[nodiscard]] Result<void> ask_for_reload(const std::string& reason);

// A handler for the application that the Python side has loaded: for serve_worker(), on any thread.
[[nodiscard]] std::unique_ptr<http::Handler> make_handler();

}  // namespace prong::app::wsgi
