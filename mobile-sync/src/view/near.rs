//! Distances, in whole metres and without floats: near enough to sort a day's stops.

/// Metres of a degree of latitude.
const DEGREE_M: i64 = 111_195;
const E6: i64 = 1_000_000;

/// A position in millionths of a degree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Latitude, north positive.
    pub lat_e6: i32,
    /// Longitude, east positive.
    pub lon_e6: i32,
}

/// Metres between two positions as on a flat map around them: within 1 % up to 100 km below 70
/// degrees of latitude.
pub fn metres(a: Position, b: Position) -> u64 {
    let north_m = i64::from(a.lat_e6.abs_diff(b.lat_e6)) * DEGREE_M / E6;
    let east_e6 = i64::from(a.lon_e6.abs_diff(b.lon_e6));
    let east_e6 = east_e6.min(360 * E6 - east_e6);
    let middle_e6 = i64::midpoint(i64::from(a.lat_e6), i64::from(b.lat_e6));
    // At most 180 degrees of 111 km, times a cosine in millionths: far below 2^63.
    let east_m = east_e6 * DEGREE_M / E6 * cosine_e6(middle_e6) / E6;
    (north_m * north_m + east_m * east_m).isqrt().unsigned_abs()
}

/// The cosine of an angle within a quarter turn of zero, both in millionths: Bhaskara's rational
/// approximation, wrong by at most 0.0017.
fn cosine_e6(angle_e6: i64) -> i64 {
    let square = (angle_e6 / 1000) * (angle_e6 / 1000) / 1_000_000;
    let (upper, lower) = (32_400 - 4 * square, 32_400 + square);
    (upper * E6 / lower).max(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_near_enough() {
        let at = |lat_e6, lon_e6| Position { lat_e6, lon_e6 };
        let cases: &[(&str, Position, Position, u64)] = &[
            ("the same place", at(-1_286_389, 36_817_223), at(-1_286_389, 36_817_223), 0),
            ("Nairobi to Mombasa", at(-1_286_389, 36_817_223), at(-4_043_477, 39_668_206), 440_000),
            ("Nairobi to Thika", at(-1_286_389, 36_817_223), at(-1_033_280, 37_069_330), 39_800),
            ("Riyadh to Jeddah", at(24_713_552, 46_675_296), at(21_485_811, 39_192_505), 848_000),
            ("over the date line", at(0, 179_900_000), at(0, -179_900_000), 22_239),
            ("from pole to pole", at(90_000_000, 0), at(-90_000_000, 0), 20_015_100),
        ];
        for (what, a, b, expected) in cases {
            let (there, back) = (metres(*a, *b), metres(*b, *a));
            assert_eq!(there, back, "{what}");
            assert!(there.abs_diff(*expected) <= expected / 50, "{what}: {there}");
        }
    }
}
