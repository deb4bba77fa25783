//! The time, stored as seconds or milliseconds since 1970.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// Returns the present time in whole milliseconds, as it is stored.
pub(crate) fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}

/// Returns the present time in whole seconds.
pub(crate) fn this_second() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

/// Returns the time that a number of seconds since 1970 means; `None` if that is after the year 9999.
pub(crate) fn from_seconds(seconds: u64) -> Option<Timestamp> {
    Timestamp::from_second(seconds.try_into().ok()?).ok()
}

/// Parses a time such as `90s` or `1h 30m`; a plain number is seconds. `None` if it is negative or
/// has another form.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    let plain = text.parse().ok().map(Duration::from_secs);
    plain.or_else(|| text.parse::<SignedDuration>().ok()?.try_into().ok())
}

macro_rules! stored {
    ($unit:ident, $of:ident, $from:ident) => {
        /// Times since 1970, as integers in JSON.
        pub(crate) mod $unit {
            use jiff::Timestamp;
            use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

            pub(crate) fn of(at: Timestamp) -> u64 {
                at.$of().try_into().unwrap_or_default()
            }

            pub(crate) fn serialize<S: Serializer>(
                at: &Timestamp,
                to: S,
            ) -> Result<S::Ok, S::Error> {
                to.serialize_u64(of(*at))
            }

            pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
                from: D,
            ) -> Result<Timestamp, D::Error> {
                let at = i64::try_from(u64::deserialize(from)?).map_err(D::Error::custom);
                Timestamp::$from(at?).map_err(D::Error::custom)
            }
        }
    };
}

stored!(in_seconds, as_second, from_second);
stored!(in_milliseconds, as_millisecond, from_millisecond);

/// Times since 1970 in seconds, or `null`.
pub(crate) mod in_optional_seconds {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::in_seconds;

    #[derive(Serialize, Deserialize)]
    struct Seconds(#[serde(with = "in_seconds")] Timestamp);

    pub(crate) fn serialize<S: Serializer>(
        at: &Option<Timestamp>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        at.map(Seconds).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Timestamp>, D::Error> {
        Ok(Option::<Seconds>::deserialize(from)?.map(|Seconds(at)| at))
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Times {
        #[serde(with = "in_seconds")]
        seconds: Timestamp,
        #[serde(with = "in_milliseconds")]
        milliseconds: Timestamp,
    }

    #[test]
    fn times_are_read_as_they_are_written() {
        let at = |seconds: &str, milliseconds: &str| {
            let text = format!(r#"{{"seconds":{seconds},"milliseconds":{milliseconds}}}"#);
            let times = serde_json::from_str::<Times>(&text);
            times.map(|times| assert_eq!(serde_json::to_string(&times).unwrap(), text))
        };
        for (seconds, milliseconds) in [
            ("0", "0"),
            ("1700000000", "1700000000123"),
            ("253402207200", "253402207200000"),
        ] {
            at(seconds, milliseconds).unwrap();
        }
        for wrong in [
            "-1",
            "1.5",
            "\"1\"",
            "18446744073709551615",
            "253402300800000",
        ] {
            assert!(
                at(wrong, "0").is_err() && at("0", wrong).is_err(),
                "{wrong}"
            );
        }
        let times = Times {
            seconds: Timestamp::UNIX_EPOCH,
            milliseconds: now(),
        };
        let text = serde_json::to_string(&times).unwrap();
        assert_eq!(serde_json::from_str::<Times>(&text).unwrap(), times);
    }
}
