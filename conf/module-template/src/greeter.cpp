// What this module answers. /usr/share/doc/prongd/examples has more: uploads, timers, streams.
#include <prong/module.hpp>

#include <memory>
#include <string>

namespace {

struct Greeter {
  std::string greeting = prong::options::text("greeting", "hello");
  prong::Counter greeted = prong::counter("greeter_greetings_total", "how many were greeted");
};

}  // namespace

// What stands here runs once in each worker, before it serves.
PRONG_HTTP_MODULE(greeter) {
  const auto greeter = std::make_shared<const Greeter>();
  prong::info("greeting with \"" + greeter->greeting + "\"");

  prong::on_request([greeter](const prong::Request& request, prong::Response& response) {
    if (request.method() != "GET" && request.method() != "HEAD")
      return response.header("Allow", "GET, HEAD").text(405, "only GET\n");
    greeter->greeted.add();
    response.text(200, greeter->greeting + " " + std::string(request.query("name").value_or("world")) + "\n");
  });
}
