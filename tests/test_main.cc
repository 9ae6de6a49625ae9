// main() of the test programs. A run in which nothing failed and nothing was tested ends as CTest knows skipped tests.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

int main(int argc, char** argv) {
  ::testing::InitGoogleMock(&argc, argv);
  constexpr int kSkipped = 77;
  const int status = RUN_ALL_TESTS();
  const ::testing::UnitTest& tests = *::testing::UnitTest::GetInstance();
  return status == 0 && tests.successful_test_count() == 0 && tests.skipped_test_count() > 0 ? kSkipped : status;
}
