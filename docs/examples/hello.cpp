#include <prong/module.hpp>
PRONG_HTTP_MODULE(hello) {
  prong::on_request([](const prong::Request& request, prong::Response& response) {
    response.text(200, "hello " + std::string{request.query("name").value_or("world")});
  });
}
