/* A library that is not there when needs_gone.so is loaded from another folder. */
int prong_test_gone(void);
int prong_test_gone(void) {
  return 0;
}
