/* Needs libgone.so, which is only found from the build folder. */
#include <prong/module.h>

int prong_test_gone(void);

static int start(const prong_api* api, prong_worker* worker, void** state) {
  (void)api;
  (void)worker;
  (void)state;
  if (prong_test_gone() != 0) return PRONG_FAILED;
  return PRONG_OK;
}

static void request(void* state, const prong_request* request, prong_exchange* exchange, void* upload) {
  (void)state;
  (void)request;
  (void)exchange;
  (void)upload;
}

PRONG_EXPORT const prong_module prong_module_entry = {
    .size = sizeof(prong_module), .abi = PRONG_ABI, .name = "needs_gone", .start = start, .request = request};
