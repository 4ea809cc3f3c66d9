// Which part of a pool answers a path, and what it sees of it.
#include <catch2/catch.hpp>

#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "app/path_router.hpp"
#include "app_request.hpp"
#include "app_site.hpp"

using namespace prong;
using namespace prong::test;

namespace {

// Says what it sees, and wants every body.
class Mirror final : public http::Handler {
 public:
  [[nodiscard]] http::BodyUse body_use(const http::Request& /*request*/) override { return http::BodyUse::kKeep; }
  [[nodiscard]] http::Answer handle(const http::Request& request) override {
    return http::Response{.body = "app [" + std::string(request.prefix) + "][" + std::string(request.path) + "][" +
                                  std::string(request.target) + "]"};
  }
  [[nodiscard]] http::DescriptorNeeds descriptor_needs() const override { return {.held = 3, .per_answer = 2}; }
};

class Routed {
 public:
  struct Folder {
    const char* prefix;
    const Site* site;
  };
  explicit Routed(std::initializer_list<Folder> folders, std::string path_prefix = "") {
    app::PathRouter::Settings settings{.path_prefix = std::move(path_prefix)};
    for (const Folder& folder : folders)
      settings.folders.push_back({.prefix = folder.prefix, .files = Site::serve(folder.site->cached())});
    router_ = std::make_unique<app::PathRouter>(mirror_, std::move(settings));
  }
  [[nodiscard]] Answered get(std::string_view target, const Fields& fields = {}, std::string_view method = "GET") {
    return test::get(*router_, target, fields, method);
  }
  [[nodiscard]] app::PathRouter& router() { return *router_; }

 private:
  Mirror mirror_;
  std::unique_ptr<app::PathRouter> router_;
};

}  // namespace

TEST_CASE("paths below a prefix are files, all others the application's") {
  const Site site;
  site.write("css/a.css", "body {}\n");
  Routed routed({{"/static/", &site}});
  for (const char* target :
       {"/static/a.txt", "/static//a.txt", "/static/./a.txt", "/static/x/../a.txt", "/x/../static/a.txt",
        "//static/a.txt", "/st%61tic/a.txt", "/static/%61.txt", "/%73tatic/./a.txt?q=/../x"}) {
    CAPTURE(target);
    CHECK(routed.get(target).body == "a text\n");
  }
  CHECK(routed.get("/static/css/a.css").field("Content-Type") == "text/css; charset=utf-8");
  for (const char* target : {"/", "/staticx", "/static.txt", "/Static/a.txt", "/app", "/static/../a.txt",
                             "/a/static/a.txt", "/static%2Fa.txt", "/%zz", "*"}) {
    CAPTURE(target);
    const std::string path = std::string(target).substr(0, std::string(target).find('?'));
    CHECK(routed.get(target).body == "app [][" + path + "][" + target + "]");
  }
}

TEST_CASE("below a prefix nothing but the folder can be reached, and the application is not asked") {
  const Site site;
  site.write(".git/config", "hidden\n");
  site.write("sub/.env", "hidden\n");
  Routed routed({{"/static", &site}});
  struct Row {
    const char* target;
    int status;
  };
  for (const Row& row : {Row{"/static/none", 404},
                         {"/static/.git/config", 404},
                         {"/static/sub/.env", 404},
                         {"/static/%2egit/config", 404},
                         {"/static/a%2Fb", 404},
                         {"/static/%zz", 400},
                         {"/static/%00", 400},
                         {"/static/..%2f..%2fsecret.txt", 404},
                         {"/static/sub/../../../secret.txt", 400},
                         {"/static/sub/", 403}}) {
    CAPTURE(row.target);
    const Answered answer = routed.get(row.target);
    CHECK(answer.status == row.status);
    CHECK(answer.body.find("secret\n") == std::string::npos);
    CHECK(answer.body.find("hidden\n") == std::string::npos);
  }
}

TEST_CASE("a prefix is one of whole parts, with or without its last slash, and the longest wins") {
  const Site outer;
  const Site inner;
  outer.write("a.txt", "outer\n");
  outer.write("b/a.txt", "shadowed\n");
  inner.write("a.txt", "inner\n");
  Routed routed({{"/s", &outer}, {"/s/b/", &inner}});
  CHECK(routed.get("/s/a.txt").body == "outer\n");
  CHECK(routed.get("/s/b/a.txt").body == "inner\n");
  CHECK(routed.get("/s/b/../a.txt").body == "outer\n");
  CHECK(routed.get("/s/bb/a.txt").status == 404);
}

