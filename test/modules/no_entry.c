/* A shared library that is no module. */
int prong_test_no_entry(void);
int prong_test_no_entry(void) {
  return 0;
}
