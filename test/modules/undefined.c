/* Calls what nobody defines, so that it cannot be loaded. */
#include <prong/module.h>

void prong_test_nobody_defines_this(void);

static int start(const prong_api* api, prong_worker* worker, void** state) {
  (void)api;
  (void)worker;
  (void)state;
  prong_test_nobody_defines_this();
  return PRONG_OK;
}

static void request(void* state, const prong_request* request, prong_exchange* exchange, void* upload) {
  (void)state;
  (void)request;
  (void)exchange;
  (void)upload;
}

PRONG_EXPORT const prong_module prong_module_entry = {
    .size = sizeof(prong_module), .abi = PRONG_ABI, .name = "undefined", .start = start, .request = request};
