// Reads options of every kind, and answers with their values.
#include <prong/module.hpp>

#include <string>

PRONG_HTTP_MODULE(options) {
  namespace options = prong::options;
  std::string text = "greeting=" + options::text("greeting", "hello");
  text += " loud=" + std::to_string(static_cast<int>(options::boolean("loud", false)));
  text += " max=" + std::to_string(options::integer("limits.max", 10, 1, 100));
  text += " ratio=" + std::to_string(options::real("ratio", 0.5));
  text += " patience=" + std::to_string(options::duration("patience", std::chrono::seconds{1}).count());
  text += " room=" + std::to_string(options::size("room", 1024));
  text += " peers=";
  for (const std::string& peer : options::texts("peers", {"none"})) text += peer + ",";
  text += " backends=";
  for (std::size_t i = 0; i < options::count("backends").value_or(0); ++i) {
    const std::string at = "backends[" + std::to_string(i) + "].";
    text += options::required_text(at + "host") + ":" + std::to_string(options::integer(at + "port", 80)) + ",";
  }
  if (options::has("need")) text += " needed=" + options::required_text(options::text("need"));
  prong::on_request([text](const prong::Request&, prong::Response& response) { response.text(200, text); });
}