TEST_CASE("a prefix without its slash, and folders below it, are sent to the whole path with the slash") {
  const Site site;
  site.write("sub dir/x", "x\n");
  Routed routed({{"/st atic", &site}});
  CHECK(routed.get("/st%20atic").field("Location") == "/st%20atic/");
  CHECK(routed.get("/st%20atic?x=1").field("Location") == "/st%20atic/?x=1");
  CHECK(routed.get("/./st%20atic").field("Location") == "/st%20atic/");
  CHECK(routed.get("/st%20atic/sub%20dir?q").field("Location") == "/st%20atic/sub%20dir/?q");
  CHECK(routed.get("/st%20atic/").body == "index\n");
  Routed plain({{"/static", &site}});
  CHECK(plain.get("/static").status == 301);
  CHECK(plain.get("/static").field("Location") == "/static/");
  CHECK(plain.get("//static").field("Location") == "/static/");
}

TEST_CASE("files of a prefix have ranges, conditions and methods as those of a static pool") {
  const Site site;
  Routed routed({{"/static", &site}});
  const Answered whole = routed.get("/static/a.txt");
  CHECK(routed.get("/static/a.txt", {{"Range", "bytes=2-5"}}).body == "text");
  CHECK(routed.get("/static/a.txt", {{"If-None-Match", whole.field("ETag")}}).status == 304);
  CHECK(routed.get("/static/a.txt", {}, "POST").status == 405);
  CHECK(routed.get("/app", {}, "POST").status == 200);
}

TEST_CASE("bodies are only kept for the application") {
  const Site site;
  Routed routed({{"/static", &site}}, "/shop");
  const auto use = [&](std::string_view path) {
    return routed.router().body_use(http::Request{.method = "POST", .target = path, .path = path});
  };
  CHECK(use("/shop/cart") == http::BodyUse::kKeep);
  CHECK(use("/static/a.txt") == http::BodyUse::kDrop);
  CHECK(use("/elsewhere") == http::BodyUse::kDrop);
}

TEST_CASE("an application below a prefix sees the path without it") {
  Routed routed({}, "/shop/v1/");
  CHECK(routed.get("/shop/v1/cart?x=1").body == "app [/shop/v1][/cart][/shop/v1/cart?x=1]");
  CHECK(routed.get("/shop/v1").body == "app [/shop/v1][][/shop/v1]");
  CHECK(routed.get("/shop/v1/").body == "app [/shop/v1][/][/shop/v1/]");
  CHECK(routed.get("/sh%6Fp/v1//a").body == "app [/sh%6Fp/v1][//a][/sh%6Fp/v1//a]");
  CHECK(routed.get("/shop/v1/../x").body == "app [/shop/v1][/../x][/shop/v1/../x]");
}

TEST_CASE("what is outside of the prefix is not found") {
  Routed routed({}, "/shop");
  for (const char* target :
       {"/", "/shopping", "/sho", "/sho%", "/sho%zz", "/shop%2Fcart", "/x/../shop", "//shop", "*", "/Shop"}) {
    CAPTURE(target);
    CHECK(routed.get(target).status == 404);
  }
}

TEST_CASE("prefixes of folders are those of the whole path, whatever the application's is") {
  const Site site;
  Routed routed({{"/static", &site}, {"/shop/media", &site}}, "/shop");
  CHECK(routed.get("/static/a.txt").body == "a text\n");
  CHECK(routed.get("/shop/media/a.txt").body == "a text\n");
  CHECK(routed.get("/shop/static/a.txt").body == "app [/shop][/static/a.txt][/shop/static/a.txt]");
  CHECK(routed.get("/media/a.txt").status == 404);
}

TEST_CASE("a static pool below a prefix sends its folders to the whole path") {
  const Site site;
  site.write("sub/x", "x\n");
  const auto files = site.files();
  app::PathRouter router(*files, {.path_prefix = "/docs"});
  CHECK(get(router, "/docs/a.txt").body == "a text\n");
  CHECK(get(router, "/docs").field("Location") == "/docs/");
  CHECK(get(router, "/docs/sub").field("Location") == "/docs/sub/");
  CHECK(get(router, "/a.txt").status == 404);
}

TEST_CASE("a router needs the descriptors of all that it has, and keeps their house") {
  const Site site;
  Routed routed({{"/a", &site}, {"/b", &site}});
  const http::DescriptorNeeds needs = routed.router().descriptor_needs();
  CHECK(needs.held == 3 + 2 * (1 + 100));
  CHECK(needs.per_answer == 2);
  const os::TimePoint now = os::now();
  CHECK_FALSE(routed.router().do_housekeeping(now).has_value());
  (void)routed.get("/b/a.txt");
  CHECK(routed.router().do_housekeeping(now).has_value());
}
