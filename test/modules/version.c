/* Answers with its version, so that a test sees which file is loaded. What is in VERSION comes from meson.build. */
#include <prong/module.h>
#include <stdlib.h>

static const prong_api* prong;

static int start(const prong_api* api, prong_worker* worker, void** state) {
  (void)worker;
  (void)state;
  prong = api;
  return PRONG_OK;
}

static void request(void* state, const prong_request* request, prong_exchange* exchange, void* upload) {
  prong_response response = {.size = sizeof response, .status = 200, .body = prong_string(VERSION)};
  (void)state;
  (void)request;
  (void)upload;
  if (prong->respond(exchange, &response) == PRONG_INVALID) abort();
}

PRONG_EXPORT const prong_module prong_module_entry = {.size = sizeof(prong_module) + LARGER,
                                                      .abi = PRONG_ABI + NEWER,
                                                      .name = "version",
                                                      .start = start,
                                                      .request = request};
