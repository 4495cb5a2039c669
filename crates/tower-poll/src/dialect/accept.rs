//! Preferences among media types (RFC 9110, section 12.5.1).

/// Returns the weight, in thousandths, that `accept` gives to `media_type`:
/// that of the most specific range that matches. Ranges with parameters other
/// than `q`, and unreadable ones, count as absent.
pub(super) fn weight(accept: &str, media_type: &str) -> u16 {
    let ranges = accept.split(',').filter_map(range);
    let matching =
        ranges.filter_map(|(range, weight)| Some((specificity(range, media_type)?, weight)));
    matching.max().map_or(0, |(_, weight)| weight)
}

/// A range and its weight.
fn range(text: &str) -> Option<(&str, u16)> {
    let mut parts = text.split(';').map(str::trim);
    let range = parts.next()?;
    let weight = match (parts.next(), parts.next()) {
        (None, None) => 1000,
        (Some(weight), None) => {
            let (name, value) = weight.split_once('=')?;
            let value: f32 = value.trim().parse().ok()?;
            let is_weight = name.trim().eq_ignore_ascii_case("q") && (0.0..=1.0).contains(&value);
            is_weight.then_some((value * 1000.0).round() as u16)?
        }
        _ => return None,
    };
    Some((range, weight))
}

fn specificity(range: &str, media_type: &str) -> Option<u8> {
    let (kind, subtype) = range.split_once('/')?;
    let (own_kind, own_subtype) = media_type.split_once('/')?;
    match (kind, subtype) {
        ("*", "*") => Some(0),
        (kind, "*") => kind.eq_ignore_ascii_case(own_kind).then_some(1),
        (kind, subtype) => (kind.eq_ignore_ascii_case(own_kind)
            && subtype.eq_ignore_ascii_case(own_subtype))
        .then_some(2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_specific_range_decides() {
        for (accept, expected) in [
            ("application/json", 1000),
            ("Application/JSON", 1000),
            ("text/html, application/json;q=0.5", 500),
            ("*/*, application/json;q=0.25", 250),
            ("application/*;q=0.5, */*", 500),
            ("*/* ; Q=0.125", 125),
            ("text/html", 0),
            ("application/json;q=0", 0),
            ("application/json;q=2", 0),
            ("application/json;q=-1", 0),
            ("application/json;q=NaN", 0),
            ("application/json;profile=x", 0),
            ("json", 0),
            ("", 0),
        ] {
            assert_eq!(weight(accept, "application/json"), expected, "{accept}");
        }
        assert_eq!(weight("*/*", "json"), 0);
    }
}
