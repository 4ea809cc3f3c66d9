/* Built against the first released header (module-1.h), and run on the present prongd. */
#include "module-1.h"

static const prong_api* prong;

static int start(const prong_api* api, prong_worker* worker, void** state) {
  prong_worker_info info = {.size = sizeof info};
  (void)state;
  prong = api;
  api->worker_info(worker, &info);
  api->log(worker, PRONG_INFO, info.module);
  return api->abi >= 1 && api->size >= sizeof *api ? PRONG_OK : PRONG_FAILED;
}

static void request(void* state, const prong_request* request, prong_exchange* exchange, void* upload) {
  prong_header header = {prong_string("Content-Type"), prong_string("text/plain")};
  prong_text name = prong_string("world");
  prong_response response = {.size = sizeof response, .status = 200, .headers = &header, .header_count = 1};
  (void)state;
  (void)upload;
  (void)prong->query(request, prong_string("name"), &name);
  response.body = name;
  (void)prong->respond(exchange, &response);
}

PRONG_EXPORT const prong_module prong_module_entry = {
    .size = sizeof(prong_module), .abi = PRONG_ABI, .name = "first", .start = start, .request = request};
