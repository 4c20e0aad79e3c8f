"""Runs the firmware tests of one module on whatever interpreter this is; prints one line a test.

On a board: `import run_tests; run_tests.run("test_kernel")`. At a desk: `micropython run_tests.py NAME`.
The last line is `N passed, M failed`.
"""

import gc
import sys


def run(name: str) -> int:
    """Run every `test_*` function of module `name`; returns how many failed."""
    module = __import__(name)
    passed = failed = 0
    for test in sorted(dir(module)):
        if not test.startswith("test_"):
            continue
        gc.collect()
        try:
            getattr(module, test)()
        except Exception as error:
            failed += 1
            print("FAIL", name, test)
            sys.print_exception(error)
        else:
            passed += 1
            print("pass", name, test)
    print("%d passed, %d failed" % (passed, failed))
    return failed


if __name__ == "__main__":
    here = __file__.rpartition("/")[0] or "."
    sys.path[:0] = [here + "/../../firmware", here]
    __import__("bms")  # as on a desk

    sys.exit(1 if run(sys.argv[1]) else 0)
