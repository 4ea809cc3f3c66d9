/* The same as hello.cpp in plain C99: a module is one struct of functions, and what it needs of prongd it calls through
 * a table. Shows the query, a header of the answer, and an option that start() reads.
 *
 *   cc -shared -fPIC $(pkg-config --cflags prong) hello.c -o hello_c.so
 *   prongd --module ./hello_c.so
 *   curl 'http://127.0.0.1:8080/?name=you'
 */
#include <prong/module.h>
#include <stdio.h>
#include <stdlib.h>

struct hello {
  const prong_api* prong;
  prong_worker* worker;
  char greeting[64];
};

static int start(const prong_api* api, prong_worker* worker, void** state) {
  struct hello* hello = (struct hello*)calloc(1, sizeof *hello);
  prong_option option;
  if (hello == NULL) return PRONG_NO_MEMORY;
  hello->prong = api;
  hello->worker = worker;
  snprintf(hello->greeting, sizeof hello->greeting, "%s", "hello");
  option.size = sizeof option;
  if (api->option(worker, prong_string("greeting"), &option)) {
    if (option.kind == PRONG_TEXT && option.text.size < sizeof hello->greeting)
      snprintf(hello->greeting, sizeof hello->greeting, "%.*s", (int)option.text.size, option.text.data);
    else
      api->refuse_option(worker, prong_string("greeting"), prong_string("has to be a string of at most 63 bytes"));
  }
  *state = hello;
  return PRONG_OK;
}

static void stop(void* state) {
  free(state);
}

static void request(void* state, const prong_request* request, prong_exchange* exchange, void* upload) {
  const struct hello* hello = (const struct hello*)state;
  prong_text name = prong_string("world");
  prong_header type = {prong_string("Content-Type"), prong_string("text/plain; charset=utf-8")};
  prong_response response = {0};
  char text[512];
  int size;
  (void)upload;
  (void)hello->prong->query(request, prong_string("name"), &name);
  if (name.size > 256) name.size = 256;
  size = snprintf(text, sizeof text, "%s %.*s", hello->greeting, (int)name.size, name.size > 0 ? name.data : "");
  response.size = sizeof response;
  response.status = 200;
  response.headers = &type;
  response.header_count = 1;
  response.body.data = text;
  response.body.size = (size_t)size;
  if (hello->prong->respond(exchange, &response) == PRONG_INVALID)
    hello->prong->fail(hello->worker, prong_string("the answer cannot be"));
}

PRONG_EXPORT const prong_module prong_module_entry = {
    .size = sizeof(prong_module), .abi = PRONG_ABI, .name = "hello", .start = start, .stop = stop, .request = request};
