#include "config/time.h"

#include <gtest/gtest.h>

#include "config/error.h"

namespace contimg {
namespace {

TEST(UtcTime, AgreesWithKnownDates) {
  EXPECT_EQ(UtcTime::FromIso8601("1858-11-17T00:00:00").mjd_s(), 0);
  EXPECT_EQ(UtcTime::FromIso8601("1970-01-01T00:00:00").unix_s(), 0);
  EXPECT_EQ(UtcTime::FromIso8601("2000-01-01T12:00:00").mjd(), 51544.5);  // J2000.0
  EXPECT_EQ(UtcTime::FromIso8601("2024-02-29T00:00:00").mjd(), 60369);
  EXPECT_EQ(UtcTime::FromJd(2451545.0), UtcTime::FromMjd(51544.5));
}

TEST(UtcTime, ReadsBackWhatItWrote) {
  for (double mjd = 40000.125; mjd < 80000; mjd += 1234.5678) {
    const UtcTime time = UtcTime::FromMjd(mjd);
    EXPECT_NEAR(UtcTime::FromIso8601(time.Iso8601(3)) - time, 0, 6e-4) << time.Iso8601(3);
    EXPECT_NEAR(UtcTime::FromIso8601(time.Iso8601()) - time, 0, 0.5001) << time.Iso8601();
  }
}

TEST(UtcTime, RoundsIntoTheNextDay) {
  const UtcTime late = UtcTime::FromIso8601("2025-12-31T23:59:59.9996Z");
  EXPECT_EQ(late.Iso8601(3), "2026-01-01T00:00:00.000");
  EXPECT_EQ(late.Iso8601(), "2026-01-01T00:00:00");
  EXPECT_EQ(late.Date(), "2026-01-01");
}

TEST(UtcTime, RefusesWhatIsNoTime) {
  for (const char* text :
       {"", "2025-10-13", "2025-10-13T13:28", "2025-13-01T00:00:00", "2025-02-30T00:00:00", "2025-10-13T24:00:01",
        "2025-10-13T13:60:00", "2025-10-13T13:28:03+02:00", "soon", "2025-10-13T13:28:03 ", "2025-10-13T13:28:0x"}) {
    EXPECT_THROW(UtcTime::FromIso8601(text), Error) << "'" << text << "'";
  }
}

TEST(UtcTime, UnderstandsWhatPeopleWrite) {
  const UtcTime now = UtcTime::FromIso8601("2026-03-01T12:30:00");
  const auto read = [&](const char* text) { return UtcTime::FromPerson("--from", text, now).Iso8601(); };
  EXPECT_EQ(read("2025-10-13"), "2025-10-13T00:00:00");
  EXPECT_EQ(read("2025-10-13T13:28:03"), "2025-10-13T13:28:03");
  EXPECT_EQ(read("2025-10-13T13:28:03Z"), "2025-10-13T13:28:03");
  EXPECT_EQ(read("2025-10-13 13:28:03"), "2025-10-13T13:28:03");
  EXPECT_EQ(read("2025-10-13T13:28"), "2025-10-13T13:28:00");
  EXPECT_EQ(read("2025-10-13T13:28Z"), "2025-10-13T13:28:00");
  EXPECT_EQ(read("now"), "2026-03-01T12:30:00");
  EXPECT_EQ(read("today"), "2026-03-01T00:00:00");
  EXPECT_EQ(read("yesterday"), "2026-02-28T00:00:00");
  for (const char* text : {"", "tomorrowish", "2025-13-01", "2025-02-30", "13.10.2025", "2025-10-13T25:00:00",
                           "20251013", "2025-10-13T13:28:03+02:00", "2025-10-13T", "61000.5"}) {
    try {
      UtcTime::FromPerson("--from", text, now);
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage);
      EXPECT_EQ(std::string(error.what()).rfind("--from: expected a time (UTC) like 2025-10-13T13:28:03", 0), 0U)
          << error.what();
      EXPECT_NE(std::string(error.what()).find("found '" + std::string(text) + "'"), std::string::npos);
    }
  }
  EXPECT_EQ(now.Stamp(), "2026-03-01T12:30:00Z");
}

}  // namespace
}  // namespace contimg
